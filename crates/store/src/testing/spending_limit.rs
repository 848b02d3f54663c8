//! Conformance tests of the spending limits of an API key.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, TimeDelta};

use super::broadcasts::{broadcast_to, register_all};
use super::fixtures::*;
use crate::Store;
use postrider_core::broadcast::{BroadcastAcceptance, BroadcastAudience, NewBroadcast};
use postrider_core::clock::Timestamp;
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::user_throttle::{ThrottleCounting, ThrottleWait, UserThrottle};

/// Returns a limit of text parts per minute that a request of `parts` parts counts for.
fn per_minute(limit: u32, parts: u32) -> UserThrottle {
    let window = Duration::from_secs(60);
    UserThrottle { subject: [9; 32], limit, window, counting: ThrottleCounting::Parts(parts) }
}

fn limited(number: u64, limit: u32, parts: u32, now: Timestamp) -> NewMessage {
    NewMessage { created_at: now, throttles: vec![per_minute(limit, parts)], ..sms(number) }
}

fn limit_reached(seconds: u64) -> Acceptance {
    let retry_after = Duration::from_secs(seconds);
    Acceptance::Throttled(ThrottleWait { retry_after, is_spending_limit: true })
}

async fn accept_one(store: &dyn Store, message: NewMessage) -> Acceptance {
    store.accept(vec![message]).await.unwrap().remove(0)
}

pub async fn a_spending_limit_counts_the_parts_of_a_minute(open: OpenStore<'_>) {
    let store = open();
    accepted(&*store, limited(1, 10, 4, at(0))).await;
    accepted(&*store, limited(2, 10, 4, at(20))).await;
    assert_eq!(accept_one(&*store, limited(3, 10, 3, at(20))).await, limit_reached(40));
    // What was refused does not count.
    accepted(&*store, limited(4, 10, 2, at(20))).await;
    assert_eq!(accept_one(&*store, limited(5, 10, 1, at(59))).await, limit_reached(1));
    accepted(&*store, limited(6, 10, 10, at(60))).await;
    // A message of a process whose clock is slightly behind counts in the newest minute.
    assert_eq!(accept_one(&*store, limited(7, 10, 1, at(59))).await, limit_reached(61));
    // More than the whole limit is never accepted.
    assert_eq!(accept_one(&*store, limited(8, 10, 11, at(120))).await, limit_reached(60));
}

pub async fn a_spending_limit_counts_the_parts_of_a_calendar_month(open: OpenStore<'_>) {
    let store = open();
    let december = DateTime::parse_from_rfc3339("2026-12-01T00:00:00Z").unwrap().to_utc();
    let seconds_after = |seconds: i64| december + TimeDelta::seconds(seconds);
    let limited = |number: u64, parts: u32, now: Timestamp| {
        let counting = ThrottleCounting::PartsOfMonth(parts);
        let per_month = UserThrottle { counting, ..per_minute(10, parts) };
        NewMessage { created_at: now, throttles: vec![per_month], ..sms(number) }
    };
    accepted(&*store, limited(1, 6, seconds_after(-30 * 86_400))).await;
    accepted(&*store, limited(2, 4, seconds_after(-60))).await;
    assert_eq!(accept_one(&*store, limited(3, 1, seconds_after(-60))).await, limit_reached(60));
    accepted(&*store, limited(4, 9, seconds_after(0))).await;
    // A message of a process whose clock is slightly behind counts in the newest month.
    assert_eq!(accept_one(&*store, limited(5, 2, seconds_after(-1))).await, limit_reached(31 * 86_400 + 1));
    accepted(&*store, limited(6, 1, seconds_after(31 * 86_400 - 1))).await;
    accepted(&*store, limited(7, 10, seconds_after(31 * 86_400))).await;
}

pub async fn a_batch_stays_within_the_spending_limit(open: OpenStore<'_>) {
    let store = open();
    let batch = (0..5).map(|number| limited(number, 10, 3, at(0))).collect();
    let results = store.accept(batch).await.unwrap();
    let stored = results.iter().filter(|result| matches!(result, Acceptance::Stored { .. })).count();
    assert_eq!((stored, &results[3..]), (3, &[limit_reached(60), limit_reached(60)][..]));
}

pub async fn a_broadcast_counts_for_all_its_users_or_not_at_all(open: OpenStore<'_>) {
    let store = open();
    register_all(&*store, &["ana", "ben", "cid"]).await;
    let limited = |number, limit| NewBroadcast {
        throttles: vec![per_minute(limit, 2)],
        idempotency: idempotency_key(1, 1),
        created_at: at(0),
        ..broadcast_to(number, BroadcastAudience::All)
    };
    let refused = store.create_broadcast(limited(1, 5)).await.unwrap();
    assert_eq!(refused, BroadcastAcceptance::Throttled { retry_after: Duration::from_secs(60) });
    assert_eq!(store.broadcasts(None, None, 9).await.unwrap(), []);
    // The refused request did not use up its idempotency key, and its replay does not count.
    let stored = store.create_broadcast(limited(2, 6)).await.unwrap();
    assert_eq!(stored, BroadcastAcceptance::Stored { users: 3 });
    let replayed = store.create_broadcast(limited(3, 6)).await.unwrap();
    assert_eq!(replayed, BroadcastAcceptance::Replayed { id: id(2) });
    let message = NewMessage { throttles: vec![per_minute(6, 1)], ..sms(4) };
    assert_eq!(accept_one(&*store, message).await, limit_reached(60));
}

pub async fn processes_together_stay_within_the_spending_limit(open: OpenStore<'_>) {
    let stores = [open(), open()];
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..8_u64 {
        let store = Arc::clone(&stores[usize::from(client % 2 == 0)]);
        clients.spawn(async move {
            let mut accepted_parts = 0;
            for index in 0..30 {
                let parts = u32::try_from(index % 3 + 1).unwrap();
                let message = limited(client * 1_000 + index, 100, parts, at(0));
                if matches!(accept_one(&*store, message).await, Acceptance::Stored { .. }) {
                    accepted_parts += parts;
                }
            }
            accepted_parts
        });
    }
    assert_eq!(clients.join_all().await.into_iter().sum::<u32>(), 100);
}
