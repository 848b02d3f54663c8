//! Conformance tests of accepting messages.

use std::sync::Arc;

use super::fixtures::*;
use crate::{MessageQuery, Store};
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::DeliveryId;
use postrider_core::message::{Acceptance, Delivery, Message, NewDelivery};
use postrider_core::recipient::{Recipient, RecipientStatus};

pub async fn a_message_is_found_as_it_was_accepted(open: OpenStore<'_>) {
    let store = open();
    let mut new = sms(1);
    new.user = Some("5689c3cf".to_owned());
    new.body = "nul \0 and \u{202E}".to_owned();
    new.deliveries.push(new_delivery("email", "a@example.org"));
    let first = accepted(&*store, new.clone()).await;
    let expected = |position: usize| Delivery {
        id: DeliveryId::from_position(first.message_number(), position),
        channel: new.deliveries[position].channel.clone(),
        address: new.deliveries[position].address.clone(),
        spelling: new.deliveries[position].spelling.clone(),
        parts: 2,
        state: DeliveryState::Waiting { due_at: at(0), reason: None },
        round: 0,
        tries: 0,
        provider: None,
        reference: None,
        expires_at: at(86_400),
        opened_at: None,
        attempts: vec![],
    };
    let found = find_message(&*store, 1).await;
    let expected_message = Message {
        id: id(1),
        number: first.message_number(),
        subject: new.subject.clone(),
        body: new.body.clone(),
        user: new.user.clone(),
        created_at: at(0),
        deliveries: vec![expected(0), expected(1)],
    };
    assert_eq!(found, expected_message);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
}

