//! A queue at its worst: entries are lost, repeated, made up, brought late and in any order.
//!
//! All that is left of the trait's promises is that it returns.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use postrider::clock::Timestamp;
use postrider::domain::id::DeliveryId;
use postrider::domain::message::Nudge;
use postrider::domain::wish::Appetite;
use postrider::queue::Queue;

use super::world::World;

/// The one queue of all hosts.
pub struct Rumours {
    world: Arc<World>,
    told: Mutex<Vec<DeliveryId>>,
}

impl Rumours {
    pub fn new(world: &Arc<World>) -> Self {
        Self {
            world: Arc::clone(world),
            told: Mutex::default(),
        }
    }

    /// Everything in it is gone, as when Redis is flushed.
    pub fn forget(&self) {
        self.told.lock().unwrap().clear();
    }
}

#[async_trait]
impl Queue for Rumours {
    fn push(&self, nudges: &[Nudge]) {
        let mut told = self.told.lock().unwrap();
        for nudge in nudges {
            let times = self.world.between(-1, 2).max(0);
            told.extend((0..times).map(|_| nudge.id));
        }
    }

    async fn flush(&self, _wait: Duration) -> bool {
        true
    }

    fn ring(&self) {}

    async fn pop(&self, appetite: &dyn Appetite, _now: Timestamp, _wait: Duration) -> Vec<DeliveryId> {
        let limit = appetite.wish().limit;
        self.world.stage.gate().await;
        let mut told = self.told.lock().unwrap();
        let mut popped = Vec::new();
        if self.world.chance(0.02) {
            popped.push(DeliveryId(self.world.between(-2, 100_000)));
        }
        while popped.len() < limit && self.world.chance(0.8) {
            let Some(any) = self.world.pick(told.len()) else {
                break;
            };
            popped.push(told[any]);
            if self.world.chance(0.9) {
                told.swap_remove(any);
            }
        }
        popped
    }

    async fn depth(&self) -> Option<u64> {
        None
    }
}
