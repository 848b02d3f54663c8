//! The page routes with a store that can fail and a cache that can lose or corrupt everything.
//!
//! Pages must not depend on the cache, and the last known report is shown while the store is unavailable. No test waits
//! for a fixed time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use tower::ServiceExt;

use super::fake_store::FakeStore;
use super::{full_report, hostile_message};
use crate::auth::Caller;
use crate::pages::routes;
use axum::Extension;
use postrider_cache::{Cache, StoreSecret};
use postrider_core::clock::{Clock, sleep};
use postrider_core::random::Random;
use postrider_core::report::Report;
use postrider_engine::config::Config;
use postrider_engine::gateway::{Backends, Gateway};
use postrider_store::testing::store_parts::StoreParts;

/// Maximum time for a test to wait for an expected event.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A cache with entries that a test can read and change.
#[derive(Default)]
struct InspectableCache {
    entries: Mutex<HashMap<String, Vec<u8>>>,
    sets: AtomicUsize,
}

#[async_trait]
impl Cache for InspectableCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.entries.lock().unwrap().get(key).cloned()
    }
    async fn set(&self, key: &str, value: &[u8], _: Duration) {
        self.sets.fetch_add(1, Ordering::SeqCst);
        self.entries.lock().unwrap().insert(key.to_owned(), value.to_vec());
    }
    async fn ping(&self) -> bool {
        true
    }
}

/// The pages of a gateway, with its fake store and cache.
struct PagesFixture {
    store: Arc<FakeStore>,
    cache: Arc<InspectableCache>,
    gateway: Arc<Gateway>,
    pages: Router,
}

impl PagesFixture {
    async fn new() -> Self {
        let store = Arc::new(FakeStore::default());
        let cache = Arc::new(InspectableCache::default());
        let mut config = Config::test_mode();
        config.providers.clear();
        config.channels.clear();
        let backends = Backends {
            clock: Clock::manual(full_report().as_of),
            random: Random::default(),
            store: Arc::new(StoreParts {
                read: Some(Arc::clone(&store) as Arc<_>),
                report: Some(Arc::clone(&store) as Arc<_>),
                ..StoreParts::default()
            }),
            queue: postrider_queue::open("memory:", 10).await.unwrap(),
            cache: Arc::clone(&cache) as Arc<_>,
            secret: StoreSecret::new([7; 32]),
        };
        let gateway = Arc::new(Gateway::wire(config, backends, Vec::new()));
        let pages =
            routes(&Arc::default()).layer(Extension(Caller::without_keys())).with_state(Arc::clone(&gateway));
        Self { store, cache, gateway, pages }
    }

    async fn with_report() -> Self {
        let fixture = Self::new().await;
        fixture.store.set_report(&full_report());
        fixture
    }

    /// Starts over with the same store and cache but an empty report cache, like another process.
    fn restart(&mut self) {
        self.pages = routes(&Arc::default())
            .layer(Extension(Caller::without_keys()))
            .with_state(Arc::clone(&self.gateway));
    }

    fn make_store_unavailable(&self) {
        self.store.is_unavailable.store(true, Ordering::SeqCst);
    }

