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
    fn remove(&mut self, key: &str) {
        if let Some((key, (expires_at, value))) = self.values.remove_entry(key) {
            self.bytes -= entry_bytes(&key, &value);
            self.by_expiry.remove(&(expires_at, key));
        }
    }

    fn insert(&mut self, key: Arc<str>, value: &[u8], expires_at: Instant) {
        self.bytes += entry_bytes(&key, value);
        self.by_expiry.insert((expires_at, Arc::clone(&key)));
        self.values.insert(key, (expires_at, value.to_vec()));
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
        let entries = self.entries.lock();
        let (expires_at, value) = entries.values.get(key)?;
        (*expires_at > Instant::now()).then(|| value.clone())
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut entries = self.entries.lock();
        entries.remove(key);
        let needed_bytes = entry_bytes(key, value);
        let Some(expires_at) = Instant::now().checked_add(keep) else {
            return;
        };
        if needed_bytes > self.bytes_max {
            log::debug!("memory cache: value too large: bytes={}", value.len());
            return;
        }
        while entries.bytes + needed_bytes > self.bytes_max {
            entries.evict_next_to_expire();
        }
        entries.insert(key.into(), value, expires_at);
    }

    async fn ping(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests;
