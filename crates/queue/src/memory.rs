//! The queue inside one process: a window of ids under one short lock.
//!
//! The default, and fast enough to stand on the way of every accepted message. It forgets everything when
//! the process ends, which costs nothing: the store is asked then. Never grows past its window.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::Queue;
use super::channel_queues::ChannelQueues;
use postrider_core::capacity::{Capacity, CapacitySource};
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;

/// A window of ids and a bell for those who wait.
pub(super) struct MemoryQueue {
    channels: Mutex<ChannelQueues>,
    notify: Notify,
}

impl MemoryQueue {
    /// An empty queue that holds at most `window` ids.
    pub fn new(window: usize) -> Self {
        Self {
            channels: Mutex::new(ChannelQueues::new(window)),
            notify: Notify::new(),
        }
    }

    fn channels(&self) -> MutexGuard<'_, ChannelQueues> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due, and how long until the next one is. Rings on for another worker when more is due.
    fn pop_due(&self, wish: &Capacity, now: i64) -> (Vec<DeliveryId>, Option<Duration>) {
        let mut lanes = self.channels();
        let taken = lanes.pop_due(wish, now);
        let next = lanes.next_due(wish);
        drop(lanes);
        if !taken.is_empty() && next.is_some_and(|due| due <= now) {
            self.notify.notify_one();
        }
        let until =
            next.map(|due| Duration::from_millis(u64::try_from(due.saturating_sub(now)).unwrap_or(0)));
        (taken, until)
    }
}

#[async_trait]
impl Queue for MemoryQueue {
    fn push(&self, nudges: &[QueueEntry]) {
        let mut lanes = self.channels();
        let brought = nudges.iter().fold(false, |any, nudge| lanes.push(nudge) | any);
        drop(lanes);
        if brought {
            self.notify.notify_one();
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn notify_one(&self) {
        self.notify.notify_one();
    }

    async fn pop(&self, appetite: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let began = Instant::now();
        loop {
            let passed = began.elapsed();
            let wish = appetite.capacity();
            let (taken, next) = self.pop_due(&wish, super::millis_after(now, passed));
            if !taken.is_empty() || wish.limit == 0 || passed >= wait {
                return taken;
            }
            let left = wait - passed;
            let _rung = timeout(next.map_or(left, |until| until.min(left)), self.notify.notified()).await;
        }
    }

    async fn depth(&self) -> Option<u64> {
        u64::try_from(self.channels().len()).ok()
    }
}

#[cfg(test)]
mod tests;
