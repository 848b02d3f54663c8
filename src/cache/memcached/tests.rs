//! The contract against a real memcached, and what happens when it is killed, emptied or stopped.

use std::sync::Arc;

use super::*;
use crate::cache::contract::{self, LONG, Place, cache_contract, until};
use crate::peers::Peer;

fn start() -> (Peer, Memcached) {
    let peer = Peer::memcached();
    let cache = Memcached::open(&peer.url()).expect("a usable url");
    (peer, cache)
}

cache_contract!(async || {
    let (peer, cache) = start();
    Place::with(peer, Arc::new(cache))
});

async fn works_again(cache: &Memcached) {
    until("it is asked again", || async {
        cache.set("again", b"yes", LONG).await;
        cache.get("again").await.is_some()
    })
    .await;
}

#[tokio::test]
async fn killed_it_is_a_miss_and_restarted_it_works_again() {
    let (mut peer, cache) = start();
    cache.set("report", b"numbers", LONG).await;
    peer.kill();
    assert_eq!(cache.get("report").await, None);
    assert!(!cache.ping().await);
    peer.restart();
    works_again(&cache).await;
    assert_eq!(cache.get("report").await, None, "it came back empty");
}

#[tokio::test]
async fn flushed_it_is_empty() {
    let (peer, cache) = start();
    cache.set("report", b"numbers", LONG).await;
    assert_eq!(peer.say("flush_all"), "OK");
    until("it is empty", || async { cache.get("report").await.is_none() }).await;
}

#[tokio::test]
async fn stopped_it_is_left_alone_until_the_rest_is_over() {
    let (peer, cache) = start();
    works_again(&cache).await;
    peer.stop();
    assert_eq!(cache.get("again").await, None);
    assert!(cache.line().rests_until.is_some(), "it rests now");
    cache.line().rests_until = Some(Instant::now() + LONG);
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.get("again").await, None);
    }
    assert!(began.elapsed() < CALL_LIMIT * 10, "nobody asks it meanwhile");
    cache.line().rests_until = Some(Instant::now());
    peer.resume();
    works_again(&cache).await;
}

#[tokio::test]
async fn only_one_tries_again_after_the_rest() {
    let (mut peer, cache) = start();
    peer.kill();
    assert!(!cache.ping().await);
    cache.line().rests_until = Some(Instant::now());
    assert!(cache.turn().is_some(), "the first tries");
    assert!(cache.turn().is_none(), "the others do not");
}

#[test]
fn a_place_is_a_host_and_a_port() {
    let good = [
        ("memcache://cache", "cache:11211"),
        ("memcache://cache:1/", "cache:1"),
        ("memcache://[::1]", "[::1]:11211"),
        ("memcache://[::1]:2", "[::1]:2"),
    ];
    for (url, expected) in good {
        assert_eq!(place(url).as_deref(), Some(expected), "{url}");
    }
    let bad = [
        "memcache:",
        "memcache://",
        "memcache://:1",
        "memcache://a:b",
        "memcache://a:99999",
        "memcache://::1",
        "memcache://u:secret@a",
        "memcache://a/b",
        "memcache://a?x=y",
    ];
    for url in bad {
        let refusal = Memcached::open(url).err().expect(url);
        assert!(!refusal.chain().contains("secret"));
    }
}

#[test]
fn an_odd_key_travels_as_its_digest() {
    assert_eq!(wire_key("report"), "postrider:report");
    for odd in ["a b", "ä", "a\0", &"x".repeat(241)] {
        let key = wire_key(odd);
        assert!(
            key.starts_with("postrider:sha256:") && key.len() == 17 + 64,
            "{key}"
        );
    }
}
