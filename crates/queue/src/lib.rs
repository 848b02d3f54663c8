//! The nudge: ids of deliveries that are due, so that workers need not ask the store all the time.
//!
//! Never the truth: whatever is lost here is found again by the store's `due`. So nothing here returns an
//! error; a loss is logged inside and costs time only.

mod channel_queues;
mod due_queue;
mod memory;
mod redis;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;

use postrider_core::capacity::CapacitySource;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, Result};
use postrider_core::id::DeliveryId;
use postrider_core::queue_entry::QueueEntry;

/// What every queue can do. `contract.rs` decides what a queue is.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Puts nudges in. Returns at once: a network is reached later, in batches, by a task of the queue's own.
    /// An id that stands in the queue already is not put in twice; the earlier due time wins.
    fn push(&self, nudges: &[QueueEntry]);

    /// Waits until what was pushed has reached the queue, at most `wait`; whether it did.
    async fn flush(&self, wait: Duration) -> bool;

    /// Takes ids that are due at `now`, as many as are wished for: high priority first, from the channels in
    /// turn, within a channel by due time. A channel without room is left alone. When there is none it waits up
    /// to `wait` for one, and asks for the wish anew whenever it looks again. Empty when there was none, or when
    /// the queue cannot be reached.
    async fn pop(&self, appetite: &dyn CapacitySource, now: Timestamp, wait: Duration) -> Vec<DeliveryId>;

    /// Makes one who waits in `pop` in this process look again: it can take on more than before.
    fn notify_one(&self);

    /// How many ids stand in it; none when it cannot be reached.
    async fn depth(&self) -> Option<u64>;

    /// Counts how often it was found away or refused something. What is in the process itself never is.
    fn errors(&self) -> Counter {
        Counter::default()
    }
}

/// The queue an URL names, `memory:` or `redis://…`, holding at most `window` ids. A Redis that is away is
/// no error: it is logged, and used as soon as it is there.
pub async fn open(url: &str, window: usize) -> Result<Arc<dyn Queue>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    let server = scheme.split(['+', '-']).next().unwrap_or_default();
    match server {
        "memory" => Ok(Arc::new(memory::MemoryQueue::new(window))),
        "redis" | "rediss" | "valkey" | "valkeys" | "unix" => {
            Ok(Arc::new(redis::RedisQueue::open(url, window).await?))
        }
        _ => Err(Error::usage(
            "the queue url must be `memory:` or `redis://HOST:PORT/DB`",
        )),
    }
}

/// The moment `passed` after `now`, in milliseconds: the caller's clock goes on while a pop waits.
fn millis_after(now: Timestamp, passed: Duration) -> i64 {
    now.timestamp_millis()
        .saturating_add(i64::try_from(passed.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests;
