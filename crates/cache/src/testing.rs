//! The conformance suite of caches: every backend passes it, signed or not.
//!
//! `cache_conformance!` takes a closure that opens an empty cache and expands to one test for each function below.
#![allow(clippy::expect_used, clippy::panic, missing_docs)]

use std::sync::Arc;
use std::time::Duration;

use postrider_core::clock::sleep;
use postrider_core::testing::backend_server::BackendServer;
use tokio::time::Instant;

use crate::cache::Cache;

/// Deadline of everything that is expected to happen.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A cache and the server behind it.
pub struct TestCache {
    pub cache: Arc<dyn Cache>,
    _server: Option<BackendServer>,
}

impl TestCache {
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache, _server: None }
    }

    pub fn with_server(server: BackendServer, cache: Arc<dyn Cache>) -> Self {
        Self { cache, _server: Some(server) }
    }

    async fn set(&self, key: &str, value: &[u8]) {
        self.cache.set(key, value, TEST_TIMEOUT).await;
    }

    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.cache.get(key).await
    }
}

/// Polls until the condition holds. The deadline ends only tests that fail.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds().await {
        assert!(Instant::now() < deadline, "not within {TEST_TIMEOUT:?}: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub async fn a_value_is_returned_under_its_key(test: TestCache) {
    test.set("report", b"numbers").await;
    assert_eq!(test.get("report").await.as_deref(), Some(&b"numbers"[..]));
    assert_eq!(test.get("another").await, None);
    assert!(test.cache.ping().await);
}

pub async fn the_last_value_wins(test: TestCache) {
    for value in [&b"first, and longer"[..], b"second"] {
        test.set("report", value).await;
    }
    assert_eq!(test.get("report").await.as_deref(), Some(&b"second"[..]));
}

pub async fn any_bytes_are_a_value(test: TestCache) {
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for value in [&all[..], b"", b"\r\nEN\r\n"] {
        test.set("bytes", value).await;
        assert_eq!(test.get("bytes").await.as_deref(), Some(value));
    }
}

pub async fn any_text_is_a_key(test: TestCache) {
    let keys = ["a b", "line\r\nbreak", "گزارش", "", &"long".repeat(200), &"long".repeat(201)];
    for key in keys {
        test.set(key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(test.get(key).await.as_deref(), Some(key.as_bytes()), "{key:?}");
    }
}

pub async fn a_value_expires(test: TestCache) {
    // memcached counts whole seconds: a value of one second may be gone at once, one of two seconds is not.
    test.cache.set("short", b"1", Duration::from_secs(2)).await;
    test.cache.set("none", b"1", Duration::ZERO).await;
    assert_eq!(test.get("short").await.as_deref(), Some(&b"1"[..]));
    assert_eq!(test.get("none").await, None);
    wait_until("the value has expired", || async { test.get("short").await.is_none() }).await;
}

pub async fn a_value_that_is_too_large_removes_the_old_one(test: TestCache) {
    test.set("report", b"small").await;
    test.set("report", &vec![7; 9 * 1024 * 1024]).await;
    assert_eq!(test.get("report").await, None);
    test.set("report", b"small again").await;
    assert_eq!(test.get("report").await.as_deref(), Some(&b"small again"[..]));
}

/// Expands to the conformance tests of a cache. Takes an async closure that returns an empty [`TestCache`].
#[macro_export]
macro_rules! cache_conformance {
    ($open:expr) => {
        $crate::cache_conformance!($open,
            a_value_is_returned_under_its_key
            the_last_value_wins
            any_bytes_are_a_value
            any_text_is_a_key
            a_value_expires
            a_value_that_is_too_large_removes_the_old_one
        );
    };
    ($open:expr, $($test:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $test() {
            $crate::testing::$test($open().await).await;
        }
    )+};
}
