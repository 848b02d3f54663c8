//! A memory that may be lost: rendered pages and hot look-ups.
//!
//! A miss, an outage, or garbage in it never changes what is shown, only how fast. So nothing here returns an
//! error, and everything is sealed before it goes in: what does not open with the store's own secret is a miss.

use std::time::Duration;

use async_trait::async_trait;

/// What every cache can do. `contract.rs` decides what a cache is.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key, unless it is lost, outdated or out of reach.
    async fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value for at most `keep`.
    async fn set(&self, key: &str, value: &[u8], keep: Duration);

    /// Whether it can be reached now.
    async fn ping(&self) -> bool;
}
