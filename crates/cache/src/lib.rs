//! A memory that may be lost: rendered pages and hot look-ups.
//!
//! A miss, an outage, or garbage in it never changes what is shown, only how fast. So nothing here returns an
//! error, and everything is sealed before it goes in: what does not open with the store's own secret is a miss.

mod memcached;
mod memory;
mod signed;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prometheus_client::metrics::counter::Counter;

use postrider_core::error::{Error, Result};

pub use signed::SignedCache;

/// How much memory the cache inside the process may take, in bytes.
const MEMORY_CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What every cache can do. `contract.rs` decides what a cache is.
#[async_trait]
pub trait Cache: Send + Sync {
    /// What is kept under the key, unless it is lost, outdated or out of reach.
    async fn get(&self, key: &str) -> Option<Vec<u8>>;

    /// Keeps a value for at most `keep`.
    async fn set(&self, key: &str, value: &[u8], keep: Duration);

    /// Whether it can be reached now.
    async fn ping(&self) -> bool;

    /// Counts how often it was found away or refused something. What is in the process itself never is.
    fn errors(&self) -> Counter {
        Counter::default()
    }
}

/// The cache an URL names: `memory:` or `memcache://HOST:PORT`. A memcached that is away is no error: it is
/// logged when it is asked, and used as soon as it is there. Goes into a [`Sealed`] before it is used.
pub fn open(url: &str) -> Result<Arc<dyn Cache>> {
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match scheme {
        "memory" => Ok(Arc::new(memory::MemoryCache::new(MEMORY_CACHE_BYTES_MAX))),
        "memcache" => Ok(Arc::new(memcached::MemcachedCache::open(url)?)),
        _ => Err(Error::usage(
            "the cache url must be `memory:` or `memcache://HOST:PORT`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_url_is_refused_with_the_remedy() {
        for url in ["", "memory", "redis://host", "memcache:", "secret@host"] {
            let refusal = open(url).err().expect(url);
            assert!(refusal.chain().contains("memcache://"), "{url}");
            assert!(!refusal.chain().contains("secret"));
        }
        assert!(open("memory:").is_ok());
    }
}
