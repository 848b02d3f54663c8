//! Conformance tests of broadcasts.

use super::fixtures::*;
use crate::Store;
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastAudience, BroadcastCounts, FanOutStep, NewBroadcast, NewUser,
    UserRegistration,
};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{delivery::Failure, id::DeliveryId, receipt::ReceiptStatus};

pub fn user(id: &str) -> NewUser {
    NewUser { id: id.to_owned(), owner: String::new(), name: None, contacts: None, created_at: at(0) }
}

pub async fn register_all(store: &dyn Store, ids: &[&str]) {
    let users = ids.iter().map(|id| user(id)).collect();
    let registrations = store.register_users(users).await.unwrap();
    assert!(
        registrations.iter().all(|registration| *registration == UserRegistration::Added),
        "{registrations:?}"
    );
}

pub fn broadcast_to(number: u64, audience: BroadcastAudience) -> NewBroadcast {
    NewBroadcast {
        id: id(number),
        body: format!("news {number} \u{1F600}"),
        channel: name("sms"),
        audience,
        caller: "shop".to_owned(),
        owner: String::new(),
        throttles: vec![],
        idempotency: None,
        created_at: at(i64::try_from(number).unwrap()),
    }
}

fn listed(ids: &[&str]) -> BroadcastAudience {
    BroadcastAudience::Listed(ids.iter().map(|id| (*id).to_owned()).collect())
}

/// Returns a message to a user.
pub fn to_user(number: u64, id: &str) -> NewMessage {
    NewMessage { user: Some(id.to_owned()), ..sms_to(number, &format!("address of {id}")) }
}

pub async fn unfinished_broadcast(store: &dyn Store) -> Broadcast {
    store.next_unfinished_broadcast(0).await.unwrap().expect("a broadcast is unfinished")
}

/// Returns the ids of the users of the next step.
async fn next_user_ids(store: &dyn Store, broadcast: &Broadcast, limit: usize) -> Vec<String> {
    let users = store.next_broadcast_users(broadcast, limit).await.unwrap();
    users.into_iter().map(|user| user.id).collect()
}

/// Does one fan-out step over at most `limit` users, with message ids from `which` on.
pub async fn fan_out_step(
    store: &dyn Store,
    broadcast: &Broadcast,
    limit: usize,
    number: u64,
) -> Option<Vec<Acceptance>> {
    let users = store.next_broadcast_users(broadcast, limit).await.unwrap();
    let step = FanOutStep {
        broadcast: broadcast.number,
        from: broadcast.fan_out_position,
        to: users.last().map_or(broadcast.fan_out_position, |user| user.number),
        unreachable: 0,
        is_last: users.len() < limit,
    };
    let messages = users.iter().zip(number..).map(|(user, number)| to_user(number, &user.id));
    store.fan_out(step, messages.collect()).await.unwrap()
}

async fn broadcast_counts(store: &dyn Store, number: u64) -> BroadcastCounts {
    store.broadcast(id(number)).await.unwrap().expect("the broadcast exists").1
}

pub async fn a_broadcast_to_all_goes_to_users_registered_before_it(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben", "cid"]).await;
    let acceptance = store.create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    assert_eq!(acceptance, BroadcastAcceptance::Stored { users: 3 });
    register_all(&*store, &["dan"]).await;
    let broadcast = unfinished_broadcast(&*store).await;
    assert_eq!((broadcast.id, broadcast.users, broadcast.is_to_all), (id(1), 3, true));
    assert_eq!((broadcast.body.as_str(), broadcast.caller.as_str()), ("news 1 \u{1F600}", "shop"));
    assert_eq!(next_user_ids(&*store, &broadcast, 9).await, ["ana", "ben", "cid"]);
    assert_eq!(next_user_ids(&*store, &broadcast, 2).await, ["ana", "ben"]);
}

pub async fn a_user_named_twice_in_a_broadcast_counts_once(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben", "cid"]).await;
    let audience = listed(&["cid", "ana", "cid"]);
    let acceptance = store.create_broadcast(broadcast_to(1, audience)).await.unwrap();
    assert_eq!(acceptance, BroadcastAcceptance::Stored { users: 2 });
    let broadcast = unfinished_broadcast(&*store).await;
    assert!(!broadcast.is_to_all);
    assert_eq!(next_user_ids(&*store, &broadcast, 9).await, ["ana", "cid"]);
}

pub async fn a_broadcast_to_unknown_users_is_rejected_with_their_ids(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana"]).await;
    let unknown_ids = (0..12).map(|number| format!("unknown {number}"));
    let mut listed_ids = unknown_ids.collect::<Vec<_>>();
    listed_ids.insert(3, "ana".to_owned());
    let acceptance =
        store.create_broadcast(broadcast_to(1, BroadcastAudience::Listed(listed_ids))).await.unwrap();
    let BroadcastAcceptance::UnknownUsers { first: first_ids, count } = acceptance else {
        panic!("{acceptance:?}");
    };
    assert_eq!((first_ids.len(), count), (10, 12));
    assert_eq!(first_ids[..2], ["unknown 0", "unknown 1"]);
    assert_eq!(store.next_unfinished_broadcast(0).await.unwrap(), None);
}

