//! The interface of every cache.

use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;

/// A key-value memory that may lose its content. The conformance suite in `testing.rs` defines its behaviour.
#[async_trait]
pub trait Cache: Send + Sync {
    /// Returns the value of a key; none when it was lost, has expired or cannot be reached.
    async fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value for at most `keep`. If the value is too large, it is not kept, and the old value of the key is
    /// removed.
    async fn set(&self, key: &str, value: &[u8], keep: Duration);

    /// Returns whether the cache can be reached now.
    async fn ping(&self) -> bool;

    /// Returns the counter of outages and rejected commands; always 0 for a cache inside the process.
    fn errors(&self) -> Counter {
        Counter::default()
    }
}
