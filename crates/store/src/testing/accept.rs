//! Promises about taking messages in.

use std::sync::Arc;

use super::fixtures::*;
use crate::{MessageQuery, Store};
use postrider_core::capacity::Capacity;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::DeliveryId;
use postrider_core::message::{Acceptance, Delivery, Message, NewDelivery};
use postrider_core::recipient::{Recipient, RecipientStatus};

type Open<'a> = &'a dyn Fn() -> Arc<dyn Store>;

pub async fn a_message_is_found_as_it_was_accepted(open: Open<'_>) {
    let store = open();
    let mut new = sms(1);
    new.user = Some("5689c3cf".to_owned());
    new.body = "nul \0 and \u{202E}".to_owned();
    new.deliveries.push(new_delivery("email", "a@example.org"));
    let first = accepted(&*store, new.clone()).await;
    let expected = |place: usize| Delivery {
        id: DeliveryId::from_position(first.message_number(), place),
        channel: new.deliveries[place].channel.clone(),
        address: new.deliveries[place].address.clone(),
        spelling: new.deliveries[place].spelling.clone(),
        parts: 2,
        state: DeliveryState::Waiting {
            due_at: at(0),
            reason: None,
        },
        round: 0,
        tries: 0,
        provider: None,
        reference: None,
        expires_at: at(86_400),
        opened_at: None,
        attempts: vec![],
    };
    let found = find_message(&*store, 1).await;
    let whole = Message {
        id: id(1),
        number: first.message_number(),
        subject: new.subject.clone(),
        body: new.body.clone(),
        user: new.user.clone(),
        created_at: at(0),
        deliveries: vec![expected(0), expected(1)],
    };
    assert_eq!(found, whole);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
}

