//! What a queue is: one suite that every backend passes.
//!
//! `queue_conformance!` takes a closure that opens an empty queue with a window, and makes one test of each
//! promise, so that a failure names the promise and the backend.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::time::Instant;

use super::Queue;
use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::testing::backend_server::BackendServer;

/// Longer than any test waits for something that does happen.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const NO_WAIT: Duration = Duration::ZERO;
const SHORT_WAIT: Duration = Duration::from_millis(30);

/// A queue with what it needs to live.
pub struct TestQueue {
    pub queue: Arc<dyn Queue>,
    /// The server behind it, dropped after the queue.
    _server: Option<BackendServer>,
}

impl TestQueue {
    pub fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, _server: None }
    }

    pub fn with_server(peer: BackendServer, queue: Arc<dyn Queue>) -> Self {
        Self {
            queue,
            _server: Some(peer),
        }
    }

    pub async fn push(&self, nudges: &[QueueEntry]) {
        self.queue.push(nudges);
        assert!(self.queue.flush(TEST_TIMEOUT).await, "what was pushed arrives");
    }

    pub async fn pop(&self, limit: usize, now: Timestamp) -> Vec<i64> {
        self.pop_with_capacity(&limit, now).await
    }

    /// Takes what is wished for; the ids of the channels come in no order worth testing.
    pub async fn pop_with_capacity(&self, appetite: &dyn CapacitySource, now: Timestamp) -> Vec<i64> {
        let taken = self.queue.pop(appetite, now, NO_WAIT).await;
        taken.iter().map(|id| id.0).collect()
    }
}

pub fn test_start() -> Timestamp {
    from_millis(1_790_000_000_000)
}

pub fn test_time(millis: i64) -> Timestamp {
    test_start() + TimeDelta::milliseconds(millis)
}

pub fn entry(id: i64, due_at: Timestamp, priority: Priority) -> QueueEntry {
    entry_on("sms", id, due_at, priority)
}

pub fn entry_on(channel: &str, id: i64, due_at: Timestamp, priority: Priority) -> QueueEntry {
    QueueEntry {
        id: DeliveryId(id),
        channel: name(channel),
        due_at,
        priority,
    }
}

fn name(channel: &str) -> ConfigName {
    channel.parse().expect("a name")
}

/// Ids from `first` on that are due now on a channel.
fn entries_on(channel: &str, first: i64, count: i64) -> Vec<QueueEntry> {
    let ids = first..first + count;
    ids.map(|id| entry_on(channel, id, test_start(), Priority::Normal))
        .collect()
}

pub fn entry_due_now(id: i64) -> QueueEntry {
    entry(id, test_start(), Priority::Normal)
}

pub async fn what_is_due_comes_by_due_time(place: TestQueue) {
    place
        .push(
            &[(1, 20), (2, 10), (3, 30), (4, 31)]
                .map(|(id, due)| entry(id, test_time(due), Priority::Normal)),
        )
        .await;
    assert_eq!(place.pop(10, test_time(30)).await, [2, 1, 3]);
    assert_eq!(place.pop(10, test_time(30)).await, [0; 0]);
    assert_eq!(place.pop(10, test_time(31)).await, [4]);
}

pub async fn high_priority_goes_first(place: TestQueue) {
    place
        .push(&[
            entry(1, test_time(0), Priority::Normal),
            entry(2, test_time(9), Priority::High),
            entry(3, test_time(99), Priority::High),
        ])
        .await;
    assert_eq!(place.pop(10, test_time(10)).await, [2, 1]);
}

pub async fn no_more_than_the_limit_is_taken(place: TestQueue) {
    place
        .push(&[
            entry(1, test_start(), Priority::High),
            entry(2, test_start(), Priority::High),
            entry(3, test_start(), Priority::Normal),
            entry(4, test_time(1), Priority::Normal),
        ])
        .await;
    assert_eq!(place.pop(3, test_time(1)).await, [1, 2, 3]);
    assert_eq!(place.pop(3, test_time(1)).await, [4]);
    assert_eq!(place.pop(0, test_time(1)).await, [0; 0]);
}

pub async fn an_id_stands_in_it_once_and_the_earlier_time_wins(place: TestQueue) {
    place.push(&[entry(1, test_time(50), Priority::Normal)]).await;
    place.push(&[entry(1, test_time(10), Priority::Normal)]).await;
    place.push(&[entry(1, test_time(90), Priority::Normal)]).await;
    assert_eq!(place.queue.depth().await, Some(1));
    assert_eq!(place.pop(10, test_time(10)).await, [1]);
    assert_eq!(place.pop(10, test_time(99)).await, [0; 0]);
}

pub async fn the_higher_priority_wins_too(place: TestQueue) {
    place.push(&[entry(1, test_time(5), Priority::Normal)]).await;
    place
        .push(&[
            entry(1, test_time(9), Priority::High),
            entry(2, test_time(1), Priority::Normal),
        ])
        .await;
    place.push(&[entry(1, test_time(7), Priority::Normal)]).await;
    assert_eq!(place.queue.depth().await, Some(2));
    assert_eq!(place.pop(10, test_time(5)).await, [1, 2]);
}