pub async fn message_numbers_increase(open: OpenStore<'_>) {
    let store = open();
    let results = store.accept((1..=5).map(sms).collect()).await.unwrap();
    let numbers: Vec<i64> = results
        .iter()
        .map(|result| match result {
            Acceptance::Stored { number } => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

pub async fn a_repeated_request_gets_the_first_result(open: OpenStore<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    let number = accepted(&*store, first.clone()).await.message_number();
    let mut again = sms(2);
    again.idempotency = idempotency_key(1, 1);
    let replayed = Acceptance::Replayed { id: id(1), number };
    let results = store.accept(vec![again.clone()]).await.unwrap();
    assert_eq!(results.first(), Some(&replayed));
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    // Also within one batch, and after the first one has been sent.
    claim_and_send(&*store, DeliveryId::from_position(number, 0), "blue", "b-1", at(1)).await;
    let results = store.accept(vec![again.clone(), again]).await.unwrap();
    assert_eq!(results, [replayed.clone(), replayed]);
}

pub async fn a_key_of_another_request_is_rejected(open: OpenStore<'_>) {
    let store = open();
    let (mut first, mut other) = (sms(1), sms(2));
    first.idempotency = idempotency_key(1, 1);
    other.idempotency = idempotency_key(1, 2);
    let results = store.accept(vec![first, other]).await.unwrap();
    assert!(matches!(results[0], Acceptance::Stored { .. }));
    assert_eq!(results[1], Acceptance::KeyReused);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
}

pub async fn a_replay_only_message_is_never_stored(open: OpenStore<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    let mut late = sms(2);
    late.idempotency = idempotency_key(1, 1);
    late.replay_only = true;
    let results = store.accept(vec![late.clone()]).await.unwrap();
    assert_eq!(results, [Acceptance::NothingToReplay]);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    let number = accepted(&*store, first).await.message_number();
    let results = store.accept(vec![late]).await.unwrap();
    assert_eq!(results, [Acceptance::Replayed { id: id(1), number }]);
}

pub async fn an_expired_key_counts_as_absent(open: OpenStore<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    accepted(&*store, first).await;
    let mut later = sms(2);
    later.created_at = at(1000);
    later.idempotency = idempotency_key(1, 2);
    accepted(&*store, later).await;
}

pub async fn a_delivery_to_a_suppressed_recipient_fails(open: OpenStore<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new = sms(1);
    new.deliveries.push(new_delivery("email", "+989121111111"));
    accepted(&*store, new).await;
    let found = find_message(&*store, 1).await;
    let DeliveryState::Failed { failure, at: failed_at, .. } = &found.deliveries[0].state else {
        panic!("{found:?}");
    };
    assert_eq!((*failure, *failed_at), (Failure::Suppressed, at(0)));
    assert!(matches!(found.deliveries[1].state, DeliveryState::Waiting { .. }));
    let due = store.due(at(1), &Capacity::total(9)).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id, found.deliveries[1].id);
}

pub async fn a_delivery_without_an_address_fails_and_the_others_wait(open: OpenStore<'_>) {
    let store = open();
    let mut new = sms(1);
    new.deliveries.push(new_delivery("email", ""));
    new.deliveries[1].rejection_reason = Some("no address".to_owned());
    accepted(&*store, new).await;
    let found = find_message(&*store, 1).await;
    assert!(matches!(found.deliveries[0].state, DeliveryState::Waiting { .. }));
    let failed = DeliveryState::failed(Failure::InvalidRecipient, "no address", at(0));
    assert_eq!(found.deliveries[1].state, failed);
    assert_eq!(store.due(at(1), &Capacity::total(9)).await.unwrap().len(), 1);
    // A message with only a rejected delivery is stored as well, and does not count among the top recipients.
    let mut nowhere = sms(2);
    nowhere.deliveries = vec![delivery_without_address()];
    accepted(&*store, nowhere).await;
    apply_all_changes(&*store).await;
    let report = store.report(at(9)).await.unwrap();
    assert_eq!((report.messages, report.totals.sum()), (2, 3));
    let top = report.top_recipients.iter().map(|row| row.address.as_str());
    assert_eq!(top.collect::<Vec<_>>(), ["+989121111111"]);
}

fn delivery_without_address() -> NewDelivery {
    let mut delivery = new_delivery("sms", "");
    delivery.rejection_reason = Some("no address".to_owned());
    delivery
}

pub async fn a_message_with_only_suppressed_recipients_is_not_stored(open: OpenStore<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new = sms(1);
    new.idempotency = idempotency_key(1, 1);
    let results = store.accept(vec![new.clone()]).await.unwrap();
    assert_eq!(results, [Acceptance::Suppressed]);
    assert_eq!(store.find_message(id(1)).await.unwrap(), None);
    // Its key is not stored either: the same request succeeds once the recipient is active again.
    store.set_recipient(recipient("sms", "+989121111111", RecipientStatus::Active)).await.unwrap();
    accepted(&*store, new).await;
}

pub async fn a_repeated_message_id_fails_and_affects_no_other_message(open: OpenStore<'_>) {
    let store = open();
    accepted(&*store, sms(1)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..=200 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { (number, store.accept(vec![sms(number)]).await.is_ok()) });
    }
    let outcomes = tasks.join_all().await;
    assert!(outcomes.iter().all(|(number, stored)| *stored == (*number != 1)), "{outcomes:?}");
    assert_eq!(find_message(&*store, 1).await.deliveries.len(), 1);
}

pub async fn concurrent_accepts_are_all_stored(open: OpenStore<'_>) {
    let store = open();
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..300 {
        let store = Arc::clone(&store);
        tasks.spawn(async move { accepted(&*store, sms(number)).await });
    }
    let mut ids = tasks.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300);
    let page = store.search(MessageQuery { limit: 1000, ..MessageQuery::default() }).await.unwrap();
    assert_eq!(page.messages.len(), 300);
}

pub async fn two_stores_on_one_database_see_the_same_messages(open: OpenStore<'_>) {
    let (one, other) = (open(), open());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(if number % 2 == 0 { &one } else { &other });
        tasks.spawn(async move { accepted(&*store, sms(number)).await });
    }
    let ids = tasks.join_all().await;
    let mut claims = tokio::task::JoinSet::new();
    for store in [&one, &other, &one, &other] {
        let (store, ids) = (Arc::clone(store), ids.clone());
        claims.spawn(async move { store.claim(ids, at(1), LEASE).await.unwrap() });
    }
    let claimed_ids = claims.join_all().await;
    let mut claimed_ids: Vec<_> = claimed_ids.iter().flatten().map(|claim| claim.id).collect();
    claimed_ids.sort_unstable();
    assert_eq!(claimed_ids.len(), 200, "each delivery is claimed once");
    claimed_ids.dedup();
    assert_eq!(claimed_ids.len(), 200);
    assert_eq!(find_message(&*other, 0).await, find_message(&*one, 0).await);
}

async fn suppress(store: &dyn Store, channel: &str, address: &str) {
    store.set_recipient(recipient(channel, address, RecipientStatus::OptedOut)).await.unwrap();
}

fn recipient(channel: &str, address: &str, status: RecipientStatus) -> Recipient {
    Recipient {
        channel: name(channel),
        address: address.to_owned(),
        status,
        reason: "on request".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    }
}
