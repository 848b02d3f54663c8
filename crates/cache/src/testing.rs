//! What a cache is: one suite that every backend passes, sealed or not.
//!
//! `cache_conformance!` takes a closure that opens an empty cache and makes one test of each promise.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Cache;
use postrider_core::clock::sleep;
use postrider_core::testing::backend_server::BackendServer;

/// Longer than any test waits for something that does happen.
pub const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A cache with what it needs to live.
pub struct TestCache {
    pub cache: Arc<dyn Cache>,
    _server: Option<BackendServer>,
}

impl TestCache {
    pub fn new(cache: Arc<dyn Cache>) -> Self {
        Self { cache, _server: None }
    }

    pub fn with_server(peer: BackendServer, cache: Arc<dyn Cache>) -> Self {
        Self {
            cache,
            _server: Some(peer),
        }
    }
}

/// Asks again and again; the deadline only ends a test that fails.
pub async fn wait_until<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds().await {
        assert!(Instant::now() < deadline, "never came true: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

pub async fn what_was_set_comes_back(place: TestCache) {
    place.cache.set("report", b"numbers", TEST_TIMEOUT).await;
    assert_eq!(place.cache.get("report").await.as_deref(), Some(&b"numbers"[..]));
    assert_eq!(place.cache.get("another").await, None);
    assert!(place.cache.ping().await);
}

pub async fn the_last_value_counts(place: TestCache) {
    for value in [&b"first, and longer"[..], b"second"] {
        place.cache.set("report", value, TEST_TIMEOUT).await;
    }
    assert_eq!(place.cache.get("report").await.as_deref(), Some(&b"second"[..]));
}

pub async fn any_bytes_are_a_value(place: TestCache) {
    let all: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for value in [&all[..], b"", b"\r\nEN\r\n"] {
        place.cache.set("bytes", value, TEST_TIMEOUT).await;
        assert_eq!(place.cache.get("bytes").await.as_deref(), Some(value));
    }
}

pub async fn any_text_is_a_key(place: TestCache) {
    let keys = [
        "a b",
        "line\r\nbreak",
        "گزارش",
        "",
        &"long".repeat(200),
        &"long".repeat(201),
    ];
    for key in keys {
        place.cache.set(key, key.as_bytes(), TEST_TIMEOUT).await;
    }
    for key in keys {
        assert_eq!(
            place.cache.get(key).await.as_deref(),
            Some(key.as_bytes()),
            "{key:?}"
        );
    }
}

pub async fn a_value_ends_with_its_time(place: TestCache) {
    place.cache.set("short", b"1", Duration::from_secs(1)).await;
    place.cache.set("none", b"1", Duration::ZERO).await;
    assert_eq!(place.cache.get("none").await, None);
    wait_until("the value is gone", || async {
        place.cache.get("short").await.is_none()
    })
    .await;
}

pub async fn a_value_that_is_too_large_leaves_no_older_one_behind(place: TestCache) {
    place.cache.set("report", b"small", TEST_TIMEOUT).await;
    place
        .cache
        .set("report", &vec![7; 9 * 1024 * 1024], TEST_TIMEOUT)
        .await;
    assert_eq!(place.cache.get("report").await, None);
    place.cache.set("report", b"small again", TEST_TIMEOUT).await;
    assert_eq!(
        place.cache.get("report").await.as_deref(),
        Some(&b"small again"[..])
    );
}

/// One test of each promise for the backend that the closure opens.
macro_rules! cache_conformance {
    ($open:expr) => {
        cache_conformance!($open,
            what_was_set_comes_back
            the_last_value_counts
            any_bytes_are_a_value
            any_text_is_a_key
            a_value_ends_with_its_time
            a_value_that_is_too_large_leaves_no_older_one_behind
        );
    };
    ($open:expr, $($promise:ident)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $promise() {
            testing::$promise($open().await).await;
        }
    )+};
}
pub(super) use cache_conformance;
