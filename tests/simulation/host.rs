//! One host of the fleet: a gateway of its own with its own clock, dice, cache and way to the store. What it keeps in
//! memory dies with it.
//!
//! Hosts know of each other only what the store and the queue tell them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use postrider::cache::{self, Sealed};
use postrider::clock::Clock;
use postrider::config::Config;
use postrider::dice::Dice;
use postrider::domain::channel::UnknownPolicy;
use postrider::gateway::{Edges, Gateway};
use postrider::provider::Provider;
use postrider::queue::Queue;
use postrider::store::Store;

use super::carriers::Carrier;
use super::link::Link;
use super::rumours::Rumours;
use super::world::World;

/// How long a claim lasts: some calls, at the pace of a storm.
pub const LEASE: Duration = Duration::from_secs(600);

/// The providers, in the order of the configuration.
pub const CARRIERS: [&str; 2] = ["blue", "red"];

/// The channel that sends again after silence, and the one that holds.
pub const RESENDS: &str = "sms";
pub const HOLDS: &str = "codes";

/// A host that is up.
pub struct Host {
    pub number: usize,
    pub gateway: Arc<Gateway>,
    pub link: Arc<Link>,
    pub skew_ms: i64,
    clock: Arc<AtomicI64>,
}

impl Host {
    pub async fn start(
        world: &Arc<World>,
        store: &Arc<dyn Store>,
        queue: &Arc<Rumours>,
        number: usize,
    ) -> Self {
        let link = Arc::new(Link::new(world, store));
        let clock = Arc::new(AtomicI64::new(0));
        let edges = Edges {
            clock: Clock::Manual(Arc::clone(&clock)),
            dice: Dice::seeded(world.between(0, 1 << 40).unsigned_abs()),
            store: Arc::clone(&link) as Arc<dyn Store>,
            queue: Arc::clone(queue) as Arc<dyn Queue>,
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
        };
        let carrier = |name| -> Arc<dyn Provider> {
            let world = Arc::clone(world);
            Arc::new(Carrier { name, world })
        };
        let host = Self {
            number,
            gateway: Arc::new(Gateway::wire(config(), edges, CARRIERS.map(carrier).to_vec())),
            link,
            skew_ms: world.skew(),
            clock,
        };
        host.set_clock(world);
        host
    }

    /// Shows the host its own idea of the time.
    pub fn set_clock(&self, world: &World) {
        self.clock.store(world.time_ms() + self.skew_ms, Ordering::SeqCst);
    }
}

/// Two channels over two providers that can do little at once, so that every limit is met.
fn config() -> Config {
    let mut config = Config::sandbox();
    for (provider, name) in config.providers.iter_mut().zip(CARRIERS) {
        provider.name = name.parse().unwrap();
        provider.concurrency = 3;
        provider.rate = Some(2.0);
        provider.rest_after = 2;
        provider.rest_for = Duration::from_secs(5);
        // In real time, which has no part in a storm: far longer than one lasts.
        provider.timeout = Duration::from_secs(120);
    }
    config.work.lease = LEASE;
    let mut resends = config.channels.remove(0);
    resends.name = RESENDS.parse().unwrap();
    resends.providers = CARRIERS.map(|name| name.parse().unwrap()).to_vec();
    resends.bounce_resends = 1;
    let mut holds = resends.clone();
    holds.name = HOLDS.parse().unwrap();
    holds.unknown = UnknownPolicy::Hold;
    config.channels = vec![holds, resends];
    config
}
