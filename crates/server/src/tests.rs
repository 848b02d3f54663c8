//! Tests of the APIs through the real route table, on a real store in a temporary directory.
//!
//! The providers are fakes that accept every message; their receipts are authenticated by a secret.

mod addresses;
mod auth;
mod broadcasts;
mod connection;
mod inbound;
mod inbox;
mod load;
mod monitoring;
mod native;
mod openapi;
mod owners;
mod receipts;
mod recipients;
mod request_guard;
mod simple;
mod spending;
mod submission;
mod texting;
mod usage;
mod user_throttle;
mod users;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use postrider_cache::StoreSecret;
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::channel::Addressing;
use postrider_core::clock::{Clock, from_millis};
use postrider_core::inbound::CallbackItem;
use postrider_core::random::Random;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_engine::config::{ApiKey, ApiKeyEvents, ApiKeyLimits, Config, Scope};
use postrider_engine::deliver::{self, DeliverStep};
use postrider_engine::gateway::{Backends, Gateway};
use postrider_providers::{CallbackError, CallbackMode, CallbackRequest, OutboundMessage, Provider};

/// A provider that accepts every message, with the reference `ref-` and the delivery id.
struct AcceptingProvider {
    callbacks: CallbackMode,
}

#[async_trait]
impl Provider for AcceptingProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        SendResult::from(Outcome::Accepted { reference: Some(format!("ref-{}", message.delivery_id)) })
    }

    async fn parse_callback(&self, callback: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if callback.headers.get("x-secret").map(String::as_str) != Some("sesame") {
            return Err(CallbackError::Unauthenticated);
        }
        let body = String::from_utf8_lossy(&callback.body);
        let reference = body
            .strip_prefix("delivered ")
            .ok_or_else(|| CallbackError::Malformed("expected \"delivered REFERENCE\"".to_owned()))?;
        Ok(vec![CallbackItem::Receipt(Receipt {
            reference: reference.to_owned(),
            status: ReceiptStatus::Delivered,
            at: callback.received_at,
        })])
    }

    fn callback_mode(&self) -> CallbackMode {
        self.callbacks
    }

    fn endpoint(&self) -> (String, u16) {
        ("fake".to_owned(), 0)
    }
}

/// Returns a provider that accepts every message and receives callbacks in this mode.
pub(super) fn accepting_provider(callbacks: CallbackMode) -> Arc<dyn Provider> {
    Arc::new(AcceptingProvider { callbacks })
}

/// Returns an API key with one scope that shares what it accepts.
pub(crate) fn api_key(name: &str, secret: &str, scope: Scope) -> ApiKey {
    ApiKey {
        name: name.to_owned(),
        sha256: Some(Sha256::digest(secret).into()),
        scopes: vec![scope],
        user_per_hour: None,
        limits: ApiKeyLimits::default(),
        is_shared: true,
        account: Default::default(),
        events: ApiKeyEvents::default(),
    }
}

/// A gateway with all its routes.
pub(super) struct TestServer {
    pub(super) gateway: Arc<Gateway>,
    pub(super) dir: TempDir,
    router: Router,
}

impl TestServer {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::build(accepting_provider(CallbackMode::Authenticated), Clock::System, change).await
    }

    /// Every configured provider name stands for this adapter.
    pub(super) async fn with_provider(adapter: Arc<dyn Provider>) -> Self {
        Self::build(adapter, Clock::System, |_| {}).await
    }

    /// The clock stands still until a test advances it.
    pub(super) async fn with_manual_clock(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::manual(from_millis(1_700_000_000_000));
        Self::build(accepting_provider(CallbackMode::Authenticated), clock, change).await
    }

    /// All channels take phone numbers only.
    pub(super) async fn with_phone_channels() -> Self {
        Self::with(|config| {
            for channel in &mut config.channels {
                channel.addressing = Addressing::Only(AddressKind::Phone);
            }
        })
        .await
    }

    /// The providers report to `/messages/delivery_status`.
    pub(super) async fn with_texting_callbacks(change: impl FnOnce(&mut Config)) -> Self {
        Self::build(accepting_provider(CallbackMode::Texting), Clock::System, change).await
    }

    async fn build(adapter: Arc<dyn Provider>, clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config::test_mode();
        config.store_url = format!("sqlite:{}", dir.path().join("postrider.db").display());
        change(&mut config);
        let store = postrider_store::open(&config.store_url, Duration::from_millis(50)).unwrap();
        let backends = Backends {
            clock,
            random: Random::default(),
            queue: postrider_queue::open(&config.queue_url, config.queue_window).await.unwrap(),
            cache: postrider_cache::open(&config.cache_url).unwrap(),
            secret: StoreSecret::new(store.store_secret().await.unwrap()),
            store,
        };
        let adapters = config.providers.iter().map(|_| Arc::clone(&adapter)).collect();
        let gateway = Arc::new(Gateway::wire(config, backends, adapters));
        let router = crate::routes::routes(&gateway, &tokio::sync::watch::channel(false).1);
        Self { gateway, dir, router }
    }

    pub(super) async fn request(&self, request: Request<Body>) -> TestResponse {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        TestResponse {
            status: head.status,
            headers: head.headers,
            body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> TestResponse {
        self.request(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> TestResponse {
        let request = Request::post(path).header("content-type", content_type);
        self.request(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn post_json(&self, path: &str, body: &Value) -> TestResponse {
        self.post(path, "application/json", body.to_string()).await
    }

    pub(super) async fn message_count(&self) -> usize {
        let query =
            postrider_store::MessageQuery { limit: 1_000, ..postrider_store::MessageQuery::default() };
        self.gateway.store.search(query).await.unwrap().messages.len()
    }

    /// Delivers everything that is due.
    pub(super) async fn deliver_all(&self) {
        while deliver::step(&self.gateway, 100, Duration::ZERO).await != DeliverStep::Idle {}
    }

    /// Blocks all writes to the store until the returned connection is dropped.
    pub(super) fn lock_store(&self) -> rusqlite::Connection {
        let lock = rusqlite::Connection::open(self.dir.path().join("postrider.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock
    }

    /// Breaks the schema of the store, as a defect would.
    pub(super) fn break_store(&self) {
        let connection = rusqlite::Connection::open(self.dir.path().join("postrider.db")).unwrap();
        let schema_change = "DROP VIEW notifications; ALTER TABLE messages RENAME TO elsewhere";
        connection.execute_batch(schema_change).unwrap();
    }
}

/// A response with its whole body.
#[derive(Debug)]
pub(super) struct TestResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl TestResponse {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|header| header.to_str().unwrap())
    }

    /// Asserts the status and the body.
    #[track_caller]
    pub(super) fn assert_response(&self, status: u16, text: &str) {
        assert_eq!((self.status.as_u16(), self.text().as_str()), (status, text));
    }
}
