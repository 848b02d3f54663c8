//! The routes over a store that can go away and a cache that can lose or spoil everything.
//!
//! What is shown must not depend on the cache, and the last known report outlives the store. Nothing here waits
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
use crate::pages::routes;
use postrider_cache::{Cache, SignedCache};
use postrider_core::clock::{Clock, sleep};
use postrider_core::random::Random;
use postrider_core::report::Report;
use postrider_engine::config::Config;
use postrider_engine::gateway::{Backends, Gateway};
use postrider_store::testing::store_parts::StoreParts;

/// How long a test waits for what must happen.
const TEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A cache in the open, so that a test can look into it and spoil it.
#[derive(Default)]
struct InspectableCache {
    values: Mutex<HashMap<String, Vec<u8>>>,
    sets: AtomicUsize,
}

#[async_trait]
impl Cache for InspectableCache {
    async fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.values.lock().unwrap().get(key).cloned()
    }
    async fn set(&self, key: &str, value: &[u8], _: Duration) {
        self.sets.fetch_add(1, Ordering::SeqCst);
        self.values.lock().unwrap().insert(key.to_owned(), value.to_vec());
    }
    async fn ping(&self) -> bool {
        true
    }
}

/// A gateway's pages, with the edges they stand on.
struct PagesFixture {
    store: Arc<FakeStore>,
    cache: Arc<InspectableCache>,
    gateway: Arc<Gateway>,
    pages: Router,
}

impl PagesFixture {
    async fn new() -> Self {
        let store = Arc::new(FakeStore::default());
        let shelf = Arc::new(InspectableCache::default());
        let mut config = Config::test_mode();
        config.providers.clear();
        config.channels.clear();
        let edges = Backends {
            clock: Clock::manual(full_report().as_of),
            random: Random::default(),
            store: Arc::new(StoreParts {
                read: Some(Arc::clone(&store) as Arc<_>),
                report: Some(Arc::clone(&store) as Arc<_>),
                ..StoreParts::default()
            }),
            queue: postrider_queue::open("memory:", 10).await.unwrap(),
            cache: SignedCache::new(Arc::clone(&shelf) as Arc<_>, [7; 32]),
        };
        let gateway = Arc::new(Gateway::wire(config, edges, Vec::new()));
        let pages = routes(&Arc::default()).with_state(Arc::clone(&gateway));
        Self {
            store,
            cache: shelf,
            gateway,
            pages,
        }
    }

    async fn with_report() -> Self {
        let world = Self::new().await;
        world.store.set_report(&full_report());
        world
    }

    /// The same edges seen by another process that remembers nothing.
    fn restart(&mut self) {
        self.pages = routes(&Arc::default()).with_state(Arc::clone(&self.gateway));
    }

    fn make_store_unavailable(&self) {
        self.store.is_unavailable.store(true, Ordering::SeqCst);
    }

