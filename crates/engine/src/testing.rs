//! Test doubles: a gateway on a temporary SQLite store, and a provider with a fixed behaviour.
//!
//! Available to tests of this crate and, with feature `testing`, to tests of other crates.
#![allow(clippy::unwrap_used, reason = "test code")]

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{self, Clock};
use postrider_core::{address::AddressKind, random::Random};
use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::gateway::{Backends, Gateway, build_providers};
use crate::{accept::AcceptRequest, config::Config};
use postrider_cache::StoreSecret;
use postrider_providers::{OutboundMessage, Provider};
use postrider_queue::Queue;
use postrider_store::Store;

/// Maximum number of entries in the queue of a [`GatewayBuilder`].
const QUEUE_ENTRIES_MAX: usize = 10_000;

/// Opens a SQLite store in a folder.
pub fn open_store(folder: &Path) -> Arc<dyn Store> {
    open_store_with_timeout(folder, postrider_store::DEFAULT_LOCK_TIMEOUT)
}

/// Opens a SQLite store in a folder with this lock timeout.
pub fn open_store_with_timeout(folder: &Path, lock_timeout: Duration) -> Arc<dyn Store> {
    let url = format!("sqlite:{}", folder.join("postrider.db").display());
    postrider_store::open(&url, lock_timeout).unwrap()
}

/// Builds a gateway for a test: cache and queue in memory, seeded random numbers, a manual clock.
pub struct GatewayBuilder {
    config: Config,
    clock: Clock,
    seed: u64,
    queue: Option<Arc<dyn Queue>>,
    providers: Option<Vec<Arc<dyn Provider>>>,
}

impl GatewayBuilder {
    /// Starts with a configuration and its own adapters.
    pub fn new(config: Config) -> Self {
        Self {
            config,
            clock: Clock::manual(clock::from_millis(1_700_000_000_000)),
            seed: 1,
            queue: None,
            providers: None,
        }
    }

    /// Replaces the manual clock.
    pub fn clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// Replaces the seed of the random numbers; gateways on one store need different seeds.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Replaces the queue in memory.
    pub fn queue(mut self, queue: Arc<dyn Queue>) -> Self {
        self.queue = Some(queue);
        self
    }

    /// Replaces the adapters of the configured providers, in the same order.
    pub fn providers(mut self, providers: Vec<Arc<dyn Provider>>) -> Self {
        self.providers = Some(providers);
        self
    }

    /// Wires the gateway on a store.
    pub async fn wire(self, store: &Arc<dyn Store>) -> Gateway {
        let queue = match self.queue {
            Some(queue) => queue,
            None => {
                let entries_max = self.config.queue_window.min(QUEUE_ENTRIES_MAX);
                postrider_queue::open("memory:", entries_max).await.unwrap()
            }
        };
        let secret = StoreSecret::new(store.store_secret().await.unwrap());
        let providers = self.providers.unwrap_or_else(|| build_providers(&self.config, &secret).unwrap());
        let backends = Backends {
            clock: self.clock,
            random: Random::seeded(self.seed),
            store: Arc::clone(store),
            queue,
            cache: postrider_cache::open("memory:").unwrap(),
            secret,
        };
        Gateway::wire(self.config, backends, providers)
    }
}

/// Returns a request to send "hello" to one phone number over a channel.
pub fn request_over(channel: &str) -> AcceptRequest {
    AcceptRequest {
        body: "hello".to_owned(),
        addresses: vec![(channel.to_owned(), "09122222222".to_owned())],
        ..AcceptRequest::default()
    }
}

/// A provider that returns a fixed outcome and records what it was given.
pub struct FixedOutcomeProvider {
    address_kind: AddressKind,
    outcome: Option<Outcome>,
    delay: Duration,
    received: Mutex<Vec<OutboundMessage>>,
}

impl FixedOutcomeProvider {
    /// Returns a provider that answers every call with `outcome`.
    pub fn new(outcome: Outcome) -> Self {
        Self {
            address_kind: AddressKind::Any,
            outcome: Some(outcome),
            delay: Duration::ZERO,
            received: Mutex::default(),
        }
    }

    /// Returns a provider that accepts every message.
    pub fn accepting() -> Self {
        Self::new(Outcome::Accepted { reference: None })
    }

    /// Returns a provider that accepts every message after `delay`, so that calls accumulate.
    pub fn accepting_after(delay: Duration) -> Self {
        Self { delay, ..Self::accepting() }
    }

    /// Returns a provider that never answers.
    pub fn hanging() -> Self {
        Self { outcome: None, ..Self::accepting() }
    }

    /// Sets the kind of address that the provider needs; the default is any text.
    pub fn with_address_kind(self, address_kind: AddressKind) -> Self {
        Self { address_kind, ..self }
    }

    /// Returns the messages of all calls so far.
    pub fn received(&self) -> Vec<OutboundMessage> {
        self.received.lock().clone()
    }

    /// Returns the number of calls so far.
    pub fn call_count(&self) -> usize {
        self.received.lock().len()
    }
}

#[async_trait]
impl Provider for FixedOutcomeProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        self.received.lock().push(message.clone());
        if !self.delay.is_zero() {
            clock::sleep(self.delay).await;
        }
        match &self.outcome {
            Some(outcome) => outcome.clone().into(),
            None => std::future::pending().await,
        }
    }

    fn address_kind(&self) -> AddressKind {
        self.address_kind
    }

    fn endpoint(&self) -> (String, u16) {
        ("stub".to_owned(), 0)
    }
}