pub async fn a_repeated_broadcast_request_gets_the_first_result(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana"]).await;
    let broadcast_with_key = |number, request| NewBroadcast {
        idempotency: idempotency_key(1, request),
        ..broadcast_to(number, BroadcastAudience::All)
    };
    let first_result = store.create_broadcast(broadcast_with_key(1, 1)).await.unwrap();
    assert_eq!(first_result, BroadcastAcceptance::Stored { users: 1 });
    let repeated_result = store.create_broadcast(broadcast_with_key(2, 1)).await.unwrap();
    assert_eq!(repeated_result, BroadcastAcceptance::Replayed { id: id(1) });
    let other_result = store.create_broadcast(broadcast_with_key(3, 2)).await.unwrap();
    assert_eq!(other_result, BroadcastAcceptance::KeyReused);
    assert_eq!(store.broadcasts(None, None, 9).await.unwrap().len(), 1);
}

pub async fn a_broadcast_can_be_skipped(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana"]).await;
    for number in 1..=2 {
        store.create_broadcast(broadcast_to(number, BroadcastAudience::All)).await.unwrap();
    }
    let first_broadcast = unfinished_broadcast(&*store).await;
    assert_eq!(first_broadcast.id, id(1));
    let second_broadcast = store.next_unfinished_broadcast(first_broadcast.number).await.unwrap().unwrap();
    assert_eq!(second_broadcast.id, id(2));
    assert_eq!(store.next_unfinished_broadcast(second_broadcast.number).await.unwrap(), None);
}

pub async fn a_broadcast_without_users_is_complete_at_once(open: OpenStore<'_>) {
    let store = open();
    let acceptance = store.create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    assert_eq!(acceptance, BroadcastAcceptance::Stored { users: 0 });
    assert_eq!(store.next_unfinished_broadcast(0).await.unwrap(), None);
    let (broadcast, counts) = store.broadcast(id(1)).await.unwrap().unwrap();
    assert!(broadcast.is_fanned_out);
    assert_eq!(counts, BroadcastCounts::default());
    assert_eq!(store.broadcast(id(2)).await.unwrap(), None);
}

pub async fn a_fan_out_step_is_done_once(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben", "cid"]).await;
    store.create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    let unstarted_broadcast = unfinished_broadcast(&*store).await;
    assert_eq!(fan_out_step(&*store, &unstarted_broadcast, 2, 100).await.unwrap().len(), 2);
    assert_eq!(fan_out_step(&*store, &unstarted_broadcast, 2, 200).await, None, "the position has moved");
    let half_done_broadcast = unfinished_broadcast(&*store).await;
    assert_eq!((half_done_broadcast.fan_out_position, half_done_broadcast.messages), (2, 2));
    assert_eq!(fan_out_step(&*store, &half_done_broadcast, 2, 300).await.unwrap().len(), 1);
    assert_eq!(fan_out_step(&*store, &half_done_broadcast, 2, 400).await, None, "the fan-out is complete");
    assert_eq!(store.next_unfinished_broadcast(0).await.unwrap(), None);
    assert_eq!(broadcast_counts(&*store, 1).await.messages, 3);
    assert_eq!(find_message(&*store, 101).await.user.as_deref(), Some("ben"));
    assert!(store.find_message(id(200)).await.unwrap().is_none());
}

pub async fn two_stores_share_the_fan_out_of_a_broadcast(open: OpenStore<'_>) {
    let stores = [open(), open()];
    let user_ids = (0..40).map(|number| format!("user {number}")).collect::<Vec<_>>();
    let user_ids = user_ids.iter().map(String::as_str).collect::<Vec<_>>();
    register_all(&*stores[0], &user_ids).await;
    stores[0].create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for (store, first) in stores.iter().cloned().zip([1_000, 2_000]) {
        tasks.spawn(async move {
            let mut number = first;
            while let Some(broadcast) = store.next_unfinished_broadcast(0).await.unwrap() {
                fan_out_step(&*store, &broadcast, 3, number).await;
                number += 3;
            }
        });
    }
    tasks.join_all().await;
    for id in user_ids {
        send_only_message(&*stores[1], id).await;
    }
    assert_eq!(broadcast_counts(&*stores[0], 1).await.messages, 40);
}

/// Sends the messages of a user and checks that there was exactly one.
async fn send_only_message(store: &dyn Store, user: &str) {
    let query = crate::UsageQuery { user: Some(user.to_owned()), limit: 9, ..Default::default() };
    let messages = store.usage(query).await.unwrap().messages;
    assert_eq!(messages.len(), 1, "{user}");
    claim_and_send(store, messages[0].deliveries[0].id, "blue", user, at(1)).await;
}