pub async fn a_taken_id_can_be_pushed_again(place: TestQueue) {
    place.push(&[entry_due_now(7)]).await;
    assert_eq!(place.pop(10, test_start()).await, [7]);
    place.push(&[entry_due_now(7)]).await;
    assert_eq!(place.pop(10, test_start()).await, [7]);
}

pub async fn any_number_can_be_an_id(place: TestQueue) {
    let ids = [i64::MAX, 1, i64::MAX - 1];
    place.push(&ids.map(entry_due_now)).await;
    let mut taken = place.pop(10, test_start()).await;
    taken.sort_unstable();
    assert_eq!(taken, [1, i64::MAX - 1, i64::MAX]);
}

pub async fn a_push_wakes_who_waits(place: TestQueue) {
    let waiter = place.queue.clone();
    let pop = tokio::spawn(async move { waiter.pop(&10, test_start(), TEST_TIMEOUT).await });
    tokio::time::timeout(SHORT_WAIT, std::future::pending::<()>())
        .await
        .expect_err("a breath, so that it waits");
    let began = Instant::now();
    place.push(&[entry_due_now(3)]).await;
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(3)]);
    assert!(
        began.elapsed() < TEST_TIMEOUT / 2,
        "a ring, not the end of the wait"
    );
}

pub async fn a_due_time_wakes_who_waits(place: TestQueue) {
    place.push(&[entry(4, test_time(60), Priority::Normal)]).await;
    let began = Instant::now();
    assert_eq!(
        place.queue.pop(&10, test_start(), TEST_TIMEOUT).await,
        [DeliveryId(4)]
    );
    let passed = began.elapsed();
    assert!(
        passed >= Duration::from_millis(60),
        "not before it is due: {passed:?}"
    );
    assert!(passed < TEST_TIMEOUT / 2, "soon after it is due: {passed:?}");
}

pub async fn an_earlier_push_shortens_the_wait(place: TestQueue) {
    place
        .push(&[entry(1, test_time(3_600_000), Priority::Normal)])
        .await;
    let waiter = place.queue.clone();
    let pop = tokio::spawn(async move { waiter.pop(&10, test_start(), TEST_TIMEOUT).await });
    tokio::task::yield_now().await;
    place.push(&[entry(1, test_time(40), Priority::Normal)]).await;
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(1)]);
}

pub async fn a_wait_without_work_ends_empty(place: TestQueue) {
    let began = Instant::now();
    assert!(place.queue.pop(&10, test_start(), SHORT_WAIT).await.is_empty());
    assert!(began.elapsed() >= SHORT_WAIT);
}

pub async fn a_pop_that_is_given_up_takes_nothing_along(place: TestQueue) {
    let given_up = tokio::time::timeout(SHORT_WAIT, place.queue.pop(&10, test_start(), TEST_TIMEOUT)).await;
    given_up.expect_err("nothing to take yet");
    place.push(&[entry_due_now(8)]).await;
    assert_eq!(
        place.queue.pop(&10, test_start(), TEST_TIMEOUT).await,
        [DeliveryId(8)]
    );
}

