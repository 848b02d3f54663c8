//! A queue at its worst: entries are lost, repeated, made up, brought late and in any order.
//!
//! All that is left of the trait's promises is that it returns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::capacity::CapacitySource;
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;
use postrider_queue::Queue;

use super::context::SimulationContext;

/// The one queue of all hosts.
pub struct UnreliableQueue {
    context: Arc<SimulationContext>,
    entries: Mutex<Vec<DeliveryId>>,
}

impl UnreliableQueue {
    pub fn new(world: &Arc<SimulationContext>) -> Self {
        Self {
            context: Arc::clone(world),
            entries: Mutex::default(),
        }
    }

    /// Everything in it is gone, as when Redis is flushed.
    pub fn clear(&self) {
        self.entries.lock().unwrap().clear();
    }
}

#[async_trait]
impl Queue for UnreliableQueue {
    fn push(&self, nudges: &[QueueEntry]) {
        let mut told = self.entries.lock().unwrap();
        for nudge in nudges {
            let times = self.context.random_between(-1, 2).max(0);
            told.extend((0..times).map(|_| nudge.id));
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn notify_one(&self) {}

    async fn pop(&self, appetite: &dyn CapacitySource, _now: Timestamp, _wait: Duration) -> Vec<DeliveryId> {
        let limit = appetite.capacity().limit;
        self.context.scheduler.yield_point().await;
        let mut told = self.entries.lock().unwrap();
        let mut popped = Vec::new();
        if self.context.chance(0.02) {
            popped.push(DeliveryId(self.context.random_between(-2, 100_000)));
        }
        while popped.len() < limit && self.context.chance(0.8) {
            let Some(any) = self.context.random_index(told.len()) else {
                break;
            };
            popped.push(told[any]);
            if self.context.chance(0.9) {
                told.swap_remove(any);
            }
        }
        popped
    }

    async fn depth(&self) -> Option<u64> {
        None
    }
}
