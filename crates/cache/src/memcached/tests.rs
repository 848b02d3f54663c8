//! The contract against a real memcached, and what happens when it is killed, emptied or stopped.

use std::sync::Arc;

use super::*;
use crate::testing::{self, TEST_TIMEOUT, TestCache, cache_conformance, wait_until};
use postrider_core::testing::backend_server::BackendServer;

fn start_server() -> (BackendServer, MemcachedCache) {
    let peer = BackendServer::memcached();
    let cache = MemcachedCache::open(&peer.url()).expect("a usable url");
    (peer, cache)
}

cache_conformance!(async || {
    let (peer, cache) = start_server();
    TestCache::with_server(peer, Arc::new(cache))
});

async fn wait_until_working(cache: &MemcachedCache) {
    wait_until("it is asked again", || async {
        cache.set("again", b"yes", TEST_TIMEOUT).await;
        cache.get("again").await.is_some()
    })
    .await;
}

#[tokio::test]
async fn killed_it_is_a_miss_and_restarted_it_works_again() {
    let (mut peer, cache) = start_server();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    peer.kill();
    assert_eq!(cache.get("report").await, None);
    assert!(!cache.ping().await);
    peer.restart();
    wait_until_working(&cache).await;
    assert_eq!(cache.get("report").await, None, "it came back empty");
}

#[tokio::test]
async fn flushed_it_is_empty() {
    let (peer, cache) = start_server();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    assert_eq!(peer.send_command("flush_all"), "OK");
    wait_until("it is empty", || async { cache.get("report").await.is_none() }).await;
}

#[tokio::test]
async fn stopped_it_is_left_alone_until_the_rest_is_over() {
    let (peer, cache) = start_server();
    wait_until_working(&cache).await;
    peer.suspend();
    assert_eq!(cache.get("again").await, None);
    assert!(cache.server().retry_at.is_some(), "it rests now");
    cache.server().retry_at = Some(Instant::now() + TEST_TIMEOUT);
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.get("again").await, None);
    }
    assert!(began.elapsed() < CALL_TIMEOUT * 10, "nobody asks it meanwhile");
    cache.server().retry_at = Some(Instant::now());
    peer.resume();
    wait_until_working(&cache).await;
}

#[tokio::test]
async fn only_one_tries_again_after_the_rest() {
    let (mut peer, cache) = start_server();
    peer.kill();
    assert!(!cache.ping().await);
    cache.server().retry_at = Some(Instant::now());
    assert!(cache.pool_if_due().is_some(), "the first tries");
    assert!(cache.pool_if_due().is_none(), "the others do not");
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
        assert_eq!(parse_address(url).as_deref(), Some(expected), "{url}");
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
        let refusal = MemcachedCache::open(url).err().expect(url);
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
