//! Conformance tests of accepting messages.

use std::sync::Arc;

use super::fixtures::*;
use crate::{MessageQuery, Store};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::{Acceptance, Delivery, Message, NewDelivery};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{capacity::Capacity, id::DeliveryId};

pub async fn a_message_is_found_as_it_was_accepted(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    new_message.user = Some("5689c3cf".to_owned());
    new_message.body = "nul \0 and \u{202E}".to_owned();
    new_message.deliveries.push(new_delivery("email", "a@example.org"));
    let first_delivery_id = accepted(&*store, new_message.clone()).await;
    let expected_delivery = |position: usize| Delivery {
        id: DeliveryId::from_position(first_delivery_id.message_number(), position),
        channel: new_message.deliveries[position].channel.clone(),
        address: new_message.deliveries[position].address.clone(),
        spelling: new_message.deliveries[position].spelling.clone(),
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
    let found_message = find_message(&*store, 1).await;
    let expected_message = Message {
        id: id(1),
        number: first_delivery_id.message_number(),
        subject: new_message.subject.clone(),
        sender: None,
        body: new_message.body.clone(),
        user: new_message.user.clone(),
        owner: String::new(),
        created_at: at(0),
        deliveries: vec![expected_delivery(0), expected_delivery(1)],
    };
    assert_eq!(found_message, expected_message);
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
    assert!(numbers.is_sorted_by(|number, next_number| number < next_number), "{numbers:?}");
}

pub async fn a_repeated_request_gets_the_first_result(open: OpenStore<'_>) {
    let store = open();
    let mut first_message = sms(1);
    first_message.idempotency = idempotency_key(1, 1);
    let number = accepted(&*store, first_message.clone()).await.message_number();
    let mut repeated_message = sms(2);
    repeated_message.idempotency = idempotency_key(1, 1);
    let replayed = Acceptance::Replayed { id: id(1), number };
    let results = store.accept(vec![repeated_message.clone()]).await.unwrap();
    assert_eq!(results.first(), Some(&replayed));
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    // Also within one batch, and after the first one has been sent.
    claim_and_send(&*store, DeliveryId::from_position(number, 0), "blue", "b-1", at(1)).await;
    let results = store.accept(vec![repeated_message.clone(), repeated_message]).await.unwrap();
    assert_eq!(results, [replayed.clone(), replayed]);
}

pub async fn a_key_of_another_request_is_rejected(open: OpenStore<'_>) {
    let store = open();
    let (mut first_message, mut other_message) = (sms(1), sms(2));
    first_message.idempotency = idempotency_key(1, 1);
    other_message.idempotency = idempotency_key(1, 2);
    let results = store.accept(vec![first_message, other_message]).await.unwrap();
    assert!(matches!(results[0], Acceptance::Stored { .. }));
    assert_eq!(results[1], Acceptance::KeyReused);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
}

pub async fn a_replay_only_message_is_never_stored(open: OpenStore<'_>) {
    let store = open();
    let mut first_message = sms(1);
    first_message.idempotency = idempotency_key(1, 1);
    let mut replay_message = sms(2);
    replay_message.idempotency = idempotency_key(1, 1);
    replay_message.replay_only = true;
    let results = store.accept(vec![replay_message.clone()]).await.unwrap();
    assert_eq!(results, [Acceptance::NothingToReplay]);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    let number = accepted(&*store, first_message).await.message_number();
    let results = store.accept(vec![replay_message]).await.unwrap();
    assert_eq!(results, [Acceptance::Replayed { id: id(1), number }]);
}

pub async fn an_expired_key_counts_as_absent(open: OpenStore<'_>) {
    let store = open();
    let mut first_message = sms(1);
    first_message.idempotency = idempotency_key(1, 1);
    accepted(&*store, first_message).await;
    let mut later_message = sms(2);
    later_message.created_at = at(1000);
    later_message.idempotency = idempotency_key(1, 2);
    accepted(&*store, later_message).await;
}

pub async fn a_delivery_to_a_suppressed_recipient_fails(open: OpenStore<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new_message = sms(1);
    new_message.deliveries.push(new_delivery("email", "+989121111111"));
    accepted(&*store, new_message).await;
    let found_message = find_message(&*store, 1).await;
    let DeliveryState::Failed { failure, at: failed_at, .. } = &found_message.deliveries[0].state else {
        panic!("{found_message:?}");
    };
    assert_eq!((*failure, *failed_at), (Failure::Suppressed, at(0)));
    assert!(matches!(found_message.deliveries[1].state, DeliveryState::Waiting { .. }));
    let due_entries = store.due(at(1), &Capacity::total(9)).await.unwrap();
    assert_eq!(due_entries.len(), 1);
    assert_eq!(due_entries[0].id, found_message.deliveries[1].id);
}

pub async fn a_delivery_without_an_address_fails_and_the_others_wait(open: OpenStore<'_>) {
    let store = open();
    let mut new_message = sms(1);
    new_message.deliveries.push(new_delivery("email", ""));
    new_message.deliveries[1].rejection_reason = Some("no address".to_owned());
    accepted(&*store, new_message).await;
    let found_message = find_message(&*store, 1).await;
    assert!(matches!(found_message.deliveries[0].state, DeliveryState::Waiting { .. }));
    let failed_state = DeliveryState::failed(Failure::InvalidRecipient, "no address", at(0));
    assert_eq!(found_message.deliveries[1].state, failed_state);
    assert_eq!(store.due(at(1), &Capacity::total(9)).await.unwrap().len(), 1);
    // A message with only a rejected delivery is stored as well, and does not count among the top recipients.
    let mut message_without_address = sms(2);
    message_without_address.deliveries = vec![delivery_without_address()];
    accepted(&*store, message_without_address).await;
    apply_all_changes(&*store).await;
    let report = store.report(at(9)).await.unwrap();
    assert_eq!((report.messages, report.totals.sum()), (2, 3));
    let top_addresses = report.top_recipients.iter().map(|row| row.address.as_str());
    assert_eq!(top_addresses.collect::<Vec<_>>(), ["+989121111111"]);
}

fn delivery_without_address() -> NewDelivery {
    let mut delivery = new_delivery("sms", "");
    delivery.rejection_reason = Some("no address".to_owned());
    delivery
}

pub async fn a_message_with_only_suppressed_recipients_is_not_stored(open: OpenStore<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new_message = sms(1);
    new_message.idempotency = idempotency_key(1, 1);
    let results = store.accept(vec![new_message.clone()]).await.unwrap();
    assert_eq!(results, [Acceptance::Suppressed(RecipientStatus::OptedOut)]);
    assert_eq!(store.find_message(id(1)).await.unwrap(), None);
    // An opt-out and an invalid address are told apart; of both, the opt-out is reported.
    let mut two_recipients = sms(2);
    two_recipients.deliveries.push(new_delivery("email", "ada@example.org"));
    store.set_recipient(recipient("sms", "+989121111111", RecipientStatus::Inactive)).await.unwrap();
    store.set_recipient(recipient("email", "ada@example.org", RecipientStatus::Inactive)).await.unwrap();
    let results = store.accept(vec![two_recipients.clone(), new_message.clone()]).await.unwrap();
    let inactive = Acceptance::Suppressed(RecipientStatus::Inactive);
    assert_eq!(results, [inactive.clone(), inactive]);
    store.set_recipient(recipient("email", "ada@example.org", RecipientStatus::OptedOut)).await.unwrap();
    let results = store.accept(vec![two_recipients]).await.unwrap();
    assert_eq!(results, [Acceptance::Suppressed(RecipientStatus::OptedOut)]);
    // Its key is not stored either: the same request succeeds once the recipient is active again.
    store.set_recipient(recipient("sms", "+989121111111", RecipientStatus::Active)).await.unwrap();
    accepted(&*store, new_message).await;
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
    let mut delivery_ids = tasks.join_all().await;
    delivery_ids.sort_unstable();
    delivery_ids.dedup();
    assert_eq!(delivery_ids.len(), 300);
    let message_list = store.search(MessageQuery { limit: 1000, ..MessageQuery::default() }).await.unwrap();
    assert_eq!(message_list.messages.len(), 300);
}

pub async fn two_stores_on_one_database_see_the_same_messages(open: OpenStore<'_>) {
    let (first_store, second_store) = (open(), open());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(if number % 2 == 0 { &first_store } else { &second_store });
        tasks.spawn(async move { accepted(&*store, sms(number)).await });
    }
    let delivery_ids = tasks.join_all().await;
    let mut claims = tokio::task::JoinSet::new();
    for store in [&first_store, &second_store, &first_store, &second_store] {
        let (store, delivery_ids) = (Arc::clone(store), delivery_ids.clone());
        claims.spawn(async move { store.claim(delivery_ids, at(1), LEASE).await.unwrap() });
    }
    let claimed_ids = claims.join_all().await;
    let mut claimed_ids: Vec<_> = claimed_ids.iter().flatten().map(|claim| claim.id).collect();
    claimed_ids.sort_unstable();
    assert_eq!(claimed_ids.len(), 200, "each delivery is claimed once");
    claimed_ids.dedup();
    assert_eq!(claimed_ids.len(), 200);
    assert_eq!(find_message(&*second_store, 0).await, find_message(&*first_store, 0).await);
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
