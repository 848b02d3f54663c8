use super::*;
use crate::testing::{TEST_TIMEOUT, TestCache};

crate::cache_conformance!(async || TestCache::new(Arc::new(MemoryCache::new(1 << 20))));

#[tokio::test]
async fn a_full_cache_evicts_the_entry_that_expires_first() {
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
async fn the_cache_never_exceeds_its_limit() {
    let cache = MemoryCache::new(10_000);
    for step in 0..1_000_usize {
        let key = (step * 7 % 61).to_string();
        cache.set(&key, &vec![1; step % 900], TEST_TIMEOUT).await;
        let entries = cache.entries.lock();
        assert!(entries.bytes <= 10_000);
        assert_eq!(entries.values.len(), entries.by_expiry.len());
        let counted: usize = entries.values.iter().map(|(key, (_, value))| entry_bytes(key, value)).sum();
        assert_eq!(entries.bytes, counted);
    }
    cache.set("large", &[0; 10_001], TEST_TIMEOUT).await;
    assert_eq!(cache.get("large").await, None);
}
