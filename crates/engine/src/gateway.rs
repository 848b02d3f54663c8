//! The wired program: configuration, clock, dice, store, queue, cache, lanes and routes in one place.
//!
//! The only place that names backends: everything to the left gets a `&Gateway` and speaks to traits.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio::sync::Notify;

use crate::config::{Config, ProviderConfig};
use crate::metrics::Metrics;
use postrider_cache::{Cache, SignedCache};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Clock;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::random::Random;
use postrider_providers::{AdapterContext, CallLimits, CallbackMode, HttpClientPool, Provider};
use postrider_queue::Queue;
use postrider_store::{CommitStats, ProviderEndpoint, Store, StoreOptions};

pub use crate::provider_runtime::{ProviderBusy, ProviderRuntime, ProviderRuntimeStatus, RuntimeContext};
pub use crate::route::Route;

/// The longest answer of a provider that is read, in bytes.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

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
    pub random: Random,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The nudge.
    pub queue: Arc<dyn Queue>,
    /// The memory that may be lost.
    pub cache: SignedCache,
    /// What is counted.
    pub metrics: Metrics,
    /// Who this process is to the others on the same store, in words that mean something to an operator.
    pub process_name: String,
    /// Told when there may be an event to tell.
    pub events_pending: Notify,
    /// Told when there may be a broadcast to make into messages.
    pub fan_out_pending: Notify,
    /// Told when a lane has found out something that other processes should know.
    pub(crate) health_changed: Arc<Notify>,
    providers: Vec<Arc<ProviderRuntime>>,
    routes: HashMap<String, Route>,
}

/// What a gateway is wired to, opened already.
pub struct Backends {
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where luck comes from.
    pub random: Random,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// The nudge.
    pub queue: Arc<dyn Queue>,
    /// The memory that may be lost.
    pub cache: SignedCache,
}

impl Gateway {
    /// Opens every edge the configuration names. A queue or cache that is away is waited for later; a store
    /// that cannot be opened is an error.
    pub async fn open(config: Config) -> Result<Self> {
        let store = postrider_store::open_with(&store_location(&config))?;
        let queue = postrider_queue::open(&config.queue_url, config.queue_window).await?;
        let cache = SignedCache::new(
            postrider_cache::open(&config.cache_url)?,
            store.store_secret().await?,
        );
        let adapters = build_providers(&config, &cache)?;
        let edges = Backends {
            clock: crate::shared_health::store_clock(&store).await?,
            random: Random::default(),
            store,
            queue,
            cache,
        };
        let gateway = Self::wire(config, edges, adapters);
        gateway.warn_of_unusable_providers();
        gateway.warn_of_unsigned_receipts();
        // Only people's own queries miss it, and a store that cannot be written now may be written later.
        if let Err(error) = gateway
            .store
            .save_provider_endpoints(gateway.provider_addresses())
            .await
        {
            log::error!("{}", error.chain());
        }
        if let Err(error) = crate::shared_health::sync_health(&gateway).await {
            log::error!("{}", error.chain());
        }
        Ok(gateway)
    }

