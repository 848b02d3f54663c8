//! The rules of a queue, one test function each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::id::DeliveryId;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;

use super::{
    NO_WAIT, ObservedCapacity, SHORT_WAIT, TEST_TIMEOUT, TestQueue, entries_on, entry, entry_due_now,
    entry_on, name, pause, test_start, test_time,
};

pub async fn due_ids_come_in_order_of_their_due_time(test: TestQueue) {
    test.push(
        &[(1, 20), (2, 10), (3, 30), (4, 31)].map(|(id, due)| entry(id, test_time(due), Priority::Normal)),
    )
    .await;
    assert_eq!(test.pop(10, test_time(30)).await, [2, 1, 3]);
    assert_eq!(test.pop(10, test_time(30)).await, [0; 0]);
    assert_eq!(test.pop(10, test_time(31)).await, [4]);
}

pub async fn high_priority_comes_first(test: TestQueue) {
    test.push(&[
        entry(1, test_time(0), Priority::Normal),
        entry(2, test_time(9), Priority::High),
        entry(3, test_time(99), Priority::High),
    ])
    .await;
    assert_eq!(test.pop(10, test_time(10)).await, [2, 1]);
}

pub async fn a_pop_returns_at_most_the_limit(test: TestQueue) {
    test.push(&[
        entry(1, test_start(), Priority::High),
        entry(2, test_start(), Priority::High),
        entry(3, test_start(), Priority::Normal),
        entry(4, test_time(1), Priority::Normal),
    ])
    .await;
    assert_eq!(test.pop(3, test_time(1)).await, [1, 2, 3]);
    assert_eq!(test.pop(3, test_time(1)).await, [4]);
    assert_eq!(test.pop(0, test_time(1)).await, [0; 0]);
}

pub async fn an_id_is_queued_once_and_the_earlier_time_wins(test: TestQueue) {
    test.push(&[entry(1, test_time(50), Priority::Normal)]).await;
    test.push(&[entry(1, test_time(10), Priority::Normal)]).await;
    test.push(&[entry(1, test_time(90), Priority::Normal)]).await;
    assert_eq!(test.queue.depth().await, Some(1));
    assert_eq!(test.pop(10, test_time(10)).await, [1]);
    assert_eq!(test.pop(10, test_time(99)).await, [0; 0]);
}

pub async fn the_higher_priority_wins_too(test: TestQueue) {
    test.push(&[entry(1, test_time(5), Priority::Normal)]).await;
    test.push(&[entry(1, test_time(9), Priority::High), entry(2, test_time(1), Priority::Normal)]).await;
    test.push(&[entry(1, test_time(7), Priority::Normal)]).await;
    assert_eq!(test.queue.depth().await, Some(2));
    assert_eq!(test.pop(10, test_time(5)).await, [1, 2]);
}

pub async fn a_popped_id_can_be_pushed_again(test: TestQueue) {
    test.push(&[entry_due_now(7)]).await;
    assert_eq!(test.pop(10, test_start()).await, [7]);
    test.push(&[entry_due_now(7)]).await;
    assert_eq!(test.pop(10, test_start()).await, [7]);
}

pub async fn any_number_can_be_an_id(test: TestQueue) {
    let ids = [i64::MAX, 1, i64::MAX - 1];
    test.push(&ids.map(entry_due_now)).await;
    let mut taken = test.pop(10, test_start()).await;
    taken.sort_unstable();
    assert_eq!(taken, [1, i64::MAX - 1, i64::MAX]);
}

pub async fn a_push_wakes_a_waiting_worker(test: TestQueue) {
    let source = ObservedCapacity::new(Capacity::total(10));
    let (queue, capacity) = (test.queue.clone(), source.clone());
    let pop = tokio::spawn(async move { queue.pop(&*capacity, test_start(), TEST_TIMEOUT).await });
    source.wait_until_popping().await;
    let start = Instant::now();
    test.push(&[entry_due_now(3)]).await;
    assert_eq!(pop.await.expect("a worker"), [DeliveryId(3)]);
    assert!(start.elapsed() < TEST_TIMEOUT / 2, "notified, not timed out");
}

