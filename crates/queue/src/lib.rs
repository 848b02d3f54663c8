//! Delivery queues: ids of due deliveries, so that workers need not query the store all the time.
//!
//! A queue may lose its content at any time: the store finds every due delivery again. No function returns an error; a
//! loss is logged and only costs time.

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
/// The URL is invalid. An unreachable Redis is not an error: it is logged, and used as soon as it answers.
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
