//! One simulated host: a gateway with its own clock, random generator, cache and connection to the store.
//!
//! Dropping a host loses its memory. Hosts share only the store and the queue.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider_cache::StoreSecret;
use postrider_core::clock::Clock;
use postrider_core::random::Random;
use postrider_engine::config::Config;
use postrider_engine::gateway::{Backends, Gateway};
use postrider_providers::Provider;
use postrider_queue::Queue;
use postrider_store::Store;

use super::context::SimulationContext;
use super::faulty_store::FaultyStore;
use super::unreliable_provider::UnreliableProvider;
use super::unreliable_queue::UnreliableQueue;

/// Lease of a claim: long enough for several provider calls in simulated time.
pub const CLAIM_LEASE: Duration = Duration::from_secs(600);

/// The providers, in the order of the configuration.
pub const PROVIDERS: [&str; 2] = ["blue", "red"];

/// The channel that sends again after an unknown outcome.
pub const RESENDING_CHANNEL: &str = "sms";
/// The channel that does not send again after an unknown outcome.
pub const HOLDING_CHANNEL: &str = "codes";

/// A running host.
pub struct SimulatedHost {
    pub number: usize,
    pub gateway: Arc<Gateway>,
    pub store: Arc<FaultyStore>,
    pub clock_skew_ms: i64,
    clock: Arc<AtomicI64>,
}

impl SimulatedHost {
    pub async fn start(
        context: &Arc<SimulationContext>,
        store: &Arc<dyn Store>,
        queue: &Arc<UnreliableQueue>,
        number: usize,
    ) -> Self {
        let faulty_store = Arc::new(FaultyStore::new(context, store));
        let clock = Arc::new(AtomicI64::new(0));
        let backends = Backends {
            clock: Clock::Manual(Arc::clone(&clock)),
            random: Random::seeded(context.random_between(0, 1 << 40).unsigned_abs()),
            store: Arc::clone(&faulty_store) as Arc<dyn Store>,
            queue: Arc::clone(queue) as Arc<dyn Queue>,
            cache: postrider_cache::open("memory:").unwrap(),
            secret: StoreSecret::new(store.store_secret().await.unwrap()),
        };
        let provider = |name| -> Arc<dyn Provider> {
            let context = Arc::clone(context);
            Arc::new(UnreliableProvider { name, context })
        };
        let host = Self {
            number,
            gateway: Arc::new(Gateway::wire(config(), backends, PROVIDERS.map(provider).to_vec())),
            store: faulty_store,
            clock_skew_ms: context.random_clock_skew(),
            clock,
        };
        host.set_clock(context);
        host
    }

    /// Sets the host's clock to the simulated time plus its skew.
    pub fn set_clock(&self, context: &SimulationContext) {
        self.clock.store(context.time_ms() + self.clock_skew_ms, Ordering::SeqCst);
    }
}

/// Returns a configuration with two channels over two providers, whose low limits every scenario reaches.
fn config() -> Config {
    let mut config = Config::test_mode();
    for (provider, name) in config.providers.iter_mut().zip(PROVIDERS) {
        provider.name = name.parse().unwrap();
        provider.concurrency = 3;
        provider.rate = Some(2.0);
        provider.breaker_failure_threshold = 2;
        provider.breaker_open_duration = Duration::from_secs(5);
        // Real time, longer than any scenario runs, so it never expires.
        provider.timeout = Duration::from_secs(120);
    }
    config.work.lease = CLAIM_LEASE;
    let mut resending = config.channels.remove(0);
    resending.name = RESENDING_CHANNEL.parse().unwrap();
    resending.providers = PROVIDERS.map(|name| name.parse().unwrap()).to_vec();
    resending.bounce_resends = 1;
    let mut holding = resending.clone();
    holding.name = HOLDING_CHANNEL.parse().unwrap();
    holding.unknown_retries = 0;
    config.channels = vec![holding, resending];
    config
}