pub async fn a_due_time_wakes_a_waiting_worker(test: TestQueue) {
    test.push(&[entry(4, test_time(60), Priority::Normal)]).await;
    let start = Instant::now();
    assert_eq!(test.queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(4)]);
    let elapsed = start.elapsed();
    assert!(elapsed >= Duration::from_millis(60), "not before it is due: {elapsed:?}");
    assert!(elapsed < TEST_TIMEOUT / 2, "soon after it is due: {elapsed:?}");
}

pub async fn an_earlier_push_shortens_the_wait(test: TestQueue) {
    test.push(&[entry(1, test_time(3_600_000), Priority::Normal)]).await;
    let queue = test.queue.clone();
    let pop = tokio::spawn(async move { queue.pop(&10, test_start(), TEST_TIMEOUT).await });
    tokio::task::yield_now().await;
    test.push(&[entry(1, test_time(40), Priority::Normal)]).await;
    assert_eq!(pop.await.expect("a worker"), [DeliveryId(1)]);
}

pub async fn a_wait_without_work_ends_empty(test: TestQueue) {
    let start = Instant::now();
    assert!(test.queue.pop(&10, test_start(), SHORT_WAIT).await.is_empty());
    assert!(start.elapsed() >= SHORT_WAIT);
}

pub async fn a_cancelled_pop_loses_nothing(test: TestQueue) {
    let cancelled = tokio::time::timeout(SHORT_WAIT, test.queue.pop(&10, test_start(), TEST_TIMEOUT)).await;
    cancelled.expect_err("nothing is due yet");
    test.push(&[entry_due_now(8)]).await;
    assert_eq!(test.queue.pop(&10, test_start(), TEST_TIMEOUT).await, [DeliveryId(8)]);
}

