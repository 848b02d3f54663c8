//! The cache inside one process: values up to a number of bytes, each until its time is over.
//!
//! The default. When it is full, what would be lost soonest anyway goes first. It never holds more than its
//! limit, and a value larger than the limit is not kept at all.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::Cache;

/// What one entry takes beside its key, kept twice, and its value, in bytes: a round figure.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// Values by key, and the keys by the end of their time.
pub(super) struct MemoryCache {
    entries: Mutex<CacheEntries>,
    bytes_max: usize,
}

#[derive(Default)]
struct CacheEntries {
    values: HashMap<Arc<str>, (Instant, Vec<u8>)>,
    by_expiry: BTreeSet<(Instant, Arc<str>)>,
    bytes: usize,
}

impl MemoryCache {
    /// An empty cache that takes at most `bytes_max` of memory.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            entries: Mutex::default(),
            bytes_max,
        }
    }

    fn entries(&self) -> MutexGuard<'_, CacheEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CacheEntries {
    fn remove(&mut self, key: &str) {
        if let Some((key, (end, value))) = self.values.remove_entry(key) {
            self.bytes -= entry_bytes(&key, &value);
            self.by_expiry.remove(&(end, key));
        }
    }

    fn insert(&mut self, key: Arc<str>, value: &[u8], end: Instant) {
        self.bytes += entry_bytes(&key, value);
        self.by_expiry.insert((end, Arc::clone(&key)));
        self.values.insert(key, (end, value.to_vec()));
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
        let shelf = self.entries();
        let (end, value) = shelf.values.get(key)?;
        (*end > Instant::now()).then(|| value.clone())
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut shelf = self.entries();
        shelf.remove(key);
        let needed = entry_bytes(key, value);
        let Some(end) = Instant::now().checked_add(keep) else {
            return;
        };
        if needed > self.bytes_max {
            log::debug!(
                "a value of {} bytes is too large for the memory cache",
                value.len()
            );
            return;
        }
        while shelf.bytes + needed > self.bytes_max {
            shelf.evict_next_to_expire();
        }
        shelf.insert(key.into(), value, end);
    }

    async fn ping(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{self, TEST_TIMEOUT, TestCache, cache_conformance};

    cache_conformance!(async || TestCache::new(Arc::new(MemoryCache::new(1 << 20))));

    #[tokio::test]
    async fn what_would_be_lost_soonest_gives_way() {
        let cache = MemoryCache::new(3 * (ENTRY_OVERHEAD_BYTES + 101));
        for (key, keep) in [("a", 30), ("b", 10), ("c", 20), ("d", 40)] {
            cache.set(key, &[0; 100], Duration::from_secs(keep)).await;
        }
        assert_eq!(cache.get("b").await, None);
        for key in ["a", "c", "d"] {
            assert!(cache.get(key).await.is_some(), "{key}");
        }
    }

    #[tokio::test]
    async fn it_never_grows_past_its_limit() {
        let cache = MemoryCache::new(10_000);
        for step in 0..1_000_usize {
            let key = (step * 7 % 61).to_string();
            cache.set(&key, &vec![1; step % 900], TEST_TIMEOUT).await;
            let shelf = cache.entries();
            assert!(shelf.bytes <= 10_000);
            assert_eq!(shelf.values.len(), shelf.by_expiry.len());
            let counted: usize = shelf
                .values
                .iter()
                .map(|(key, (_, value))| entry_bytes(key, value))
                .sum();
            assert_eq!(shelf.bytes, counted);
        }
        cache.set("large", &[0; 10_001], TEST_TIMEOUT).await;
        assert_eq!(cache.get("large").await, None);
    }
}