pub async fn numbers_grow_with_every_message(open: Open<'_>) {
    let store = open();
    let made = store.accept((1..=5).map(sms).collect()).await.unwrap();
    let numbers: Vec<i64> = made
        .iter()
        .map(|made| match made {
            Acceptance::Stored { number } => *number,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
}

pub async fn a_repeated_request_is_answered_as_before(open: Open<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    let number = accepted(&*store, first.clone()).await.message_number();
    let mut again = sms(2);
    again.idempotency = idempotency_key(1, 1);
    let replayed = Acceptance::Replayed { id: id(1), number };
    let answers = store.accept(vec![again.clone()]).await.unwrap();
    assert_eq!(answers.first(), Some(&replayed));
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    // Also within one batch, and after the first one has been sent.
    claim_and_send(
        &*store,
        DeliveryId::from_position(number, 0),
        "blue",
        "b-1",
        at(1),
    )
    .await;
    let answers = store.accept(vec![again.clone(), again]).await.unwrap();
    assert_eq!(answers, [replayed.clone(), replayed]);
}

pub async fn a_key_with_another_request_is_refused(open: Open<'_>) {
    let store = open();
    let (mut first, mut other) = (sms(1), sms(2));
    first.idempotency = idempotency_key(1, 1);
    other.idempotency = idempotency_key(1, 2);
    let answers = store.accept(vec![first, other]).await.unwrap();
    assert!(matches!(answers[0], Acceptance::Stored { .. }));
    assert_eq!(answers[1], Acceptance::KeyReused);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
}

pub async fn what_can_only_be_replayed_is_never_stored(open: Open<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    let mut late = sms(2);
    late.idempotency = idempotency_key(1, 1);
    late.replay_only = true;
    let answers = store.accept(vec![late.clone()]).await.unwrap();
    assert_eq!(answers, [Acceptance::NothingToReplay]);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    let number = accepted(&*store, first).await.message_number();
    let answers = store.accept(vec![late]).await.unwrap();
    assert_eq!(answers, [Acceptance::Replayed { id: id(1), number }]);
}

pub async fn an_outdated_key_is_forgotten(open: Open<'_>) {
    let store = open();
    let mut first = sms(1);
    first.idempotency = idempotency_key(1, 1);
    accepted(&*store, first).await;
    let mut later = sms(2);
    later.created_at = at(1000);
    later.idempotency = idempotency_key(1, 2);
    accepted(&*store, later).await;
}

pub async fn a_suppressed_recipient_is_not_written_to(open: Open<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new = sms(1);
    new.deliveries.push(new_delivery("email", "+989121111111"));
    accepted(&*store, new).await;
    let found = find_message(&*store, 1).await;
    let DeliveryState::Failed {
        failure, at: when, ..
    } = &found.deliveries[0].state
    else {
        panic!("{found:?}");
    };
    assert_eq!((*failure, *when), (Failure::Suppressed, at(0)));
    assert!(matches!(found.deliveries[1].state, DeliveryState::Waiting { .. }));
    let due = store.due(at(1), &Capacity::total(9)).await.unwrap();
    assert_eq!(due.len(), 1);
    assert_eq!(due[0].id, found.deliveries[1].id);
}

pub async fn a_delivery_without_an_address_fails_alone(open: Open<'_>) {
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
    // Also one that can go nowhere is kept, and counts for nobody among those with most messages.
    let mut nowhere = sms(2);
    nowhere.deliveries = vec![delivery_without_address()];
    accepted(&*store, nowhere).await;
    apply_all_changes(&*store).await;
    let report = store.report(at(9)).await.unwrap();
    assert_eq!((report.messages, report.totals.sum()), (2, 3));
    let top = report.top_recipients.iter().map(|line| line.address.as_str());
    assert_eq!(top.collect::<Vec<_>>(), ["+989121111111"]);
}

fn delivery_without_address() -> NewDelivery {
    let mut nobody = new_delivery("sms", "");
    nobody.rejection_reason = Some("no address".to_owned());
    nobody
}

pub async fn a_message_for_nobody_is_not_stored(open: Open<'_>) {
    let store = open();
    suppress(&*store, "sms", "+989121111111").await;
    let mut new = sms(1);
    new.idempotency = idempotency_key(1, 1);
    let answers = store.accept(vec![new.clone()]).await.unwrap();
    assert_eq!(answers, [Acceptance::Suppressed]);
    assert_eq!(store.find_message(id(1)).await.unwrap(), None);
    // Nor is its key: the same request goes through once the recipient is active again.
    store
        .set_recipient(recipient("sms", "+989121111111", RecipientStatus::Active))
        .await
        .unwrap();
    accepted(&*store, new).await;
}

pub async fn the_same_name_twice_fails_alone(open: Open<'_>) {
    let store = open();
    accepted(&*store, sms(1)).await;
    let mut callers = tokio::task::JoinSet::new();
    for which in 1..=200 {
        let store = Arc::clone(&store);
        callers.spawn(async move { (which, store.accept(vec![sms(which)]).await.is_ok()) });
    }
    let outcomes = callers.join_all().await;
    assert!(
        outcomes.iter().all(|(which, stored)| *stored == (*which != 1)),
        "{outcomes:?}"
    );
    assert_eq!(find_message(&*store, 1).await.deliveries.len(), 1);
}

pub async fn many_callers_at_once_lose_nothing(open: Open<'_>) {
    let store = open();
    let mut callers = tokio::task::JoinSet::new();
    for which in 0..300 {
        let store = Arc::clone(&store);
        callers.spawn(async move { accepted(&*store, sms(which)).await });
    }
    let mut ids = callers.join_all().await;
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 300);
    let page = store
        .search(MessageQuery {
            limit: 1000,
            ..MessageQuery::default()
        })
        .await
        .unwrap();
    assert_eq!(page.messages.len(), 300);
}

pub async fn two_stores_share_one_truth(open: Open<'_>) {
    let (one, other) = (open(), open());
    let mut callers = tokio::task::JoinSet::new();
    for which in 0..200 {
        let store = Arc::clone(if which % 2 == 0 { &one } else { &other });
        callers.spawn(async move { accepted(&*store, sms(which)).await });
    }
    let ids = callers.join_all().await;
    let mut claims = tokio::task::JoinSet::new();
    for store in [&one, &other, &one, &other] {
        let (store, ids) = (Arc::clone(store), ids.clone());
        claims.spawn(async move { store.claim(ids, at(1), LEASE).await.unwrap() });
    }
    let won = claims.join_all().await;
    let mut won: Vec<_> = won.iter().flatten().map(|claim| claim.id).collect();
    won.sort_unstable();
    assert_eq!(won.len(), 200, "each delivery has one winner");
    won.dedup();
    assert_eq!(won.len(), 200);
    assert_eq!(find_message(&*other, 0).await, find_message(&*one, 0).await);
}

async fn suppress(store: &dyn Store, channel: &str, address: &str) {
    store
        .set_recipient(recipient(channel, address, RecipientStatus::OptedOut))
        .await
        .unwrap();
}

fn recipient(channel: &str, address: &str, standing: RecipientStatus) -> Recipient {
    Recipient {
        channel: name(channel),
        address: address.to_owned(),
        status: standing,
        reason: "asked for it".to_owned(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    }
}
