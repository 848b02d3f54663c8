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
const ENTRY_BYTES: usize = 128;

/// Values by key, and the keys by the end of their time.
pub(super) struct Memory {
    shelf: Mutex<Shelf>,
    bytes_max: usize,
}

#[derive(Default)]
struct Shelf {
    values: HashMap<Arc<str>, (Instant, Vec<u8>)>,
    by_end: BTreeSet<(Instant, Arc<str>)>,
    bytes: usize,
}

impl Memory {
    /// An empty cache that takes at most `bytes_max` of memory.
    pub fn new(bytes_max: usize) -> Self {
        Self {
            shelf: Mutex::default(),
            bytes_max,
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn remove(&mut self, key: &str) {
        if let Some((key, (end, value))) = self.values.remove_entry(key) {
            self.bytes -= bytes(&key, &value);
            self.by_end.remove(&(end, key));
        }
    }

    fn put(&mut self, key: Arc<str>, value: &[u8], end: Instant) {
        self.bytes += bytes(&key, value);
        self.by_end.insert((end, Arc::clone(&key)));
        self.values.insert(key, (end, value.to_vec()));
    }

    fn drop_soonest(&mut self) {
        if let Some((_, key)) = self.by_end.first().cloned() {
            self.remove(&key);
        }
    }
}

fn bytes(key: &str, value: &[u8]) -> usize {
    key.len() + value.len() + ENTRY_BYTES
}

#[async_trait]
impl Cache for Memory {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let shelf = self.shelf();
        let (end, value) = shelf.values.get(key)?;
        (*end > Instant::now()).then(|| value.clone())
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        let mut shelf = self.shelf();
        shelf.remove(key);
        let needed = bytes(key, value);
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
            shelf.drop_soonest();
        }
        shelf.put(key.into(), value, end);
    }

    async fn ping(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::contract::{self, LONG, Place, cache_contract};

    cache_contract!(async || Place::alone(Arc::new(Memory::new(1 << 20))));

    #[tokio::test]
    async fn what_would_be_lost_soonest_gives_way() {
        let cache = Memory::new(3 * (ENTRY_BYTES + 101));
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
        let cache = Memory::new(10_000);
        for step in 0..1_000_usize {
            let key = (step * 7 % 61).to_string();
            cache.set(&key, &vec![1; step % 900], LONG).await;
            let shelf = cache.shelf();
            assert!(shelf.bytes <= 10_000);
            assert_eq!(shelf.values.len(), shelf.by_end.len());
            let counted: usize = shelf
                .values
                .iter()
                .map(|(key, (_, value))| bytes(key, value))
                .sum();
            assert_eq!(shelf.bytes, counted);
        }
        cache.set("large", &[0; 10_001], LONG).await;
        assert_eq!(cache.get("large").await, None);
    }
}
