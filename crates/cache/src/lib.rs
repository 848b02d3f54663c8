//! Caches: memory and memcached, for rendered pages and frequent look-ups.
//!
//! A cache may lose its content at any time. A miss, an outage or an invalid value makes an answer slower but never
//! changes it, so no function returns an error. Values are signed with the store's secret ([`SignedCache`]).

mod cache;
mod memcached;
mod memory;
mod signed_cache;
mod store_secret;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::sync::Arc;

use postrider_core::error::{Error, Result};

pub use cache::Cache;
pub use signed_cache::SignedCache;
pub use store_secret::StoreSecret;

/// Limit of the memory cache, in bytes.
const MEMORY_CACHE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Opens the cache of a URL: `memory:` or `memcache://HOST:PORT`. Wrap it in a [`SignedCache`] before use.
///
/// # Errors
/// Returns an error if the URL is invalid. An unreachable memcached is not an error: the outage is logged, and the
/// cache is used as soon as the server answers.
pub fn open(url: &str) -> Result<Arc<dyn Cache>> {
    match url.split_once(':').map_or("", |(scheme, _)| scheme) {
        "memory" => Ok(Arc::new(memory::MemoryCache::new(MEMORY_CACHE_BYTES_MAX))),
        "memcache" => Ok(Arc::new(memcached::MemcachedCache::open(url)?)),
        _ => Err(Error::usage("the cache url must be `memory:` or `memcache://HOST:PORT`")),
    }
}

#[cfg(test)]
mod tests;
