//! The interface of every queue.

use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;

use postrider_core::capacity::CapacitySource;
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;

/// A queue of due deliveries that may lose entries. The conformance suite in `testing.rs` defines its behaviour.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Adds entries. Returns at once: a background task sends them to a remote queue in batches. An id that is already
    /// in the queue is not added again; its entry keeps the earlier of the two due times.
    fn push(&self, entries: &[QueueEntry]);

    /// Waits at most `wait` until the pushed entries have reached the queue. Returns whether they have.
    async fn flush(&self, wait: Duration) -> bool;

    /// Removes and returns ids that are due at `now`, within the capacity of `source`: high priority first, the channels
    /// in turn, by due time within a channel. If no id is due, waits up to `wait` and reads the capacity again before each
    /// look. Returns an empty list if nothing became due or the queue cannot be reached.
    async fn pop(&self, source: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId>;

    /// Wakes one caller of [`Queue::pop`] in this process, because its capacity has grown.
    fn notify_one(&self);

    /// Returns the number of entries; none if the queue cannot be reached.
    async fn depth(&self) -> Option<u64>;

    /// Returns why a reachable queue does not keep all entries, and the remedy; `None` if it keeps all entries.
    async fn problem(&self) -> Option<String> {
        None
    }

    /// Returns the counter of outages and rejected commands; always 0 for a queue inside the process.
    fn errors(&self) -> Counter {
        Counter::default()
    }
}
