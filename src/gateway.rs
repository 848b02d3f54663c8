//! The wired program: configuration, clock, dice, store, queue, cache, lanes and routes in one place.
//!
//! The only place that names backends: everything to the left gets a `&Gateway` and speaks to traits.

pub mod fleet;
mod judged;
mod lane;
mod pulse;
mod route;

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Notify;

use crate::cache::{self, Cache, Sealed};
use crate::clock::Clock;
use crate::config::{Config, ProviderConfig};
use crate::dice::Dice;
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::error::Result;
use crate::metrics::Metrics;
use crate::provider::{self, CallLimits, Callbacks, Outbound, Provider};
use crate::queue::{self, Queue};
use crate::store::{self, CommitStats, Place, ProviderPlace, Store};

pub use lane::{Busy, Lane, LaneView, Ties};
pub use route::Route;

/// The longest answer of a provider that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The part of a call's time that connecting may take at most, so that a host that is away is never mistaken for
/// one that went silent.
const CONNECT_SHARE_MAX: f64 = 0.9;

/// What the proof in a callback URL is for.
const CALLBACK_PURPOSE: &str = "callback";

/// What an operator is told of a provider with `unsigned = true`.
pub const UNSIGNED_RECEIPTS: &str =
    "its receipts prove nothing (unsigned = true): every caller who guesses a reference changes deliveries";

/// Everything that runs, wired.
pub struct Gateway {
    /// What was configured.
    pub config: Config,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where luck comes from.
    pub dice: Dice,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The nudge.
    pub queue: Arc<dyn Queue>,
    /// The memory that may be lost.
    pub cache: Sealed,
    /// What is counted.
    pub metrics: Metrics,
    /// Who this process is to the others on the same store, in words that mean something to an operator.
    pub holder: String,
    /// Told when there may be an event to tell.
    pub outbox: Notify,
    /// Told when there may be a broadcast to make into messages.
    pub spreading: Notify,
    /// Told when a lane has found out something that other processes should know.
    news: Arc<Notify>,
    lanes: Vec<Arc<Lane>>,
    routes: HashMap<String, Route>,
}

/// What a gateway is wired to, opened already.
pub struct Edges {
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where luck comes from.
    pub dice: Dice,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The nudge.
    pub queue: Arc<dyn Queue>,
    /// The memory that may be lost.
    pub cache: Sealed,
}

impl Gateway {
    /// Opens every edge the configuration names. A queue or cache that is away is waited for later; a store
    /// that cannot be opened is an error.
    pub async fn open(config: Config) -> Result<Self> {
        let store = store::open_at(&store_place(&config))?;
        let queue = queue::open(&config.queue_url, config.queue_window).await?;
        let cache = Sealed::new(cache::open(&config.cache_url)?, store.seal().await?);
        let adapters = build_all(&config, &cache)?;
        let edges = Edges {
            clock: fleet::clock(&store).await?,
            dice: Dice::default(),
            store,
            queue,
            cache,
        };
        let gateway = Self::wire(config, edges, adapters);
        gateway.warn_of_strangers();
        gateway.warn_of_unsigned_receipts();
        // Only people's own queries miss it, and a store that cannot be written now may be written later.
        if let Err(error) = gateway.store.name_providers(gateway.places()).await {
            log::error!("{}", error.chain());
        }
        if let Err(error) = fleet::exchange(&gateway).await {
            log::error!("{}", error.chain());
        }
        Ok(gateway)
    }

    /// Wires edges that are open already, with one adapter for each configured provider, in the same order.
    /// Simulations bring their own clock, dice and adapters.
    pub fn wire(config: Config, edges: Edges, adapters: Vec<Arc<dyn Provider>>) -> Self {
        let Edges {
            clock,
            dice,
            store,
            queue,
            cache,
        } = edges;
        let metrics = Metrics::default();
        metrics.show_edges(queue.errors(), cache.errors());
        if let Some((sizes, seconds)) = store.commit_stats().map(CommitStats::histograms) {
            metrics.show_commits(sizes, seconds);
        }
        let ties = Ties {
            store: Arc::clone(&store),
            news: Arc::default(),
            loaded_at: clock.now(),
        };
        let lanes: Vec<Arc<Lane>> = config
            .providers
            .iter()
            .zip(adapters)
            .map(|(provider, adapter)| Arc::new(Lane::new(provider, adapter, &metrics, ties.clone())))
            .collect();
        let routes = config
            .channels
            .iter()
            .map(|channel| {
                (
                    channel.name.to_string(),
                    Route::new(channel.clone(), &lanes, &metrics),
                )
            })
            .collect();
        Self {
            holder: holder(dice.bytes()),
            config,
            clock,
            dice,
            store,
            queue,
            cache,
            metrics,
            outbox: Notify::new(),
            spreading: Notify::new(),
            news: ties.news,
            lanes,
            routes,
        }
    }

    /// The channel of that name with its lanes.
    pub fn route(&self, channel: &str) -> Option<&Route> {
        self.routes.get(channel)
    }

    /// The channels that a provider carries for.
    pub fn routes_over(&self, provider: &Name) -> impl Iterator<Item = &Route> {
        self.routes
            .values()
            .filter(|route| route.channel.providers.contains(provider))
    }

