//! Conformance tests of user throttles.

use std::{sync::Arc, time::Duration};

use super::fixtures::*;
use crate::{MessageQuery, Store};
use postrider_core::clock::Timestamp;
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::user_throttle::ThrottleWait;

const HOUR: Duration = Duration::from_secs(3600);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Returns a message to a user with a limit per hour.
fn to_user(number: u64, user: u8, limit: u32, now: Timestamp) -> NewMessage {
    let mut message = sms(number);
    message.created_at = now;
    message.throttles = vec![hourly(user, limit)];
    message
}

fn throttled(retry_after: Duration) -> Acceptance {
    Acceptance::Throttled(ThrottleWait { retry_after, is_spending_limit: false })
}

async fn accept_one(store: &dyn Store, message: NewMessage) -> Acceptance {
    store.accept(vec![message]).await.unwrap().remove(0)
}

/// Returns for each result whether the message was stored.
fn which_stored(acceptances: &[Acceptance]) -> Vec<bool> {
    let is_stored = |acceptance: &Acceptance| matches!(acceptance, Acceptance::Stored { .. });
    acceptances.iter().map(is_stored).collect()
}

async fn count_messages(store: &dyn Store) -> usize {
    let query = MessageQuery { limit: 10_000, ..MessageQuery::default() };
    store.search(query).await.unwrap().messages.len()
}

pub async fn a_user_throttle_allows_exactly_its_limit_in_any_hour(open: OpenStore<'_>) {
    let store = open();
    // One per second, in batches of fifty.
    for batch in 0..6 {
        let batch =
            (batch * 50..batch * 50 + 50).map(|number| to_user(number, 1, 300, at(number.cast_signed())));
        let results = store.accept(batch.collect()).await.unwrap();
        assert!(which_stored(&results).iter().all(|stored| *stored), "{results:?}");
    }
    let refusal = accept_one(&*store, to_user(300, 1, 300, at(300))).await;
    assert_eq!(refusal, throttled(Duration::from_secs(3300)));
    let early_message = to_user(301, 1, 300, at(3600) - MILLISECOND);
    assert_eq!(accept_one(&*store, early_message).await, throttled(MILLISECOND));
    // The oldest message has left the window, so one more is accepted, and then one for each that leaves.
    accepted(&*store, to_user(302, 1, 300, at(3600))).await;
    let message_at_limit = to_user(303, 1, 300, at(3600));
    assert_eq!(accept_one(&*store, message_at_limit).await, throttled(Duration::from_secs(1)));
    accepted(&*store, to_user(304, 1, 300, at(3601))).await;
    assert_eq!(count_messages(&*store).await, 302);
}

pub async fn users_have_separate_throttles(open: OpenStore<'_>) {
    let store = open();
    accepted(&*store, to_user(1, 1, 1, at(0))).await;
    assert_eq!(accept_one(&*store, to_user(2, 1, 1, at(0))).await, throttled(HOUR));
    accepted(&*store, to_user(3, 2, 1, at(0))).await;
    accepted(&*store, sms(4)).await;
}

pub async fn a_changed_limit_applies_at_once(open: OpenStore<'_>) {
    let store = open();
    for number in 0..4 {
        accepted(&*store, to_user(number, 1, 4, at(number.cast_signed()))).await;
    }
    // With a limit of two, three of the four have to leave the window.
    let with_lower_limit = accept_one(&*store, to_user(4, 1, 2, at(10))).await;
    assert_eq!(with_lower_limit, throttled(Duration::from_secs(3592)));
    accepted(&*store, to_user(5, 1, 5, at(10))).await;
    let with_higher_limit = accept_one(&*store, to_user(6, 1, 5, at(10))).await;
    assert_eq!(with_higher_limit, throttled(Duration::from_secs(3590)));
}

