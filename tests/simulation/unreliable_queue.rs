//! A queue that loses, repeats, invents, delays and reorders entries.
//!
//! It keeps only one guarantee of the trait: each call returns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postrider_core::capacity::CapacitySource;
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;
use postrider_queue::Queue;

use super::context::SimulationContext;

/// The queue that all hosts share.
pub struct UnreliableQueue {
    context: Arc<SimulationContext>,
    entries: Mutex<Vec<DeliveryId>>,
}

impl UnreliableQueue {
    pub fn new(context: &Arc<SimulationContext>) -> Self {
        Self { context: Arc::clone(context), entries: Mutex::default() }
    }

    /// Removes all entries, as a flush of Redis does.
    pub fn clear(&self) {
        self.entries.lock().unwrap().clear();
    }
}

#[async_trait]
impl Queue for UnreliableQueue {
    fn push(&self, new_entries: &[QueueEntry]) {
        let mut entries = self.entries.lock().unwrap();
        for entry in new_entries {
            let copies = self.context.random_between(-1, 2).max(0);
            entries.extend((0..copies).map(|_| entry.id));
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn notify_one(&self) {}

    async fn pop(&self, capacity: &dyn CapacitySource, _now: Timestamp, _wait: Duration) -> Vec<DeliveryId> {
        let limit = capacity.capacity().limit;
        self.context.scheduler.yield_point().await;
        let mut entries = self.entries.lock().unwrap();
        let mut popped = Vec::new();
        if self.context.chance(0.02) {
            popped.push(DeliveryId(self.context.random_between(-2, 100_000)));
        }
        while popped.len() < limit && self.context.chance(0.8) {
            let Some(index) = self.context.random_index(entries.len()) else {
                break;
            };
            popped.push(entries[index]);
            if self.context.chance(0.9) {
                entries.swap_remove(index);
            }
        }
        popped
    }

    async fn depth(&self) -> Option<u64> {
        None
    }
}
