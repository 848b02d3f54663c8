//! The contract once more through the seal, what does not open, and the sharing of questions.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::testing::{self, TEST_TIMEOUT, TestCache, cache_conformance};
use crate::{memcached, memory};
use postrider_core::testing::backend_server::BackendServer;

const SECRET: [u8; 32] = [7; 32];

fn memory_cache() -> Arc<dyn Cache> {
    Arc::new(memory::MemoryCache::new(1 << 20))
}

cache_conformance!(async || {
    let peer = BackendServer::memcached();
    let cache = memcached::MemcachedCache::open(&peer.url()).expect("a usable url");
    TestCache::with_server(peer, Arc::new(SignedCache::new(Arc::new(cache), SECRET)))
});

#[tokio::test]
async fn garbage_is_a_miss() {
    let cache = memory_cache();
    let sealed = SignedCache::new(cache.clone(), SECRET);
    sealed.set("report", b"numbers", TEST_TIMEOUT).await;
    let good = cache.get("report").await.expect("what was sealed");
    let mut turned = Vec::new();
    for place in 0..good.len() {
        let mut bad = good.clone();
        bad[place] ^= 1;
        turned.push(bad);
    }
    turned.extend([
        Vec::new(),
        vec![0; 31],
        vec![0; 32],
        good[..good.len() - 1].to_vec(),
    ]);
    turned.push(b"<script>".repeat(100));
    for bad in turned {
        cache.set("report", &bad, TEST_TIMEOUT).await;
        assert_eq!(sealed.get("report").await, None);
    }
    cache.set("report", &good, TEST_TIMEOUT).await;
    assert_eq!(sealed.get("report").await.as_deref(), Some(&b"numbers"[..]));
}

#[tokio::test]
async fn a_value_opens_under_its_own_key_and_secret_only() {
    let cache = memory_cache();
    let sealed = SignedCache::new(cache.clone(), SECRET);
    sealed.set("ab", b"c", TEST_TIMEOUT).await;
    let kept = cache.get("ab").await.expect("what was sealed");
    for other in ["a", "abc", "b", ""] {
        cache.set(other, &kept, TEST_TIMEOUT).await;
        assert_eq!(sealed.get(other).await, None, "{other}");
    }
    let foreign = SignedCache::new(cache, [8; 32]);
    assert_eq!(foreign.get("ab").await, None);
}

#[test]
fn the_seal_is_plain_hmac_sha256_over_length_key_and_value() {
    let mut expected = Hmac::<Sha256>::new_from_slice(&SECRET).expect("any length");
    expected.update(b"\0\0\0\0\0\0\0\x06reportnumbers");
    let sealed = SignedCache::new(memory_cache(), SECRET);
    assert_eq!(
        sealed.mac("report", b"numbers").finalize().into_bytes(),
        expected.finalize().into_bytes()
    );
}

/// A cache whose answers wait for a permit, and that counts how often it is asked.
struct BlockingCache {
    permits: Semaphore,
    gets: AtomicUsize,
    cache: Arc<dyn Cache>,
}

#[async_trait]
impl Cache for BlockingCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.ok()?.forget();
        self.cache.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        self.cache.set(key, value, keep).await;
    }

    async fn ping(&self) -> bool {
        true
    }
}

fn blocking_cache() -> (Arc<BlockingCache>, Arc<SignedCache>) {
    let slow = Arc::new(BlockingCache {
        permits: Semaphore::new(0),
        gets: AtomicUsize::new(0),
        cache: memory_cache(),
    });
    (slow.clone(), Arc::new(SignedCache::new(slow, SECRET)))
}

fn spawn_get(sealed: &Arc<SignedCache>) -> tokio::task::JoinHandle<Option<Vec<u8>>> {
    let sealed = sealed.clone();
    tokio::spawn(async move { sealed.get("report").await })
}

async fn wait_for_gets(slow: &BlockingCache, times: usize) {
    testing::wait_until("the cache is asked", || async {
        slow.gets.load(Ordering::SeqCst) == times
    })
    .await;
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_one_question() {
    let (slow, sealed) = blocking_cache();
    sealed.set("report", b"numbers", TEST_TIMEOUT).await;
    let readers: Vec<_> = (0..64).map(|_| spawn_get(&sealed)).collect();
    wait_for_gets(&slow, 1).await;
    slow.permits.add_permits(64);
    for reader in readers {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert_eq!(slow.gets.load(Ordering::SeqCst), 1);
    assert!(sealed.pending().is_empty());
}

#[tokio::test]
async fn a_reader_that_gives_up_leaves_the_question_to_the_next() {
    let (slow, sealed) = blocking_cache();
    sealed.set("report", b"numbers", TEST_TIMEOUT).await;
    let first = spawn_get(&sealed);
    wait_for_gets(&slow, 1).await;
    let others = [spawn_get(&sealed), spawn_get(&sealed)];
    tokio::task::yield_now().await;
    first.abort();
    wait_for_gets(&slow, 2).await;
    slow.permits.add_permits(64);
    for reader in others {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert!(sealed.pending().is_empty());
}

#[tokio::test]
async fn who_asks_after_a_set_is_not_told_what_stood_before() {
    let (slow, sealed) = blocking_cache();
    let early = spawn_get(&sealed);
    wait_for_gets(&slow, 1).await;
    sealed.set("report", b"new", TEST_TIMEOUT).await;
    let late = spawn_get(&sealed);
    wait_for_gets(&slow, 2).await;
    slow.permits.add_permits(64);
    assert_eq!(late.await.expect("a reader").as_deref(), Some(&b"new"[..]));
    early.await.expect("a reader");
    assert!(sealed.pending().is_empty());
}
