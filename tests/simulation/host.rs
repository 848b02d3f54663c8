//! One host of the fleet: a gateway of its own with its own clock, dice, cache and way to the store. What it keeps in
//! memory dies with it.
//!
//! Hosts know of each other only what the store and the queue tell them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider_cache::StoreSecret;
use postrider_core::clock::Clock;
use postrider_core::random::Random;
use postrider_core::retry::UnknownPolicy;
use postrider_engine::config::Config;
use postrider_engine::gateway::{Backends, Gateway};
use postrider_providers::Provider;
use postrider_queue::Queue;
use postrider_store::Store;

use super::context::SimulationContext;
use super::faulty_store::FaultyStore;
use super::unreliable_provider::UnreliableProvider;
use super::unreliable_queue::UnreliableQueue;

/// How long a claim lasts: some calls, at the pace of a storm.
pub const CLAIM_LEASE: Duration = Duration::from_secs(600);

/// The providers, in the order of the configuration.
pub const PROVIDERS: [&str; 2] = ["blue", "red"];

/// The channel that sends again after silence, and the one that holds.
pub const RESENDING_CHANNEL: &str = "sms";
pub const HOLDING_CHANNEL: &str = "codes";

/// A host that is up.
pub struct SimulatedHost {
    pub number: usize,
    pub gateway: Arc<Gateway>,
    pub store: Arc<FaultyStore>,
    pub clock_skew_ms: i64,
    clock: Arc<AtomicI64>,
}

impl SimulatedHost {
    pub async fn start(
        world: &Arc<SimulationContext>,
        store: &Arc<dyn Store>,
        queue: &Arc<UnreliableQueue>,
        number: usize,
    ) -> Self {
        let link = Arc::new(FaultyStore::new(world, store));
        let clock = Arc::new(AtomicI64::new(0));
        let edges = Backends {
            clock: Clock::Manual(Arc::clone(&clock)),
            random: Random::seeded(world.random_between(0, 1 << 40).unsigned_abs()),
            store: Arc::clone(&link) as Arc<dyn Store>,
            queue: Arc::clone(queue) as Arc<dyn Queue>,
            cache: postrider_cache::open("memory:").unwrap(),
            secret: StoreSecret::new(store.store_secret().await.unwrap()),
        };
        let carrier = |name| -> Arc<dyn Provider> {
            let world = Arc::clone(world);
            Arc::new(UnreliableProvider { name, context: world })
        };
        let host = Self {
            number,
            gateway: Arc::new(Gateway::wire(config(), edges, PROVIDERS.map(carrier).to_vec())),
            store: link,
            clock_skew_ms: world.random_clock_skew(),
            clock,
        };
        host.set_clock(world);
        host
    }

    /// Shows the host its own idea of the time.
    pub fn set_clock(&self, world: &SimulationContext) {
        self.clock
            .store(world.time_ms() + self.clock_skew_ms, Ordering::SeqCst);
    }
}

/// Two channels over two providers that can do little at once, so that every limit is met.
fn config() -> Config {
    let mut config = Config::test_mode();
    for (provider, name) in config.providers.iter_mut().zip(PROVIDERS) {
        provider.name = name.parse().unwrap();
        provider.concurrency = 3;
        provider.rate = Some(2.0);
        provider.breaker_failure_threshold = 2;
        provider.breaker_open_duration = Duration::from_secs(5);
        // In real time, which has no part in a storm: far longer than one lasts.
        provider.timeout = Duration::from_secs(120);
    }
    config.work.lease = CLAIM_LEASE;
    let mut resends = config.channels.remove(0);
    resends.name = RESENDING_CHANNEL.parse().unwrap();
    resends.providers = PROVIDERS.map(|name| name.parse().unwrap()).to_vec();
    resends.bounce_resends = 1;
    let mut holds = resends.clone();
    holds.name = HOLDING_CHANNEL.parse().unwrap();
    holds.unknown_policy = UnknownPolicy::Hold;
    config.channels = vec![holds, resends];
    config
}