    /// The lane of that provider.
    pub fn lane(&self, provider: &Name) -> Option<&Arc<Lane>> {
        self.lanes.iter().find(|lane| lane.name == *provider)
    }

    /// Every lane, in the order of the configuration.
    pub fn lanes(&self) -> &[Arc<Lane>] {
        &self.lanes
    }

    /// Whether nothing really leaves, because every provider only plays one.
    pub fn is_sandbox(&self) -> bool {
        self.lanes.iter().all(|lane| lane.provider.is_sandbox())
    }

    /// Counts a delivery that moved to another state.
    pub fn moved(&self, channel: &Name, standing: Standing) {
        if let Some(route) = self.route(channel.as_str()) {
            route.moved(standing);
        }
    }

    fn warn_of_strangers(&self) {
        for route in self.routes.values() {
            for lane in route.strangers() {
                let (name, wanted) = (&lane.name, lane.provider.address().noun());
                log::warn!(
                    "[channels.{}] takes no {wanted}, which is what {name} wants, so that {name} is never asked: take it \
                     out of the channel, or put the channel's address right",
                    route.channel.name
                );
            }
        }
    }

    fn warn_of_unsigned_receipts(&self) {
        for lane in &self.lanes {
            if lane.provider.callbacks() == Callbacks::Unsigned {
                log::warn!("{UNSIGNED_RECEIPTS}; provider={}", lane.name);
            }
        }
    }

    /// Returns the provider whose callback URL carries this token, if there is one that reports to
    /// `/messages/delivery_status`. The comparison takes the same time for every wrong token.
    pub fn lane_of_callback(&self, token: &str) -> Option<&Arc<Lane>> {
        let proof = URL_SAFE_NO_PAD.decode(token).ok()?;
        self.lanes
            .iter()
            .filter(|lane| lane.provider.callbacks() == Callbacks::Texting)
            .filter(|lane| {
                let name = lane.name.as_str().as_bytes();
                self.cache.proves(CALLBACK_PURPOSE, name, &proof)
            })
            .last()
    }

    fn places(&self) -> Vec<ProviderPlace> {
        let place = |lane: &Arc<Lane>| {
            let (host, port) = lane.provider.place();
            ProviderPlace {
                name: lane.name.clone(),
                host,
                port,
            }
        };
        self.lanes.iter().map(place).collect()
    }
}

/// The host, the process, and what tells two apart whose host and number are the same, as in containers.
fn holder(luck: [u8; 2]) -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "a host without a name",
        host => host,
    };
    format!(
        "{host}, process {} ({:04x})",
        std::process::id(),
        u16::from_be_bytes(luck)
    )
}

/// Where the configuration says that the store is.
pub fn store_place(config: &Config) -> Place<'_> {
    Place {
        url: &config.store_url,
        replica_url: config.store_replica_url.as_deref(),
        connections: config.store_connections,
        lock_wait: store::LOCK_WAIT,
    }
}

pub(crate) fn build_all(config: &Config, cache: &Sealed) -> Result<Vec<Arc<dyn Provider>>> {
    let outbound = Outbound::new()?;
    config
        .providers
        .iter()
        .map(|provider| {
            let token = callback_token(cache, &provider.name);
            build(provider, &config.public_url, &token, &outbound)
        })
        .collect()
}

/// Returns the token in the callback URL of a provider with `receipts = "texting"`: the same in every process on the
/// store, another for each provider, and known to those only that were given the URL.
pub fn callback_token(cache: &Sealed, provider: &Name) -> String {
    URL_SAFE_NO_PAD.encode(cache.proof(CALLBACK_PURPOSE, provider.as_str().as_bytes()))
}

/// Builds the adapter a provider's configuration names; its settings are read here, and an error names their place.
/// Connects nowhere. For `callback_token` see [`callback_token`]; where no gateway runs any text will do.
pub fn build(
    config: &ProviderConfig,
    public_url: &str,
    callback_token: &str,
    outbound: &Outbound,
) -> Result<Arc<dyn Provider>> {
    build_alone(config, public_url, callback_token, outbound)
        .map_err(|error| error.at(&format!("[providers.{}]", config.name)))
}

fn build_alone(
    config: &ProviderConfig,
    public_url: &str,
    callback_token: &str,
    outbound: &Outbound,
) -> Result<Arc<dyn Provider>> {
    let settings = provider::Settings::read(&config.kind, config.settings.clone())?;
    let limits = CallLimits {
        connect: config
            .connect_timeout
            .min(config.timeout.mul_f64(CONNECT_SHARE_MAX)),
        call: config.timeout,
        answer_bytes_max: ANSWER_BYTES_MAX,
    };
    provider::build(
        &config.name,
        &settings,
        &limits,
        public_url,
        callback_token,
        outbound,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_provider_says_where_it_stands() {
        let outbound = Outbound::new().unwrap();
        let settings = toml::toml! { latencyy = "3ms" };
        for (kind, word) in [("mock", "latencyy"), ("pigeon", "pigeon")] {
            let config = ProviderConfig::new("blue".parse().unwrap(), kind, settings.clone());
            let error = build(&config, "http://127.0.0.1", "", &outbound)
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.starts_with("[providers.blue] ") && error.contains(word),
                "{error}"
            );
        }
    }
}
