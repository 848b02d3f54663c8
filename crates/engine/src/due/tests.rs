//! Tests of workers that share a store but no queue.

use std::time::Duration;

use super::*;
use crate::testing::{GatewayBuilder, open_store, request_over};
use crate::{accept, config::Config, deliver::claim};

/// Returns two gateways on one store, each with its own queue in memory.
async fn two_gateways(folder: &tempfile::TempDir) -> (Gateway, Gateway) {
    let gateway = |seed| {
        let store = open_store(folder.path());
        async move { GatewayBuilder::new(Config::test_mode()).seed(seed).wire(&store).await }
    };
    (gateway(1).await, gateway(2).await)
}

async fn accept_message(gateway: &Gateway) {
    accept::accept(gateway, request_over("sms")).await.unwrap();
}

#[tokio::test]
async fn a_worker_whose_queue_is_outdated_reads_the_store() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = two_gateways(&folder).await;
    for _ in 0..10 {
        accept_message(&first).await;
    }
    let second_due = find_due(&second, &1, Duration::ZERO).await;
    let outdated = second_due.ids.clone();
    assert_eq!((outdated.len(), second_due.more), (1, MoreDue::PushedToQueue), "one now, nine in its queue");
    let first_due = find_due(&first, &10, Duration::ZERO).await;
    assert_eq!(claim(&first, first_due.ids).await.len(), 10);

    let won = claim(&second, second_due.ids).await.len();
    let more = second_due.more.after_claim(won, 1);
    assert_eq!((won, more), (0, MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND)));
    accept_message(&first).await;
    let from_store = find_more_due(&second, &1, more).await;
    assert_eq!(claim(&second, from_store.ids).await.len(), 1, "the new one, not an entry of its queue");
    assert_eq!(from_store.more, MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND - 1));
    let last_due = find_more_due(&second, &1, from_store.more).await;
    assert_eq!((last_due.ids.len(), last_due.more), (0, MoreDue::NoneKnown));
}

#[tokio::test]
async fn a_worker_with_many_slots_notices_that_more_is_due() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = two_gateways(&folder).await;
    for _ in 0..QUEUE_REFILL_MAX + 2 {
        accept_message(&first).await;
    }
    let second_due = find_due(&second, &QUEUE_REFILL_MAX, Duration::ZERO).await;
    assert_eq!((second_due.ids.len(), second_due.more), (QUEUE_REFILL_MAX, MoreDue::PushedToQueue));
}

#[test]
fn a_queue_is_not_outdated_if_more_than_half_of_its_entries_were_claimed() {
    assert_eq!(MoreDue::NoneKnown.after_claim(0, 0), MoreDue::NoneKnown);
    assert_eq!(MoreDue::NoneKnown.after_claim(3, 5), MoreDue::NoneKnown);
    assert_eq!(MoreDue::DeliveredByQueue.after_claim(2, 5), MoreDue::QueueBehind(STORE_POLLS_WHEN_BEHIND));
    assert_eq!(
        MoreDue::QueueBehind(3).after_claim(0, 5),
        MoreDue::QueueBehind(3),
        "the remaining reads are kept"
    );
}