    /// Asks until the store was asked once more, so that nothing of before is merely remembered.
    async fn get_after_store_read(&self, path: &str) -> (StatusCode, String) {
        let looks = self.store.snapshot_reads.load(Ordering::SeqCst);
        let start = Instant::now();
        loop {
            let answer = self.get(path).await;
            if self.store.snapshot_reads.load(Ordering::SeqCst) > looks {
                return answer;
            }
            assert!(start.elapsed() < TEST_TIMEOUT, "the store is not asked any more");
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = self.pages.clone().oneshot(request).await.unwrap();
        let status = answer.status();
        assert!(answer.headers().contains_key("content-security-policy"), "{path}");
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn a_page_is_rendered_once_for_all_processes() {
    let mut world = PagesFixture::with_report().await;
    let first = world.get("/").await;
    world.restart();
    assert_eq!(world.get("/").await, first);
    assert_eq!(world.get("/?search=").await, first);
    assert_eq!(world.cache.sets.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn garbage_in_the_cache_changes_nothing() {
    let mut world = PagesFixture::with_report().await;
    let right = world.get("/").await;
    for value in world.cache.values.lock().unwrap().values_mut() {
        *value = b"<script>garbage</script>".repeat(9);
    }
    assert_eq!(world.get("/").await, right);
    world.restart();
    assert_eq!(world.get("/").await, right);
    world.cache.values.lock().unwrap().clear();
    assert_eq!(world.get("/").await, right);
}

#[tokio::test]
async fn a_report_of_another_process_shows_at_the_next_look() {
    let world = PagesFixture::with_report().await;
    world.get("/").await;
    let newer = Report {
        as_of: full_report().as_of + Duration::from_secs(1),
        messages: 31_337,
        ..full_report()
    };
    world.store.set_report(&newer);
    let (_, page) = world.get_after_store_read("/").await;
    assert!(page.contains("31,337"), "{page}");
}

#[tokio::test]
async fn without_the_store_the_last_known_report_is_shown() {
    let world = PagesFixture::with_report().await;
    let right = world.get("/").await;
    world.make_store_unavailable();
    assert_eq!(world.get_after_store_read("/").await, right);
}

#[tokio::test]
async fn without_the_store_a_process_that_knows_nothing_says_so_in_words() {
    let world = PagesFixture::with_report().await;
    world.make_store_unavailable();
    for path in [
        "/",
        "/?search=09122222222",
        "/messages/07070707-0707-0707-0707-070707070707",
    ] {
        let (status, page) = world.get(path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(page.contains("The store cannot be reached right now"), "{page}");
    }
}

#[tokio::test]
async fn before_the_first_report_the_page_is_friendly() {
    let world = PagesFixture::new().await;
    let (status, page) = world.get("/").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("No report yet"), "{page}");
    assert_eq!(world.cache.sets.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_number_is_found_in_any_spelling() {
    let world = PagesFixture::with_report().await;
    world.store.messages.lock().unwrap().push(hostile_message());
    for typed in [
        "09122222222",
        "+09122222222+",
        "%2B98+912+222+2222",
        "+98+912+222+2222",
        "00989122222222",
    ] {
        let (status, page) = world.get(&format!("/?search={typed}")).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            page.contains("/messages/07070707-0707-0707-0707-070707070707"),
            "{typed}: {page}"
        );
        assert!(
            page.contains("&#38;before=1\"") || page.contains("&amp;before=1\""),
            "{page}"
        );
        assert!(page.contains("84,213"), "the report is there as well: {page}");
    }
}

#[tokio::test]
async fn a_search_for_anything_else_gets_a_sentence() {
    let world = PagesFixture::with_report().await;
    let wrong = [
        (
            "/?search=%3Cscript%3E",
            StatusCode::OK,
            "not a number we can read",
        ),
        ("/?search=12", StatusCode::OK, "not a number we can read"),
        (
            "/?search=09350000000",
            StatusCode::OK,
            "No message to this number is known",
        ),
        (
            "/?search=09350000000&before=x",
            StatusCode::OK,
            "No message to this number is known",
        ),
        ("/?search=%FF", StatusCode::OK, "not a number we can read"),
        (
            "/?search=1&search=2",
            StatusCode::BAD_REQUEST,
            "This address cannot be read",
        ),
        ("/messages/7", StatusCode::NOT_FOUND, "There is no such message"),
        ("/messages/%FF", StatusCode::NOT_FOUND, "There is no such message"),
        (
            "/messages/07070707-0707-0707-0707-070707070708",
            StatusCode::NOT_FOUND,
            "There is no such message",
        ),
    ];
    for (path, status, words) in wrong {
        let (got, page) = world.get(path).await;
        assert_eq!(got, status, "{path}");
        assert!(page.contains(words), "{path}: {page}");
        assert!(!page.contains("<script"), "{path}");
    }
}

#[tokio::test]
async fn a_message_has_a_page() {
    let world = PagesFixture::with_report().await;
    world.store.messages.lock().unwrap().push(hostile_message());
    let (status, page) = world.get("/messages/07070707-0707-0707-0707-070707070707").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("failed: exhausted"), "{page}");
    assert!(!page.contains("<script"), "{page}");
}
