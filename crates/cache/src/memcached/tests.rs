//! The conformance suite against a real memcached, and a server that is killed, flushed or suspended.

use std::sync::Arc;

use super::*;
use crate::testing::{TEST_TIMEOUT, TestCache, wait_until};
use postrider_core::testing::backend_server::BackendServer;

fn start_server() -> (BackendServer, MemcachedCache) {
    let server = BackendServer::memcached();
    let cache = MemcachedCache::open(&server.url()).expect("a usable url");
    (server, cache)
}

crate::cache_conformance!(async || {
    let (server, cache) = start_server();
    TestCache::with_server(server, Arc::new(cache))
});

async fn wait_until_working(cache: &MemcachedCache) {
    wait_until("the cache keeps a value", || async {
        cache.set("again", b"yes", TEST_TIMEOUT).await;
        cache.get("again").await.is_some()
    })
    .await;
}

#[tokio::test]
async fn a_killed_server_is_a_miss_and_works_again_after_a_restart() {
    let (mut server, cache) = start_server();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    assert!(cache.get("report").await.is_some());
    server.kill();
    assert_eq!(cache.get("report").await, None);
    assert!(!cache.ping().await);
    server.restart();
    wait_until_working(&cache).await;
    assert_eq!(cache.get("report").await, None, "the server restarted empty");
}

#[tokio::test]
async fn a_flushed_server_is_empty() {
    let (server, cache) = start_server();
    cache.set("report", b"numbers", TEST_TIMEOUT).await;
    assert!(cache.get("report").await.is_some());
    assert_eq!(server.send_command("flush_all"), "OK");
    wait_until("the cache is empty", || async { cache.get("report").await.is_none() }).await;
}

#[tokio::test]
async fn a_suspended_server_is_not_called_until_the_retry_interval_is_over() {
    let (server, cache) = start_server();
    wait_until_working(&cache).await;
    server.suspend();
    assert_eq!(cache.get("again").await, None);
    assert!(cache.server.lock().retry_at.is_some(), "a retry is scheduled");
    cache.server.lock().retry_at = Some(Instant::now() + TEST_TIMEOUT);
    let start = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.get("again").await, None);
    }
    assert!(start.elapsed() < CACHE_CALL_TIMEOUT * 10, "no call before the retry");
    cache.server.lock().retry_at = Some(Instant::now());
    server.resume();
    wait_until_working(&cache).await;
}

#[tokio::test]
async fn only_one_call_retries() {
    let (mut server, cache) = start_server();
    server.kill();
    assert!(!cache.ping().await);
    cache.server.lock().retry_at = Some(Instant::now());
    assert!(cache.pool_if_due().is_some(), "the first call tries the server");
    assert!(cache.pool_if_due().is_none(), "the other calls miss");
}

#[test]
fn an_address_is_a_host_and_a_port() {
    let valid = [
        ("memcache://cache", "cache:11211"),
        ("memcache://cache:1/", "cache:1"),
        ("memcache://[::1]", "[::1]:11211"),
        ("memcache://[::1]:2", "[::1]:2"),
    ];
    for (url, expected) in valid {
        assert_eq!(parse_address(url).as_deref(), Some(expected), "{url}");
    }
    let invalid = [
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
    for url in invalid {
        let error = MemcachedCache::open(url).err().expect(url);
        assert!(!error.chain().contains("secret"));
    }
}

#[test]
fn a_key_that_memcached_does_not_accept_is_replaced_by_its_digest() {
    assert_eq!(wire_key("report"), "postrider:report");
    for odd in ["a b", "ä", "a\0", &"x".repeat(241)] {
        let key = wire_key(odd);
        assert!(key.starts_with("postrider:sha256:") && key.len() == 17 + 64, "{key}");
    }
}
