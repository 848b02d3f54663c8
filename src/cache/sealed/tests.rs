//! The contract once more through the seal, what does not open, and the sharing of questions.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Semaphore;

use super::*;
use crate::cache::contract::{self, LONG, Place, cache_contract};
use crate::cache::{memcached, memory};
use crate::peers::Peer;

const SECRET: [u8; 32] = [7; 32];

fn memory() -> Arc<dyn Cache> {
    Arc::new(memory::Memory::new(1 << 20))
}

cache_contract!(async || {
    let peer = Peer::memcached();
    let cache = memcached::Memcached::open(&peer.url()).expect("a usable url");
    Place::with(peer, Arc::new(Sealed::new(Arc::new(cache), SECRET)))
});

#[tokio::test]
async fn garbage_is_a_miss() {
    let cache = memory();
    let sealed = Sealed::new(cache.clone(), SECRET);
    sealed.set("report", b"numbers", LONG).await;
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
        cache.set("report", &bad, LONG).await;
        assert_eq!(sealed.get("report").await, None);
    }
    cache.set("report", &good, LONG).await;
    assert_eq!(sealed.get("report").await.as_deref(), Some(&b"numbers"[..]));
}

#[tokio::test]
async fn a_value_opens_under_its_own_key_and_secret_only() {
    let cache = memory();
    let sealed = Sealed::new(cache.clone(), SECRET);
    sealed.set("ab", b"c", LONG).await;
    let kept = cache.get("ab").await.expect("what was sealed");
    for other in ["a", "abc", "b", ""] {
        cache.set(other, &kept, LONG).await;
        assert_eq!(sealed.get(other).await, None, "{other}");
    }
    let foreign = Sealed::new(cache, [8; 32]);
    assert_eq!(foreign.get("ab").await, None);
}

#[test]
fn the_seal_is_plain_hmac_sha256_over_length_key_and_value() {
    let mut expected = Hmac::<Sha256>::new_from_slice(&SECRET).expect("any length");
    expected.update(b"\0\0\0\0\0\0\0\x06reportnumbers");
    let sealed = Sealed::new(memory(), SECRET);
    assert_eq!(
        sealed.mac("report", b"numbers").finalize().into_bytes(),
        expected.finalize().into_bytes()
    );
}

/// A cache whose answers wait for a permit, and that counts how often it is asked.
struct Slow {
    answers: Semaphore,
    asked: AtomicUsize,
    cache: Arc<dyn Cache>,
}

#[async_trait]
impl Cache for Slow {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.answers.acquire().await.ok()?.forget();
        self.cache.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], keep: Duration) {
        self.cache.set(key, value, keep).await;
    }

    async fn ping(&self) -> bool {
        true
    }
}

fn slow() -> (Arc<Slow>, Arc<Sealed>) {
    let slow = Arc::new(Slow {
        answers: Semaphore::new(0),
        asked: AtomicUsize::new(0),
        cache: memory(),
    });
    (slow.clone(), Arc::new(Sealed::new(slow, SECRET)))
}

fn ask(sealed: &Arc<Sealed>) -> tokio::task::JoinHandle<Option<Vec<u8>>> {
    let sealed = sealed.clone();
    tokio::spawn(async move { sealed.get("report").await })
}

async fn asked(slow: &Slow, times: usize) {
    contract::until("the cache is asked", || async {
        slow.asked.load(Ordering::SeqCst) == times
    })
    .await;
}

#[tokio::test]
async fn who_asks_at_the_same_time_shares_one_question() {
    let (slow, sealed) = slow();
    sealed.set("report", b"numbers", LONG).await;
    let readers: Vec<_> = (0..64).map(|_| ask(&sealed)).collect();
    asked(&slow, 1).await;
    slow.answers.add_permits(64);
    for reader in readers {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert_eq!(slow.asked.load(Ordering::SeqCst), 1);
    assert!(sealed.asked().is_empty());
}

#[tokio::test]
async fn a_reader_that_gives_up_leaves_the_question_to_the_next() {
    let (slow, sealed) = slow();
    sealed.set("report", b"numbers", LONG).await;
    let first = ask(&sealed);
    asked(&slow, 1).await;
    let others = [ask(&sealed), ask(&sealed)];
    tokio::task::yield_now().await;
    first.abort();
    asked(&slow, 2).await;
    slow.answers.add_permits(64);
    for reader in others {
        assert_eq!(reader.await.expect("a reader").as_deref(), Some(&b"numbers"[..]));
    }
    assert!(sealed.asked().is_empty());
}

#[tokio::test]
async fn who_asks_after_a_set_is_not_told_what_stood_before() {
    let (slow, sealed) = slow();
    let early = ask(&sealed);
    asked(&slow, 1).await;
    sealed.set("report", b"new", LONG).await;
    let late = ask(&sealed);
    asked(&slow, 2).await;
    slow.answers.add_permits(64);
    assert_eq!(late.await.expect("a reader").as_deref(), Some(&b"new"[..]));
    early.await.expect("a reader");
    assert!(sealed.asked().is_empty());
}
