//! The cache inside one process, limited in bytes. It is the default cache.
//!
//! A full cache evicts the entries that expire first. A value larger than the limit is not kept.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::cache::Cache;

/// Estimated memory of one entry in addition to its key and its value, in bytes.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Values in memory, limited in bytes.
pub(super) struct MemoryCache {
    entries: Mutex<CacheEntries>,
    bytes_max: usize,
}

/// Values with their expiry by key, and keys by expiry.
#[derive(Default)]
struct CacheEntries {
    values: HashMap<Arc<str>, (Instant, Vec<u8>)>,
    by_expiry: BTreeSet<(Instant, Arc<str>)>,
    bytes: usize,
}

impl MemoryCache {
    /// Returns an empty cache that holds at most `bytes_max` bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { entries: Mutex::default(), bytes_max }
    }
}

impl CacheEntries {
    fn remove(&mut self, cache_key: &str) {
        if let Some((cache_key, (expires_at, cached_value))) = self.values.remove_entry(cache_key) {
            self.bytes -= entry_bytes(&cache_key, &cached_value);
            self.by_expiry.remove(&(expires_at, cache_key));
        }
    }

    fn insert(&mut self, cache_key: Arc<str>, cached_value: &[u8], expires_at: Instant) {
        self.bytes += entry_bytes(&cache_key, cached_value);
        self.by_expiry.insert((expires_at, Arc::clone(&cache_key)));
        self.values.insert(cache_key, (expires_at, cached_value.to_vec()));
    }

    fn evict_next_to_expire(&mut self) {
        if let Some((_, key)) = self.by_expiry.first().cloned() {
            self.remove(&key);
        }
    }
}

fn entry_bytes(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_OVERHEAD_BYTES
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let cache_entries = self.entries.lock();
        let (expires_at, value) = cache_entries.values.get(key)?;
        (*expires_at > Instant::now()).then(|| value.clone())
    }

    async fn set(&self, cache_key: &str, cached_value: &[u8], keep: Duration) {
        let mut cache_entries = self.entries.lock();
        cache_entries.remove(cache_key);
        let needed_bytes = entry_bytes(cache_key, cached_value);
        let Some(expires_at) = Instant::now().checked_add(keep) else {
            return;
        };
        if needed_bytes > self.bytes_max {
            log::debug!("memory cache: value too large: bytes={}", cached_value.len());
            return;
        }
        while cache_entries.bytes + needed_bytes > self.bytes_max {
            cache_entries.evict_next_to_expire();
        }
        cache_entries.insert(cache_key.into(), cached_value, expires_at);
    }

    async fn ping(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
