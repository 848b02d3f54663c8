//! Delivery queues: ids of due deliveries, so that workers need not query the store continuously.
//!
//! A queue may lose its content at any time: the store finds every due delivery again. A loss only delays deliveries,
//! so it is logged and no function returns an error.

mod memory;
mod queue;
mod redis;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

use postrider_core::error::{Error, Result};

pub use queue::Queue;

/// Opens the queue of a URL: `memory:` or `redis://…`. It holds at most `window` entries.
///
/// # Errors
/// Returns an error if the URL is invalid. An unreachable Redis is not an error: the outage is logged, and the queue is
/// used as soon as the server answers.
pub async fn open(url: &str, window: usize) -> Result<Arc<dyn Queue>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme.split(['+', '-']).next().unwrap_or_default() {
        "memory" => Ok(Arc::new(memory::MemoryQueue::new(window))),
        "redis" | "rediss" | "valkey" | "valkeys" | "unix" => {
            Ok(Arc::new(redis::RedisQueue::open(url, window).await?))
        }
        _ => Err(Error::usage("the queue url must be `memory:` or `redis://HOST:PORT/DB`")),
    }
}

#[cfg(test)]
mod tests;