pub async fn no_id_goes_to_two_workers(place: TestQueue) {
    let all: Vec<QueueEntry> = (0..3_000).map(entry_due_now).collect();
    place.push(&all).await;
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let queue = place.queue.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let taken = queue.pop(&64, test_start(), NO_WAIT).await;
                    if taken.is_empty() {
                        return mine;
                    }
                    mine.extend(taken);
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

/// Takes a queue with a window of three.
pub async fn a_full_window_keeps_what_goes_first(place: TestQueue) {
    place
        .push(&[10, 20, 30, 40].map(|due| entry(due, test_time(due), Priority::Normal)))
        .await;
    assert_eq!(place.queue.depth().await, Some(3));
    place
        .push(&[
            entry(15, test_time(15), Priority::Normal),
            entry(99, test_time(99), Priority::High),
        ])
        .await;
    assert_eq!(place.pop(10, test_time(100)).await, [99, 10, 15]);
}

/// Takes a queue with a window of three: the flood keeps what is left by the others.
pub async fn a_flood_in_one_channel_drives_no_other_out(place: TestQueue) {
    place.push(&entries_on("flood", 1, 50)).await;
    let later = entry_on("calm", 101, test_time(9), Priority::Normal);
    place.push(&[later]).await;
    place.push(&entries_on("flood", 60, 50)).await;
    assert_eq!(place.queue.depth().await, Some(3));
    let calm = Capacity::total(10).with_channel(name("flood"), 0);
    assert_eq!(place.pop_with_capacity(&calm, test_time(9)).await, [101]);
    assert_eq!(place.pop(10, test_time(9)).await.len(), 2);
}

pub async fn channels_are_taken_from_in_turn(place: TestQueue) {
    place.push(&entries_on("flood", 1, 500)).await;
    place.push(&entries_on("calm", 1_001, 5)).await;
    place.push(&entries_on("quiet", 2_001, 1)).await;
    let taken = place.pop(9, test_start()).await;
    let of = |first: i64| {
        let ids = taken.iter().filter(|id| (first..first + 1_000).contains(*id));
        ids.count()
    };
    assert_eq!((of(2_001), of(1_001), of(1)), (1, 4, 4), "{taken:?}");
    let singles = [
        place.pop(1, test_start()).await,
        place.pop(1, test_start()).await,
        place.pop(1, test_start()).await,
    ];
    assert!(
        singles.iter().any(|id| id[0] > 1_000),
        "also one by one: {singles:?}"
    );
}

pub async fn a_channel_without_room_is_left_alone(place: TestQueue) {
    place.push(&entries_on("full", 1, 50)).await;
    place.push(&entries_on("some", 1_001, 50)).await;
    let wish = Capacity::total(10)
        .with_channel(name("full"), 0)
        .with_channel(name("some"), 3);
    assert_eq!(
        place.pop_with_capacity(&wish, test_start()).await,
        [1_001, 1_002, 1_003]
    );
    place.push(&entries_on("unheard-of", 2_001, 1)).await;
    let taken = place.pop_with_capacity(&wish, test_start()).await;
    assert_eq!(taken.len(), 4, "a channel nobody spoke of is free: {taken:?}");
    assert!(!taken.contains(&1));
}

pub async fn high_priority_of_one_channel_goes_before_normal_of_another(place: TestQueue) {
    place.push(&entries_on("a", 1, 5)).await;
    place
        .push(&[entry_on("b", 9, test_time(5), Priority::High)])
        .await;
    assert_eq!(place.pop(1, test_time(5)).await, [9]);
    place
        .push(&[entry_on("b", 9, test_time(5), Priority::High)])
        .await;
    let wish = Capacity::total(1).with_channel(name("b"), 0);
    assert_eq!(
        place.pop_with_capacity(&wish, test_time(5)).await,
        [1],
        "unless it has no room"
    );
}

pub async fn a_wait_is_not_cut_short_by_a_channel_without_room(place: TestQueue) {
    place.push(&entries_on("full", 1, 5)).await;
    let wish = Capacity::total(10).with_channel(name("full"), 0);
    let waits = CountingCapacity {
        capacity: wish,
        calls: AtomicUsize::new(0),
    };
    assert!(place.queue.pop(&waits, test_start(), SHORT_WAIT).await.is_empty());
    assert!(
        waits.calls.load(Ordering::Relaxed) < 10,
        "it waits, it does not spin"
    );
}

/// Counts how often it was asked.
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

/// Wants nothing of a channel until it is told to.
struct SwitchableCapacity(AtomicBool);

impl CapacitySource for SwitchableCapacity {
    fn capacity(&self) -> Capacity {
        let room = if self.0.load(Ordering::SeqCst) { 10 } else { 0 };
        Capacity::total(10).with_channel(name("sms"), room)
    }
}

pub async fn a_ring_makes_who_waits_wish_anew(place: TestQueue) {
    place.push(&[entry_due_now(5)]).await;
    let appetite = Arc::new(SwitchableCapacity(AtomicBool::new(false)));
    let (waiter, wish) = (place.queue.clone(), appetite.clone());
    let pop = tokio::spawn(async move { waiter.pop(&*wish, test_start(), TEST_TIMEOUT).await });
    tokio::time::timeout(SHORT_WAIT, std::future::pending::<()>())
        .await
        .expect_err("a breath, so that it waits");
    assert!(!pop.is_finished());
    appetite.0.store(true, Ordering::SeqCst);
    let began = Instant::now();
    place.queue.notify_one();
    assert_eq!(pop.await.expect("the waiter"), [DeliveryId(5)]);
    assert!(
        began.elapsed() < TEST_TIMEOUT / 2,
        "a ring, not the end of the wait"
    );
}

/// One test of each promise for the backend that the closure opens.
macro_rules! queue_conformance {
    ($open:expr) => {
        queue_conformance!($open, 100_000:
            what_is_due_comes_by_due_time
            high_priority_goes_first
            no_more_than_the_limit_is_taken
            an_id_stands_in_it_once_and_the_earlier_time_wins
            the_higher_priority_wins_too
            a_taken_id_can_be_pushed_again
            any_number_can_be_an_id
            a_push_wakes_who_waits
            a_due_time_wakes_who_waits
            an_earlier_push_shortens_the_wait
            a_wait_without_work_ends_empty
            a_pop_that_is_given_up_takes_nothing_along
            no_id_goes_to_two_workers
            channels_are_taken_from_in_turn
            a_channel_without_room_is_left_alone
            high_priority_of_one_channel_goes_before_normal_of_another
            a_wait_is_not_cut_short_by_a_channel_without_room
            a_ring_makes_who_waits_wish_anew
        );
        queue_conformance!($open, 3: a_full_window_keeps_what_goes_first a_flood_in_one_channel_drives_no_other_out);
    };
    ($open:expr, $window:literal: $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            testing::$promise($open($window).await).await;
        }
    )+};
}
pub(super) use queue_conformance;
