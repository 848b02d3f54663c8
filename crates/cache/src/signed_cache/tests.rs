//! The conformance suite for a signed memcached, foreign entries, and shared reads.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::testing::{TEST_TIMEOUT, TestCache, wait_until};
use crate::{memcached, memory};
use postrider_core::testing::backend_server::BackendServer;

const SECRET: [u8; 32] = [7; 32];

fn memory_cache() -> Arc<dyn Cache> {
    Arc::new(memory::MemoryCache::new(1 << 20))
}

fn signed(backend: Arc<dyn Cache>) -> SignedCache {
    SignedCache::new(backend, StoreSecret::new(SECRET))
}

crate::cache_conformance!(async || {
    let server = BackendServer::memcached();
    let backend = memcached::MemcachedCache::open(&server.url()).expect("a usable url");
    TestCache::with_server(server, Arc::new(signed(Arc::new(backend))))
});

#[tokio::test]
async fn garbage_is_a_miss() {
    let backend = memory_cache();
    let cache = signed(backend.clone());
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    let entry = backend.get("report").await.expect("a signed entry");
    let mut damaged = Vec::new();
    for index in 0..entry.len() {
        let mut bad = entry.clone();
        bad[index] ^= 1;
        damaged.push(bad);
    }
    damaged.extend([Vec::new(), vec![0; 31], vec![0; 32], entry[..entry.len() - 1].to_vec()]);
    damaged.push(b"<script>".repeat(100));
    for bad in damaged {
        backend.set("report", &bad, TEST_TIMEOUT).await;
        assert_eq!(cache.get("report").await, None);
    }
    backend.set("report", &entry, TEST_TIMEOUT).await;
    assert_eq!(cache.get("report").await.as_deref(), Some(&b"numbers"[..]));
}

#[tokio::test]
async fn an_entry_is_valid_under_its_own_key_and_secret_only() {
    let backend = memory_cache();
    let cache = signed(backend.clone());
    cache.set("ab", b"c", TEST_TIMEOUT).await;
    let entry = backend.get("ab").await.expect("a signed entry");
    for other in ["a", "abc", "b", ""] {
        backend.set(other, &entry, TEST_TIMEOUT).await;
        assert_eq!(cache.get(other).await, None, "{other}");
    }
    let foreign = SignedCache::new(backend, StoreSecret::new([8; 32]));
    assert_eq!(foreign.get("ab").await, None);
}

#[tokio::test]
async fn an_entry_is_no_signature_for_another_purpose() {
    let backend = memory_cache();
    signed(backend.clone()).set("session", b"c", TEST_TIMEOUT).await;
    let entry = backend.get("session").await.expect("a signed entry");
    let secret = StoreSecret::new(SECRET);
    assert!(secret.verify("cache:session", b"c", &entry[..SIGNATURE_BYTES]));
    assert!(!secret.verify("session", b"c", &entry[..SIGNATURE_BYTES]));
}

/// A backend with blocking, counted reads.
struct BlockingCache {
    permits: Semaphore,
    gets: AtomicUsize,
    backend: Arc<dyn Cache>,
}

#[async_trait]
impl Cache for BlockingCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.ok()?.forget();
        self.backend.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        self.backend.set(key, value, keep).await;
    }

    async fn ping(&self) -> bool {
        true
    }
}

fn blocking_cache() -> (Arc<BlockingCache>, Arc<SignedCache>) {
    let blocking = Arc::new(BlockingCache {
        permits: Semaphore::new(0),
        gets: AtomicUsize::new(0),
        backend: memory_cache(),
    });
    (blocking.clone(), Arc::new(signed(blocking)))
}

fn spawn_get(cache: &Arc<SignedCache>) -> tokio::task::JoinHandle<Option<Vec<u8>>> {
    let cache = cache.clone();
    tokio::spawn(async move { cache.get("report").await })
}

async fn wait_for_gets(blocking: &BlockingCache, count: usize) {
    wait_until("the backend is read", || async { blocking.gets.load(Ordering::SeqCst) == count }).await;
}

#[tokio::test]
async fn concurrent_reads_of_one_key_share_one_read_of_the_backend() {
    let (blocking, cache) = blocking_cache();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    let readers: Vec<_> = (0..64).map(|_| spawn_get(&cache)).collect();
    wait_for_gets(&blocking, 1).await;
    blocking.permits.add_permits(64);
    for reader in readers {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert_eq!(blocking.gets.load(Ordering::SeqCst), 1);
    assert!(cache.pending.lock().is_empty());
}

#[tokio::test]
async fn a_cancelled_reader_leaves_the_read_to_the_next_one() {
    let (blocking, cache) = blocking_cache();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    let first = spawn_get(&cache);
    wait_for_gets(&blocking, 1).await;
    let others = [spawn_get(&cache), spawn_get(&cache)];
    tokio::task::yield_now().await;
    first.abort();
    wait_for_gets(&blocking, 2).await;
    blocking.permits.add_permits(64);
    for reader in others {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert!(cache.pending.lock().is_empty());
}

#[tokio::test]
async fn a_read_after_a_set_does_not_share_an_earlier_read() {
    let (blocking, cache) = blocking_cache();
    let early = spawn_get(&cache);
    wait_for_gets(&blocking, 1).await;
    cache.set("report", b"new", TEST_TIMEOUT).await;
    let late = spawn_get(&cache);
    wait_for_gets(&blocking, 2).await;
    blocking.permits.add_permits(64);
    assert_eq!(late.await.expect("a reader").as_deref(), Some(&b"new"[..]));
    early.await.expect("a reader");
    assert!(cache.pending.lock().is_empty());
}