pub async fn a_replay_does_not_count_and_works_at_the_limit(open: OpenStore<'_>) {
    let store = open();
    let mut first_message = to_user(1, 1, 2, at(0));
    first_message.idempotency = idempotency_key(1, 1);
    let number = accepted(&*store, first_message).await.message_number();
    let again = |number| {
        let mut again = to_user(number, 1, 2, at(1));
        again.idempotency = idempotency_key(1, 1);
        again
    };
    let replayed = Acceptance::Replayed { id: id(1), number };
    assert_eq!(accept_one(&*store, again(2)).await, replayed);
    accepted(&*store, to_user(3, 1, 2, at(1))).await;
    assert_eq!(accept_one(&*store, again(4)).await, replayed);
    assert!(matches!(accept_one(&*store, to_user(5, 1, 2, at(1))).await, Acceptance::Throttled(_)));
}

pub async fn a_throttled_message_is_not_stored(open: OpenStore<'_>) {
    let store = open();
    accepted(&*store, to_user(1, 1, 1, at(0))).await;
    let late = |number, now| {
        let mut late = to_user(number, 1, 1, now);
        late.idempotency = idempotency_key(1, 1);
        late
    };
    // Two messages with the same key in one batch: both are throttled.
    let results = store.accept(vec![late(2, at(0)), late(3, at(0))]).await.unwrap();
    assert_eq!(results, [throttled(HOUR), throttled(HOUR)]);
    assert_eq!(count_messages(&*store).await, 1);
    assert_eq!(store.find_message(id(2)).await.unwrap(), None);
    assert_eq!(store.due(at(1), &postrider_core::capacity::Capacity::total(9)).await.unwrap().len(), 1);
    // Its key is not stored either: the same request succeeds after the wait.
    let mut second = late(4, at(3600));
    second.idempotency.as_mut().unwrap().expires_at = at(9999);
    accepted(&*store, second).await;
    // Throttled messages do not prolong the wait.
    assert_eq!(accept_one(&*store, to_user(5, 1, 1, at(3600))).await, throttled(HOUR));
}

pub async fn a_throttled_message_affects_no_other_of_its_batch(open: OpenStore<'_>) {
    let store = open();
    let batch =
        vec![sms(1), to_user(2, 1, 1, at(0)), to_user(3, 1, 1, at(0)), to_user(4, 2, 1, at(0)), sms(5)];
    let results = store.accept(batch).await.unwrap();
    assert_eq!(which_stored(&results), [true, true, false, true, true]);
    for (number, is_stored) in [(1, true), (2, true), (3, false), (4, true), (5, true)] {
        assert_eq!(store.find_message(id(number)).await.unwrap().is_some(), is_stored, "message {number}");
    }
}

pub async fn a_message_counts_under_all_its_throttles_or_under_none(open: OpenStore<'_>) {
    let store = open();
    let message_with_two_throttles = |number| {
        let mut message_with_two_throttles = to_user(number, 1, 2, at(0));
        message_with_two_throttles.throttles.push(hourly(2, 1));
        message_with_two_throttles
    };
    accepted(&*store, message_with_two_throttles(1)).await;
    assert_eq!(accept_one(&*store, message_with_two_throttles(2)).await, throttled(HOUR));
    accepted(&*store, to_user(3, 1, 2, at(0))).await;
    assert_eq!(accept_one(&*store, to_user(4, 1, 2, at(0))).await, throttled(HOUR));
}

pub async fn concurrent_accepts_stay_within_the_limit(open: OpenStore<'_>) {
    let stores = [open(), open()];
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..8_u64 {
        let store = Arc::clone(&stores[usize::from(client % 2 == 0)]);
        clients.spawn(async move {
            let mut stored_count = 0;
            for index in 0..60 {
                let number = client * 1000 + index;
                // Two throttles in both orders, which could deadlock.
                let mut message = to_user(number, 1, 300, at(index.cast_signed()));
                message.throttles.push(hourly(2, 1000));
                if number % 2 == 0 {
                    message.throttles.reverse();
                }
                stored_count +=
                    usize::from(matches!(accept_one(&*store, message).await, Acceptance::Stored { .. }));
            }
            stored_count
        });
    }
    let stored_count = clients.join_all().await.into_iter().sum::<usize>();
    assert_eq!((stored_count, count_messages(&*stores[0]).await), (300, 300));
}