    /// Wires edges that are open already, with one adapter for each configured provider, in the same order.
    /// Simulations bring their own clock, dice and adapters.
    pub fn wire(config: Config, edges: Backends, adapters: Vec<Arc<dyn Provider>>) -> Self {
        let Backends {
            clock,
            random: dice,
            store,
            queue,
            cache,
        } = edges;
        let metrics = Metrics::default();
        metrics.register_backend_errors(queue.errors(), cache.errors());
        if let Some((sizes, seconds)) = store.commit_stats().map(CommitStats::histograms) {
            metrics.register_commits(sizes, seconds);
        }
        let ties = RuntimeContext {
            store: Arc::clone(&store),
            health_changed: Arc::default(),
            config_loaded_at: clock.now(),
        };
        let lanes: Vec<Arc<ProviderRuntime>> = config
            .providers
            .iter()
            .zip(adapters)
            .map(|(provider, adapter)| {
                Arc::new(ProviderRuntime::new(provider, adapter, &metrics, ties.clone()))
            })
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
            process_name: process_name(dice.bytes()),
            config,
            clock,
            random: dice,
            store,
            queue,
            cache,
            metrics,
            events_pending: Notify::new(),
            fan_out_pending: Notify::new(),
            health_changed: ties.health_changed,
            providers: lanes,
            routes,
        }
    }

    /// The channel of that name with its lanes.
    pub fn route(&self, channel: &str) -> Option<&Route> {
        self.routes.get(channel)
    }

    /// The channels that a provider carries for.
    pub fn routes_of_provider(&self, provider: &ConfigName) -> impl Iterator<Item = &Route> {
        self.routes
            .values()
            .filter(|route| route.channel.providers.contains(provider))
    }

    /// The lane of that provider.
    pub fn provider(&self, provider: &ConfigName) -> Option<&Arc<ProviderRuntime>> {
        self.providers.iter().find(|lane| lane.name == *provider)
    }

    /// Every lane, in the order of the configuration.
    pub fn providers(&self) -> &[Arc<ProviderRuntime>] {
        &self.providers
    }

    /// Whether nothing really leaves, because every provider only plays one.
    pub fn is_test_mode(&self) -> bool {
        self.providers.iter().all(|lane| lane.provider.is_mock())
    }

    /// Counts a delivery that moved to another state.
    pub fn count_state_change(&self, channel: &ConfigName, standing: DeliveryStateKind) {
        if let Some(route) = self.route(channel.as_str()) {
            route.count_state_change(standing);
        }
    }

    fn warn_of_unusable_providers(&self) {
        for route in self.routes.values() {
            for lane in route.unusable_providers() {
                let (name, wanted) = (&lane.name, lane.provider.address_kind().description());
                log::warn!(
                    "[channels.{}] takes no {wanted}, which is what {name} wants, so that {name} is never asked: take it \
                     out of the channel, or put the channel's address right",
                    route.channel.name
                );
            }
        }
    }

    fn warn_of_unsigned_receipts(&self) {
        for lane in &self.providers {
            if lane.provider.callback_mode() == CallbackMode::Unsigned {
                log::warn!("{UNSIGNED_RECEIPTS}; provider={}", lane.name);
            }
        }
    }

    /// Returns the provider whose callback URL carries this token, if there is one that reports to
    /// `/messages/delivery_status`. The comparison takes the same time for every wrong token.
    pub fn provider_of_callback_token(&self, token: &str) -> Option<&Arc<ProviderRuntime>> {
        let proof = URL_SAFE_NO_PAD.decode(token).ok()?;
        self.providers
            .iter()
            .filter(|lane| lane.provider.callback_mode() == CallbackMode::Texting)
            .filter(|lane| {
                let name = lane.name.as_str().as_bytes();
                self.cache.verify(CALLBACK_PURPOSE, name, &proof)
            })
            .last()
    }

    fn provider_addresses(&self) -> Vec<ProviderEndpoint> {
        let place = |lane: &Arc<ProviderRuntime>| {
            let (host, port) = lane.provider.endpoint();
            ProviderEndpoint {
                name: lane.name.clone(),
                host,
                port,
            }
        };
        self.providers.iter().map(place).collect()
    }
}

/// The host, the process, and what tells two apart whose host and number are the same, as in containers.
fn process_name(luck: [u8; 2]) -> String {
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
pub fn store_location(config: &Config) -> StoreOptions<'_> {
    StoreOptions {
        url: &config.store_url,
        replica_url: config.store_replica_url.as_deref(),
        connections_max: config.store_connections,
        lock_timeout: postrider_store::DEFAULT_LOCK_TIMEOUT,
    }
}

/// Builds the adapters of all configured providers, in the order of the configuration.
pub fn build_providers(config: &Config, cache: &SignedCache) -> Result<Vec<Arc<dyn Provider>>> {
    let outbound = HttpClientPool::new()?;
    config
        .providers
        .iter()
        .map(|provider| {
            let token = callback_token(cache, &provider.name);
            build_provider(provider, &config.public_url, &token, &outbound)
        })
        .collect()
}

/// Returns the token in the callback URL of a provider with `receipts = "texting"`: the same in every process on the
/// store, another for each provider, and known to those only that were given the URL.
pub fn callback_token(cache: &SignedCache, provider: &ConfigName) -> String {
    URL_SAFE_NO_PAD.encode(cache.sign(CALLBACK_PURPOSE, provider.as_str().as_bytes()))
}

/// Builds the adapter a provider's configuration names; its settings are read here, and an error names their place.
/// Connects nowhere. For `callback_token` see [`callback_token`]; where no gateway runs any text will do.
pub fn build_provider(
    config: &ProviderConfig,
    public_url: &str,
    callback_token: &str,
    outbound: &HttpClientPool,
) -> Result<Arc<dyn Provider>> {
    build_adapter(config, public_url, callback_token, outbound)
        .map_err(|error| error.with_context(&format!("[providers.{}]", config.name)))
}

fn build_adapter(
    config: &ProviderConfig,
    public_url: &str,
    callback_token: &str,
    outbound: &HttpClientPool,
) -> Result<Arc<dyn Provider>> {
    let settings = postrider_providers::ProviderSettings::read(&config.kind, config.settings.clone())?;
    let limits = CallLimits {
        connect_timeout: config
            .connect_timeout
            .min(config.timeout.mul_f64(CONNECT_SHARE_MAX)),
        call_timeout: config.timeout,
        response_bytes_max: RESPONSE_BYTES_MAX,
    };
    settings.build(&AdapterContext {
        name: config.name.clone(),
        limits,
        public_url: public_url.to_owned(),
        callback_token: callback_token.to_owned(),
        http_clients: outbound.clone(),
        clock: Clock::System,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_provider_says_where_it_stands() {
        let outbound = HttpClientPool::new().unwrap();
        let settings = toml::toml! { latencyy = "3ms" };
        for (kind, word) in [("mock", "latencyy"), ("pigeon", "pigeon")] {
            let config = ProviderConfig::new("blue".parse().unwrap(), kind, settings.clone());
            let error = build_provider(&config, "http://127.0.0.1", "", &outbound)
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
