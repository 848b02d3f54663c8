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
use super::lanes::Lanes;
use crate::clock::Timestamp;
use crate::domain::id::DeliveryId;
use crate::domain::message::Nudge;
use crate::domain::wish::{Appetite, Wish};

/// A window of ids and a bell for those who wait.
pub(super) struct Memory {
    lanes: Mutex<Lanes>,
    bell: Notify,
}

impl Memory {
    /// An empty queue that holds at most `window` ids.
    pub fn new(window: usize) -> Self {
        Self {
            lanes: Mutex::new(Lanes::new(window)),
            bell: Notify::new(),
        }
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is due, and how long until the next one is. Rings on for another worker when more is due.
    fn take(&self, wish: &Wish, now: i64) -> (Vec<DeliveryId>, Option<Duration>) {
        let mut lanes = self.lanes();
        let taken = lanes.take(wish, now);
        let next = lanes.next_due(wish);
        drop(lanes);
        if !taken.is_empty() && next.is_some_and(|due| due <= now) {
            self.bell.notify_one();
        }
        let until =
            next.map(|due| Duration::from_millis(u64::try_from(due.saturating_sub(now)).unwrap_or(0)));
        (taken, until)
    }
}

#[async_trait]
impl Queue for Memory {
    fn push(&self, nudges: &[Nudge]) {
        let mut lanes = self.lanes();
        let brought = nudges.iter().fold(false, |any, nudge| lanes.push(nudge) | any);
        drop(lanes);
        if brought {
            self.bell.notify_one();
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn ring(&self) {
        self.bell.notify_one();
    }

    async fn pop(&self, appetite: &dyn Appetite, now: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        let began = Instant::now();
        loop {
            let passed = began.elapsed();
            let wish = appetite.wish();
            let (taken, next) = self.take(&wish, super::later(now, passed));
            if !taken.is_empty() || wish.limit == 0 || passed >= wait {
                return taken;
            }
            let left = wait - passed;
            let _rung = timeout(next.map_or(left, |until| until.min(left)), self.bell.notified()).await;
        }
    }

    async fn depth(&self) -> Option<u64> {
        u64::try_from(self.lanes().len()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::contract::{self, Place, queue_contract};

    queue_contract!(async |window| Place::alone(std::sync::Arc::new(Memory::new(window))));

    #[tokio::test]
    async fn a_push_of_several_wakes_several_workers() {
        let queue = std::sync::Arc::new(Memory::new(100));
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.pop(&1, contract::noon(), contract::LONG).await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.push(&[1, 2, 3, 4].map(contract::due_now));
        for worker in workers {
            assert_eq!(worker.await.expect("worker").len(), 1);
        }
    }
}