pub async fn the_deliveries_of_a_broadcast_are_counted(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben", "cid", "dan", "eve", "fay"]).await;
    accepted(&*store, sms(900)).await;
    store.create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    let broadcast = unfinished_broadcast(&*store).await;
    let acceptances = fan_out_step(&*store, &broadcast, 5, 1).await.unwrap();
    accepted(&*store, sms(901)).await;
    let step = FanOutStep { broadcast: broadcast.number, from: 5, to: 6, unreachable: 1, is_last: true };
    assert_eq!(store.fan_out(step, vec![]).await.unwrap(), Some(vec![]));
    let delivery_of = |index: usize| match acceptances[index] {
        Acceptance::Stored { number } => DeliveryId::from_position(number, 0),
        ref other => panic!("{other:?}"),
    };
    claim_and_send(&*store, delivery_of(0), "blue", "a", at(1)).await;
    let claim = claimed(&*store, delivery_of(4), at(1)).await;
    record(&*store, finished_round(&claim, vec![], waiting_state(at(900), "quota used up"), at(1))).await;
    claim_and_send(&*store, delivery_of(1), "blue", "b", at(1)).await;
    claim_and_send(&*store, delivery_of(2), "blue", "c", at(1)).await;
    claim_and_fail(&*store, delivery_of(3), Failure::Rejected, at(1)).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "a", ReceiptStatus::Delivered, at(2))).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b", ReceiptStatus::Opened, at(2))).await;
    apply_receipt(&*store, received_receipt(Some("blue"), "b", ReceiptStatus::Opened, at(3))).await;
    let (broadcast, counts) = store.broadcast(id(1)).await.unwrap().unwrap();
    let expected_counts = BroadcastCounts {
        messages: 5,
        waiting: 1,
        unconfirmed: 1,
        received: 2,
        failed: 1,
        opened: 1,
        waiting_reason: Some("quota used up".to_owned()),
        next_try_at: Some(at(900)),
        failed_reason: Some("no".to_owned()),
    };
    assert_eq!(counts, expected_counts);
    assert_eq!((broadcast.messages, broadcast.unreachable, broadcast.users), (5, 1, 6));
    assert!(broadcast.is_fanned_out);
}

pub async fn suppressed_users_of_a_broadcast_count_as_refused(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben"]).await;
    let recipient = Recipient {
        channel: name("sms"),
        address: "address of ana".to_owned(),
        status: RecipientStatus::OptedOut,
        reason: "STOP".to_owned(),
        changed_by: "ana".to_owned(),
        changed_at: at(0),
    };
    store.set_recipient(recipient).await.unwrap();
    store.create_broadcast(broadcast_to(1, BroadcastAudience::All)).await.unwrap();
    let broadcast = unfinished_broadcast(&*store).await;
    let acceptances = fan_out_step(&*store, &broadcast, 9, 1).await.unwrap();
    assert_eq!(acceptances[0], Acceptance::Suppressed(RecipientStatus::OptedOut));
    let (broadcast, counts) = store.broadcast(id(1)).await.unwrap().unwrap();
    assert_eq!((broadcast.messages, broadcast.refused), (1, 1));
    assert_eq!(counts.messages, 1);
}

pub async fn broadcasts_are_listed_newest_first(open: OpenStore<'_>) {
    let store = open();
    for number in 1..=3 {
        store.create_broadcast(broadcast_to(number, BroadcastAudience::All)).await.unwrap();
    }
    let first_page = store.broadcasts(None, None, 2).await.unwrap();
    let listed_ids = first_page.iter().map(|broadcast| broadcast.id).collect::<Vec<_>>();
    assert_eq!(listed_ids, [id(3), id(2)]);
    let last_page = store.broadcasts(None, Some(first_page[1].number), 2).await.unwrap();
    assert_eq!(last_page.iter().map(|broadcast| broadcast.id).collect::<Vec<_>>(), [id(1)]);
}

pub async fn an_old_broadcast_is_deleted_after_its_messages(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben"]).await;
    store.create_broadcast(broadcast_to(1, listed(&["ana", "ben"]))).await.unwrap();
    let broadcast = unfinished_broadcast(&*store).await;
    assert_eq!(delete_all_expired(&*store).await, 0, "its fan-out is not complete");
    fan_out_step(&*store, &broadcast, 9, 10).await;
    claim_and_fail(&*store, first_delivery(&*store, 10).await.id, Failure::Rejected, at(1)).await;
    assert_eq!(store.prune(at(99_999), at(99_999), 9).await.unwrap(), 1);
    assert_eq!(delete_all_expired(&*store).await, 0, "one of its messages waits");
    let (half_pruned_broadcast, counts) = store.broadcast(id(1)).await.unwrap().unwrap();
    assert_eq!((half_pruned_broadcast.messages, counts.messages), (2, 1));
    claim_and_fail(&*store, first_delivery(&*store, 11).await.id, Failure::Rejected, at(1)).await;
    assert_eq!(store.prune(at(99_999), at(99_999), 9).await.unwrap(), 1);
    assert_eq!(delete_all_expired(&*store).await, 1);
    assert_eq!(delete_all_expired(&*store).await, 0);
    assert_eq!(store.broadcast(id(1)).await.unwrap(), None);
    assert!(!store.users_with_id("ana").await.unwrap().is_empty(), "users stay");
}

async fn delete_all_expired(store: &dyn Store) -> usize {
    store.delete_expired(at(99_999), at(99_999), 9).await.unwrap()
}