    /// Repeats a request until the store was read again, so that the response does not come from the report cache.
    async fn get_after_store_read(&self, path: &str) -> (StatusCode, String) {
        let reads_before = self.store.snapshot_reads.load(Ordering::SeqCst);
        let start = Instant::now();
        loop {
            let response = self.get(path).await;
            if self.store.snapshot_reads.load(Ordering::SeqCst) > reads_before {
                return response;
            }
            assert!(start.elapsed() < TEST_TIMEOUT, "the store is not read any more");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = self.pages.clone().oneshot(request).await.unwrap();
        let status = response.status();
        assert!(response.headers().contains_key("content-security-policy"), "{path}");
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_page_is_rendered_once_for_all_processes() {
    let mut fixture = PagesFixture::with_report().await;
    let first = fixture.get("/").await;
    fixture.restart();
    assert_eq!(fixture.get("/").await, first);
    assert_eq!(fixture.get("/?search=").await, first);
    assert_eq!(fixture.cache.sets.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn garbage_in_the_cache_changes_nothing() {
    let mut fixture = PagesFixture::with_report().await;
    let expected = fixture.get("/").await;
    for cached_page in fixture.cache.entries.lock().unwrap().values_mut() {
        *cached_page = b"<script>garbage</script>".repeat(9);
    }
    assert_eq!(fixture.get("/").await, expected);
    fixture.restart();
    assert_eq!(fixture.get("/").await, expected);
    fixture.cache.entries.lock().unwrap().clear();
    assert_eq!(fixture.get("/").await, expected);
}

#[tokio::test]
async fn a_report_of_another_process_is_shown_after_the_next_lookup() {
    let fixture = PagesFixture::with_report().await;
    fixture.get("/").await;
    let newer =
        Report { as_of: full_report().as_of + Duration::from_secs(1), messages: 31_337, ..full_report() };
    fixture.store.set_report(&newer);
    let (_, page) = fixture.get_after_store_read("/").await;
    assert!(page.contains("31,337"), "{page}");
}

#[tokio::test]
async fn without_the_store_the_last_known_report_is_shown() {
    let fixture = PagesFixture::with_report().await;
    let expected = fixture.get("/").await;
    fixture.make_store_unavailable();
    assert_eq!(fixture.get_after_store_read("/").await, expected);
}

#[tokio::test]
async fn without_the_store_and_a_known_report_the_page_explains_the_error() {
    let fixture = PagesFixture::with_report().await;
    fixture.make_store_unavailable();
    for path in ["/", "/?search=09122222222", "/messages/07070707-0707-0707-0707-070707070707"] {
        let (status, page) = fixture.get(path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.contains("The store is unavailable"), "{page}");
    }
}

#[tokio::test]
async fn without_a_report_the_page_is_shown() {
    let fixture = PagesFixture::new().await;
    let (status, page) = fixture.get("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("No report yet"), "{page}");
    assert_eq!(fixture.cache.sets.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_number_is_found_in_any_spelling() {
    let fixture = PagesFixture::with_report().await;
    fixture.store.messages.lock().unwrap().push(hostile_message());
    for typed in ["09122222222", "+09122222222+", "%2B98+912+222+2222", "+98+912+222+2222", "00989122222222"]
    {
        let (status, page) = fixture.get(&format!("/?search={typed}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(page.contains("/messages/07070707-0707-0707-0707-070707070707"), "{typed}: {page}");
        assert!(page.contains("&#38;before=1\"") || page.contains("&amp;before=1\""), "{page}");
        assert!(page.contains("84,213"), "the report is there as well: {page}");
    }
}

#[tokio::test]
async fn an_unsuccessful_search_gets_an_explanation() {
    let fixture = PagesFixture::with_report().await;
    let cases = [
        ("/?search=%3Cscript%3E", StatusCode::OK, "Invalid phone number"),
        ("/?search=12", StatusCode::OK, "Invalid phone number"),
        ("/?search=09350000000", StatusCode::OK, "No messages to this number"),
        ("/?search=09350000000&before=x", StatusCode::OK, "No messages to this number"),
        ("/?search=%FF", StatusCode::OK, "Invalid phone number"),
        ("/?search=1&search=2", StatusCode::BAD_REQUEST, "Invalid address"),
        ("/messages/7", StatusCode::NOT_FOUND, "Message not found"),
        ("/messages/%FF", StatusCode::NOT_FOUND, "Message not found"),
        ("/messages/07070707-0707-0707-0707-070707070708", StatusCode::NOT_FOUND, "Message not found"),
    ];
    for (path, expected_status, explanation) in cases {
        let (status, page) = fixture.get(path).await;
        assert_eq!(status, expected_status, "{path}");
        assert!(page.contains(explanation), "{path}: {page}");
        assert!(!page.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn a_message_has_a_page() {
    let fixture = PagesFixture::with_report().await;
    fixture.store.messages.lock().unwrap().push(hostile_message());
    let (status, page) = fixture.get("/messages/07070707-0707-0707-0707-070707070707").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("failed: exhausted"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}
