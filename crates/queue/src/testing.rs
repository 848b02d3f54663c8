//! The conformance suite of queues: every backend passes it.
//!
//! `queue_conformance!` takes a closure that opens an empty queue with a window and expands to one test for each function
//! of [`conformance`], so that a failure names the rule and the backend.
#![allow(clippy::expect_used, clippy::panic, missing_docs)]

pub mod conformance;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::testing::backend_server::BackendServer;

use crate::queue::Queue;

/// Deadline of everything that is expected to happen.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

const NO_WAIT: Duration = Duration::ZERO;
const SHORT_WAIT: Duration = Duration::from_millis(30);

/// A queue and the server behind it.
pub struct TestQueue {
    pub queue: Arc<dyn Queue>,
    /// Dropped after the queue.
    _server: Option<BackendServer>,
}

impl TestQueue {
    pub fn new(queue: Arc<dyn Queue>) -> Self {
        Self { queue, _server: None }
    }

    pub fn with_server(server: BackendServer, queue: Arc<dyn Queue>) -> Self {
        Self { queue, _server: Some(server) }
    }

    pub async fn push(&self, entries: &[QueueEntry]) {
        self.queue.push(entries);
        assert!(self.queue.flush(TEST_TIMEOUT).await, "the entries reach the queue");
    }

    pub async fn pop(&self, limit: usize, now: Timestamp) -> Vec<i64> {
        self.pop_with_capacity(&limit, now).await
    }

    /// Pops what is due without waiting.
    pub async fn pop_with_capacity(&self, source: &dyn CapacitySource, now: Timestamp) -> Vec<i64> {
        let ids = self.queue.pop(source, now, NO_WAIT).await;
        ids.iter().map(|id| id.0).collect()
    }
}

pub fn test_start() -> Timestamp {
    test_time(0)
}

/// Returns the time so many milliseconds after [`test_start`].
pub fn test_time(millis: i64) -> Timestamp {
    from_millis(1_790_000_000_000 + millis)
}

pub fn entry(id: i64, due_at: Timestamp, priority: Priority) -> QueueEntry {
    entry_on("sms", id, due_at, priority)
}

pub fn entry_on(channel: &str, id: i64, due_at: Timestamp, priority: Priority) -> QueueEntry {
    QueueEntry { id: DeliveryId(id), channel: name(channel), due_at, priority }
}

fn name(channel: &str) -> ConfigName {
    channel.parse().expect("a name")
}

/// Returns entries with ids from `first` on that are due now.
fn entries_on(channel: &str, first: i64, count: i64) -> Vec<QueueEntry> {
    let ids = first..first + count;
    ids.map(|id| entry_on(channel, id, test_start(), Priority::Normal)).collect()
}

pub fn entry_due_now(id: i64) -> QueueEntry {
    entry(id, test_start(), Priority::Normal)
}

/// A capacity that notifies when it is read, which a pop does before it waits.
pub struct ObservedCapacity {
    capacity: Capacity,
    read: Notify,
}

impl ObservedCapacity {
    pub fn new(capacity: Capacity) -> Arc<Self> {
        Arc::new(Self { capacity, read: Notify::new() })
    }

    /// Waits until a pop has read the capacity and has had time to look into the queue.
    pub async fn wait_until_popping(&self) {
        self.read.notified().await;
        pause().await;
    }
}

async fn pause() {
    postrider_core::clock::sleep(SHORT_WAIT).await;
}

impl CapacitySource for ObservedCapacity {
    fn capacity(&self) -> Capacity {
        self.read.notify_one();
        self.capacity.clone()
    }
}

/// Expands to the conformance tests of a queue. Takes an async closure that returns an empty [`TestQueue`] with the given
/// window.
#[macro_export]
macro_rules! queue_conformance {
    ($open:expr) => {
        $crate::queue_conformance!($open, 100_000:
            due_ids_come_in_order_of_their_due_time
            high_priority_comes_first
            a_pop_returns_at_most_the_limit
            an_id_is_queued_once_and_the_earlier_time_wins
            the_higher_priority_wins_too
            a_popped_id_can_be_pushed_again
            any_number_can_be_an_id
            a_push_wakes_a_waiting_worker
            a_due_time_wakes_a_waiting_worker
            an_earlier_push_shortens_the_wait
            a_wait_without_work_ends_empty
            a_cancelled_pop_loses_nothing
            no_id_is_returned_to_two_workers
            channels_are_served_in_turn
            a_channel_without_capacity_is_skipped
            high_priority_of_one_channel_comes_before_normal_of_another
            a_channel_without_capacity_does_not_shorten_the_wait
            a_notification_makes_a_waiting_worker_read_its_capacity_again
        );
        $crate::queue_conformance!($open, 3:
            a_full_window_keeps_the_first_entries
            a_flood_in_one_channel_displaces_no_other_channel
        );
    };
    ($open:expr, $window:literal: $($test:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $crate::testing::conformance::$test($open($window).await).await;
        }
    )+};
}