pub async fn no_id_is_returned_to_two_workers(test: TestQueue) {
    let all: Vec<QueueEntry> = (0..3_000).map(entry_due_now).collect();
    test.push(&all).await;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = test.queue.clone();
            tokio::spawn(async move {
                let mut popped = Vec::new();
                loop {
                    let taken = queue.pop(&64, test_start(), NO_WAIT).await;
                    if taken.is_empty() {
                        return popped;
                    }
                    popped.extend(taken);
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for worker in workers {
        taken.extend(worker.await.expect("a worker").iter().map(|id| id.0));
    }
    taken.sort_unstable();
    assert_eq!(taken, (0..3_000).collect::<Vec<_>>());
}

/// The window is three.
pub async fn a_full_window_keeps_the_first_entries(test: TestQueue) {
    test.push(&[10, 20, 30, 40].map(|due| entry(due, test_time(due), Priority::Normal))).await;
    assert_eq!(test.queue.depth().await, Some(3));
    test.push(&[entry(15, test_time(15), Priority::Normal), entry(99, test_time(99), Priority::High)]).await;
    assert_eq!(test.pop(10, test_time(100)).await, [99, 10, 15]);
}

/// The window is three: the flood gets what the other channels leave.
pub async fn a_flood_in_one_channel_displaces_no_other_channel(test: TestQueue) {
    test.push(&entries_on("flood", 1, 50)).await;
    let later = entry_on("calm", 101, test_time(9), Priority::Normal);
    test.push(&[later]).await;
    test.push(&entries_on("flood", 60, 50)).await;
    assert_eq!(test.queue.depth().await, Some(3));
    let calm = Capacity::total(10).with_channel(name("flood"), 0);
    assert_eq!(test.pop_with_capacity(&calm, test_time(9)).await, [101]);
    assert_eq!(test.pop(10, test_time(9)).await.len(), 2);
}

pub async fn channels_are_served_in_turn(test: TestQueue) {
    test.push(&entries_on("flood", 1, 500)).await;
    test.push(&entries_on("calm", 1_001, 5)).await;
    test.push(&entries_on("quiet", 2_001, 1)).await;
    let taken = test.pop(9, test_start()).await;
    let count_of = |first: i64| {
        let ids = taken.iter().filter(|id| (first..first + 1_000).contains(*id));
        ids.count()
    };
    assert_eq!((count_of(2_001), count_of(1_001), count_of(1)), (1, 4, 4), "{taken:?}");
    let singles =
        [test.pop(1, test_start()).await, test.pop(1, test_start()).await, test.pop(1, test_start()).await];
    assert!(singles.iter().any(|id| id[0] > 1_000), "also one at a time: {singles:?}");
}

pub async fn a_channel_without_capacity_is_skipped(test: TestQueue) {
    test.push(&entries_on("full", 1, 50)).await;
    test.push(&entries_on("some", 1_001, 50)).await;
    let capacity = Capacity::total(10).with_channel(name("full"), 0).with_channel(name("some"), 3);
    assert_eq!(test.pop_with_capacity(&capacity, test_start()).await, [1_001, 1_002, 1_003]);
    test.push(&entries_on("unlisted", 2_001, 1)).await;
    let taken = test.pop_with_capacity(&capacity, test_start()).await;
    assert_eq!(taken.len(), 4, "a channel without a limit of its own is free: {taken:?}");
    assert!(!taken.contains(&1));
}

pub async fn high_priority_of_one_channel_comes_before_normal_of_another(test: TestQueue) {
    test.push(&entries_on("a", 1, 5)).await;
    test.push(&[entry_on("b", 9, test_time(5), Priority::High)]).await;
    assert_eq!(test.pop(1, test_time(5)).await, [9]);
    test.push(&[entry_on("b", 9, test_time(5), Priority::High)]).await;
    let capacity = Capacity::total(1).with_channel(name("b"), 0);
    assert_eq!(
        test.pop_with_capacity(&capacity, test_time(5)).await,
        [1],
        "a channel without capacity is skipped"
    );
}

pub async fn a_channel_without_capacity_does_not_shorten_the_wait(test: TestQueue) {
    test.push(&entries_on("full", 1, 5)).await;
    let capacity = Capacity::total(10).with_channel(name("full"), 0);
    let counting = CountingCapacity { capacity, calls: AtomicUsize::new(0) };
    assert!(test.queue.pop(&counting, test_start(), SHORT_WAIT).await.is_empty());
    assert!(counting.calls.load(Ordering::Relaxed) < 10, "it waits instead of polling");
}

/// A capacity that counts how often it is read.
struct CountingCapacity {
    capacity: Capacity,
    calls: AtomicUsize,
}

impl CapacitySource for CountingCapacity {
    fn capacity(&self) -> Capacity {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.capacity.clone()
    }
}

/// A capacity without room for one channel until it is switched on.
struct SwitchableCapacity {
    is_on: AtomicBool,
    read: Notify,
}

impl CapacitySource for SwitchableCapacity {
    fn capacity(&self) -> Capacity {
        self.read.notify_one();
        let limit = if self.is_on.load(Ordering::SeqCst) { 10 } else { 0 };
        Capacity::total(10).with_channel(name("sms"), limit)
    }
}

pub async fn a_notification_makes_a_waiting_worker_read_its_capacity_again(test: TestQueue) {
    test.push(&[entry_due_now(5)]).await;
    let switch = Arc::new(SwitchableCapacity { is_on: AtomicBool::new(false), read: Notify::new() });
    let (queue, source) = (test.queue.clone(), switch.clone());
    let pop = tokio::spawn(async move { queue.pop(&*source, test_start(), TEST_TIMEOUT).await });
    switch.read.notified().await;
    pause().await;
    assert!(!pop.is_finished());
    switch.is_on.store(true, Ordering::SeqCst);
    let start = Instant::now();
    test.queue.notify_one();
    assert_eq!(pop.await.expect("a worker"), [DeliveryId(5)]);
    assert!(start.elapsed() < TEST_TIMEOUT / 2, "notified, not timed out");
}
