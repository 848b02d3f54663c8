//! Faces asked through the real route table, on a real store in a directory of the test's own.
//!
//! The providers are played: they take everything, and their receipts carry a secret.

mod broadcasts;
mod describe;
mod door;
mod inbox;
mod machines;
mod native;
mod receipts;
mod recipients;
mod simple;
mod sockets;
mod texting;
mod throttle;
mod usage;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::cache::{self, Sealed};
use crate::clock::{Clock, from_millis};
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Addressing;
use crate::domain::inbound::Incoming;
use crate::domain::receipt::{Receipt, Verdict};
use crate::domain::recipient::AddressKind;
use crate::flow::deliver::{self, Step};
use crate::gateway::{Edges, Gateway};
use crate::provider::{Call, Callbacks, Parcel, Provider, Refusal};
use crate::{queue, store};

/// A provider that takes everything under the reference `ref-` and the delivery's number.
struct Willing {
    callbacks: Callbacks,
}

#[async_trait]
impl Provider for Willing {
    async fn send(&self, parcel: &Parcel) -> Answer {
        Answer::from(Outcome::Accepted {
            reference: Some(format!("ref-{}", parcel.delivery)),
        })
    }

    fn receipts(&self, call: &Call) -> Result<Vec<Incoming>, Refusal> {
        if call.headers.get("x-secret").map(String::as_str) != Some("sesame") {
            return Err(Refusal::Forged);
        }
        let body = String::from_utf8_lossy(&call.body);
        let reference = body
            .strip_prefix("delivered ")
            .ok_or_else(|| Refusal::Unreadable("say \"delivered REFERENCE\"".to_owned()))?;
        Ok(vec![Incoming::Receipt(Receipt {
            reference: reference.to_owned(),
            verdict: Verdict::Delivered,
            at: call.heard_at,
        })])
    }

    fn callbacks(&self) -> Callbacks {
        self.callbacks
    }

    fn place(&self) -> (String, u16) {
        ("played".to_owned(), 0)
    }
}

/// One whose receipts come in so.
pub(super) fn willing(callbacks: Callbacks) -> Arc<dyn Provider> {
    Arc::new(Willing { callbacks })
}

/// A gateway with its faces.
pub(super) struct World {
    pub(super) gateway: Arc<Gateway>,
    pub(super) place: TempDir,
    router: Router,
}

impl World {
    pub(super) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    pub(super) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::of(willing(Callbacks::Authenticated), Clock::System, change).await
    }

    /// One whose only carrier, under every name, is this one.
    pub(super) async fn carried_by(adapter: Arc<dyn Provider>) -> Self {
        Self::of(adapter, Clock::System, |_| {}).await
    }

    /// One whose clock stands still until it is moved.
    pub(super) async fn still(change: impl FnOnce(&mut Config)) -> Self {
        let clock = Clock::manual(from_millis(1_700_000_000_000));
        Self::of(willing(Callbacks::Authenticated), clock, change).await
    }

    /// One whose channels take phone numbers and nothing else.
    pub(super) async fn of_kind_phone() -> Self {
        Self::with(|config| {
            for channel in &mut config.channels {
                channel.address = Addressing::Only(AddressKind::Phone);
            }
        })
        .await
    }

    /// One whose providers report to `/messages/delivery_status`.
    pub(super) async fn texting(change: impl FnOnce(&mut Config)) -> Self {
        Self::of(willing(Callbacks::Texting), Clock::System, change).await
    }

    async fn of(adapter: Arc<dyn Provider>, clock: Clock, change: impl FnOnce(&mut Config)) -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut config = Config::sandbox();
        config.store_url = format!("sqlite:{}", place.path().join("postrider.db").display());
        change(&mut config);
        let store = store::open(&config.store_url, Duration::from_millis(50)).unwrap();
        let edges = Edges {
            clock,
            dice: Dice::default(),
            queue: queue::open(&config.queue_url, config.queue_window).await.unwrap(),
            cache: Sealed::new(
                cache::open(&config.cache_url).unwrap(),
                store.seal().await.unwrap(),
            ),
            store,
        };
        let adapters = config.providers.iter().map(|_| Arc::clone(&adapter)).collect();
        let gateway = Arc::new(Gateway::wire(config, edges, adapters));
        let router = super::routes(&gateway, &tokio::sync::watch::channel(false).1);
        Self {
            gateway,
            place,
            router,
        }
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Reply {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        Reply {
            status: head.status,
            headers: head.headers,
            body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
        }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.ask(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(super) async fn post(&self, path: &str, content_type: &str, body: impl Into<Body>) -> Reply {
        let request = Request::post(path).header("content-type", content_type);
        self.ask(request.body(body.into()).unwrap()).await
    }

    pub(super) async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "application/json", body.to_string()).await
    }

    pub(super) async fn messages(&self) -> usize {
        let query = store::Query {
            limit: 1_000,
            ..store::Query::default()
        };
        self.gateway.store.search(query).await.unwrap().messages.len()
    }

    /// Takes everything that is due to its provider.
    pub(super) async fn deliver_all(&self) {
        while deliver::step(&self.gateway, 100, Duration::ZERO).await != Step::Idle {}
    }

    /// Holds the store's lock, so that nothing can be written, until it is dropped.
    pub(super) fn lock_store(&self) -> rusqlite::Connection {
        let lock = rusqlite::Connection::open(self.place.path().join("postrider.db")).unwrap();
        lock.execute_batch("BEGIN IMMEDIATE").unwrap();
        lock
    }

    /// Makes the store's schema one that cannot be, as a defect would.
    pub(super) fn break_store(&self) {
        let other = rusqlite::Connection::open(self.place.path().join("postrider.db")).unwrap();
        let broken = "DROP VIEW notifications; ALTER TABLE messages RENAME TO elsewhere";
        other.execute_batch(broken).unwrap();
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Status and text at once, as the tables in the tests have them.
    #[track_caller]
    pub(super) fn expect(&self, status: u16, text: &str) {
        assert_eq!((self.status.as_u16(), self.text().as_str()), (status, text));
    }
}
