//! The queue inside one process: a limited number of entries behind one short lock. It is the default queue.
//!
//! It is fast enough for every accepted message. Its content is lost when the process ends; the deliveries are then
//! found in the store.

mod channel_queues;
mod due_queue;

use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use self::channel_queues::ChannelQueues;
use crate::queue::Queue;
use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;

/// Entries in memory and a notification for waiting workers.
pub(super) struct MemoryQueue {
    channels: Mutex<ChannelQueues>,
    notify: Notify,
}

impl MemoryQueue {
    /// Returns an empty queue that holds at most `window` entries.
    pub fn new(window: usize) -> Self {
        Self { channels: Mutex::new(ChannelQueues::new(window)), notify: Notify::new() }
    }

    /// Returns due ids and the time until the next id is due. If more ids are due, wakes another worker.
    fn pop_due(&self, capacity: &Capacity, now_ms: i64) -> (Vec<DeliveryId>, Option<Duration>) {
        let mut channels = self.channels.lock();
        let due_ids = channels.pop_due(capacity, now_ms);
        let next_due_ms = channels.next_due(capacity);
        drop(channels);
        if !due_ids.is_empty() && next_due_ms.is_some_and(|due_ms| due_ms <= now_ms) {
            self.notify.notify_one();
        }
        let until_next_ms =
            next_due_ms.map(|due_ms| u64::try_from(due_ms.saturating_sub(now_ms)).unwrap_or(0));
        (due_ids, until_next_ms.map(Duration::from_millis))
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn push(&self, entries: &[QueueEntry]) {
        let mut channels = self.channels.lock();
        let has_changed = entries.iter().fold(false, |any, entry| channels.push(entry) | any);
        drop(channels);
        if has_changed {
            self.notify.notify_one();
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn notify_one(&self) {
        self.notify.notify_one();
    }

    async fn pop(&self, source: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let wait_start = Instant::now();
        loop {
            let elapsed = wait_start.elapsed();
            let capacity = source.capacity();
            let (ids, until_next) = self.pop_due(&capacity, saturating_add(now, elapsed).timestamp_millis());
            if !ids.is_empty() || capacity.limit == 0 || elapsed >= wait {
                return ids;
            }
            let remaining = wait - elapsed;
            let pause = until_next.map_or(remaining, |until| until.min(remaining));
            let _notified = timeout(pause, self.notify.notified()).await;
        }
    }

    async fn depth(&self) -> Option<u64> {
        u64::try_from(self.channels.lock().len()).ok()
    }
}

#[cfg(test)]
mod tests;
