//! The wired gateway: configuration, clock, random numbers, store, queue, cache, providers and routes.
//!
//! Only [`Gateway::open`] (module `open`) names backends; other modules get a `&Gateway` and use traits.

use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{
    clock::Clock, clock::Timestamp, delivery::DeliveryStateKind, name::ConfigName, random::Random,
};
use std::sync::atomic::{AtomicI64, Ordering};
use std::{collections::HashMap, sync::Arc, time::Duration};

use data_encoding::BASE64URL_NOPAD;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use crate::account_rates::AccountRates;
use crate::config::{ApiKey, Config, ProviderConfig};
use crate::metrics::Metrics;
use crate::provider_settings::locate_errors;
use crate::request_load::RequestLoad;
use postrider_cache::{Cache, SignedCache, StoreSecret};
use postrider_providers::{
    AdapterContext, CallLimits, CallbackMode, HttpClientPool, Provider, ProviderSettings,
};
use postrider_queue::Queue;
use postrider_store::{CommitStats, Store, StoreOptions};

pub use crate::provider_runtime::{ProviderBusy, ProviderRuntime, ProviderRuntimeStatus, RuntimeContext};
pub use crate::route::Route;

/// Maximum size of a provider response that is read.
const RESPONSE_BYTES_MAX: usize = 64 * 1024;

/// Maximum share of a call's timeout for connecting, so that an unreachable host ends as `unavailable` and
/// not as `unknown`.
const CONNECT_SHARE_MAX: f64 = 0.9;

/// Minimum time between two error lines about one cause of store errors.
const STORE_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Delay after a store error before the store is used again.
pub(crate) const STORE_RETRY_DELAY: Duration = Duration::from_millis(500);

/// Purpose of the signature in a callback URL.
const CALLBACK_PURPOSE: &str = "callback";

/// Warning for a provider with `unsigned = true`.
pub const UNSIGNED_RECEIPTS: &str = "receipts are not authenticated (unsigned = true): every caller that guesses a reference can change deliveries";

/// All parts of a running process.
pub struct Gateway {
    /// Configuration of this process.
    pub config: Config,
    /// Source of the current time.
    pub clock: Clock,
    /// Source of random numbers.
    pub random: Random,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The cache. Returns only values that a process on the same store has set.
    pub cache: SignedCache,
    /// Key that signs cookies, callback tokens and cache entries.
    pub secret: StoreSecret,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// Rates of the accounts in this process.
    pub account_rates: AccountRates,
    /// Resources that the requests to this process use at once.
    pub request_load: RequestLoad,
    /// Name of this process for other processes on the store and for operators.
    pub process_name: String,
    /// Notified when an event may be pending.
    pub events_pending: Notify,
    /// Notified when a broadcast may be pending.
    pub fan_out_pending: Notify,
    /// Notified when a provider's health has changed and must be reported.
    pub(crate) health_changed: Arc<Notify>,
    /// Time of the last log line about dropped receipts, in Unix seconds.
    dropped_receipts_logged_at: AtomicI64,
    /// Cause and time of the last logged store error.
    store_error_logged: Mutex<Option<(String, Timestamp)>>,
    api_keys: RwLock<Arc<[Arc<ApiKey>]>>,
    providers: Vec<Arc<ProviderRuntime>>,
    routes: HashMap<String, Route>,
}

/// Opened backends from which a gateway is wired.
pub struct Backends {
    /// Source of the current time.
    pub clock: Clock,
    /// Source of random numbers.
    pub random: Random,
    /// The store.
    pub store: Arc<dyn Store>,
    /// The queue.
    pub queue: Arc<dyn Queue>,
    /// The cache, without signatures.
    pub cache: Arc<dyn Cache>,
    /// Key that signs cookies, callback tokens and cache entries.
    pub secret: StoreSecret,
}

impl Gateway {
    /// Wires opened backends with one adapter for each configured provider, in the same order. Tests and
    /// simulations pass their own clock, random numbers and adapters.
    pub fn wire(config: Config, backends: Backends, adapters: Vec<Arc<dyn Provider>>) -> Self {
        let Backends { clock, random, store, queue, cache, secret } = backends;
        let metrics = Metrics::default();
        metrics.register_backend_errors(queue.errors(), cache.errors());
        if let Some((commit_sizes, commit_seconds)) = store.commit_stats().map(CommitStats::histograms) {
            metrics.register_commits(commit_sizes, commit_seconds);
        }
        let context = RuntimeContext {
            store: store.clone(),
            health_changed: Arc::default(),
            config_loaded_at: clock.now(),
        };
        let runtimes: Vec<Arc<ProviderRuntime>> = config
            .providers
            .iter()
            .zip(adapters)
            .map(|(provider, adapter)| {
                Arc::new(ProviderRuntime::new(provider, adapter, &metrics, context.clone()))
            })
            .collect();
        let routes = config
            .channels
            .iter()
            .map(|channel| (channel.name.to_string(), Route::new(channel.clone(), &runtimes, &metrics)))
            .collect();
        Self {
            api_keys: RwLock::new(share_keys(config.keys.clone())),
            account_rates: AccountRates::default(),
            request_load: RequestLoad::new(config.limits.body_bytes_in_flight_max),
            process_name: describe_process(random.bytes()),
            config,
            clock,
            random,
            store,
            queue,
            cache: SignedCache::new(cache, secret.clone()),
            secret,
            metrics,
            store_error_logged: Mutex::default(),
            events_pending: Notify::new(),
            fan_out_pending: Notify::new(),
            health_changed: context.health_changed,
            dropped_receipts_logged_at: AtomicI64::new(0),
            providers: runtimes,
            routes,
        }
    }

    /// Returns the API keys in use. If empty, requests need no key.
    pub fn api_keys(&self) -> Arc<[Arc<ApiKey>]> {
        Arc::clone(&self.api_keys.read())
    }

    /// Returns the API key with that name.
    pub fn api_key(&self, name: &str) -> Option<Arc<ApiKey>> {
        self.api_keys.read().iter().find(|key| key.name == name).cloned()
    }

    /// Returns the owner of the messages that the key with this name sends. The owner is empty without keys and for
    /// shared keys.
    pub fn owner_of_key(&self, name: &str) -> String {
        self.api_key(name).map_or_else(|| name.to_owned(), |key| key.owner().to_owned())
    }

    /// Replaces the API keys for all later requests.
    pub(crate) fn replace_api_keys(&self, keys: Vec<ApiKey>) {
        *self.api_keys.write() = share_keys(keys);
    }

    /// Returns the route of the channel with that name.
    pub fn route(&self, channel: &str) -> Option<&Route> {
        self.routes.get(channel)
    }

    /// Returns the routes of all channels.
    pub fn all_routes(&self) -> impl Iterator<Item = &Route> {
        self.routes.values()
    }

    /// Returns the routes of all channels that use a provider.
    pub fn routes_of_provider(&self, provider: &ConfigName) -> impl Iterator<Item = &Route> {
        self.routes.values().filter(|route| route.channel.providers.contains(provider))
    }

    /// Returns the runtime of that provider.
    pub fn provider(&self, provider: &ConfigName) -> Option<&Arc<ProviderRuntime>> {
        self.providers.iter().find(|runtime| runtime.name == *provider)
    }

    /// Returns all providers, in the order of the configuration.
    pub fn providers(&self) -> &[Arc<ProviderRuntime>] {
        &self.providers
    }

    /// Returns whether all providers are mocks, so that nothing is really sent.
    pub fn is_test_mode(&self) -> bool {
        self.providers.iter().all(|runtime| runtime.adapter().is_mock())
    }

    /// Counts a delivery that changed its state.
    pub fn count_state_change(&self, channel: &ConfigName, state: DeliveryStateKind) {
        if let Some(route) = self.route(channel.as_str()) {
            route.count_state_change(state);
        }
    }

    /// Counts and logs a store error. `message` is the constant start of the log line. Further errors with the same cause
    /// within [`STORE_ERROR_LOG_INTERVAL`] are debug messages, because one cause fails every operation.
    pub fn record_store_error(&self, message: &str, error: &Error) {
        self.metrics.store_errors.inc();
        let level = if self.is_known_store_error(error) { log::Level::Debug } else { log::Level::Error };
        log::log!(level, "{message}: error={}", error.chain());
    }

    /// Returns whether an error with the same cause was logged within [`STORE_ERROR_LOG_INTERVAL`]. If not, stores its
    /// cause and time.
    fn is_known_store_error(&self, error: &Error) -> bool {
        // The message of a store error has the form `context: cause`.
        let (text, now) = (error.to_string(), self.clock.now());
        let cause = text.rsplit(": ").next().unwrap_or_default();
        let mut last_logged = self.store_error_logged.lock();
        let is_known = last_logged.as_ref().is_some_and(|(logged_cause, logged_at)| {
            logged_cause == cause && now < *logged_at + STORE_ERROR_LOG_INTERVAL
        });
        if !is_known {
            *last_logged = Some((cause.to_owned(), now));
        }
        is_known
    }

    /// Counts and logs a store error, and waits before the store is used again.
    pub(crate) async fn back_off_after_store_error(&self, message: &str, error: &Error) {
        self.record_store_error(message, error);
        self.clock.sleep(STORE_RETRY_DELAY).await;
    }

    /// Returns whether a line about dropped receipts may be logged at `now`: at most one line in `interval` seconds.
    pub(crate) fn may_log_dropped_receipts(&self, now: i64, interval: i64) -> bool {
        let last_logged_at = self.dropped_receipts_logged_at.load(Ordering::Relaxed);
        if now.saturating_sub(last_logged_at) < interval && now >= last_logged_at {
            return false;
        }
        self.dropped_receipts_logged_at.store(now, Ordering::Relaxed);
        true
    }

    /// Returns the provider that reports to `/messages/delivery_status` and has this token in its callback URL. The
    /// comparison takes the same time for every wrong token.
    pub fn provider_of_callback_token(&self, token: &str) -> Option<&Arc<ProviderRuntime>> {
        let signature = BASE64URL_NOPAD.decode(token.as_bytes()).ok()?;
        self.providers
            .iter()
            .filter(|runtime| runtime.adapter().callback_mode() == CallbackMode::Texting)
            .filter(|runtime| {
                let provider_name = runtime.name.as_str().as_bytes();
                self.secret.verify(CALLBACK_PURPOSE, provider_name, &signature)
            })
            .last()
    }
}

fn share_keys(keys: Vec<ApiKey>) -> Arc<[Arc<ApiKey>]> {
    keys.into_iter().map(Arc::new).collect()
}

/// Returns the name of this process: host, process id, and a random suffix for containers with equal hosts
/// and ids.
fn describe_process(suffix: [u8; 2]) -> String {
    let host_file = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host_file.trim() {
        "" => "unnamed host",
        host => host,
    };
    format!("{host}, process {} ({:04x})", std::process::id(), u16::from_be_bytes(suffix))
}

/// Opens the store of a configuration on a blocking thread, because opening may wait for a remote server.
///
/// # Errors
///
/// Returns an error if the store cannot be opened.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>> {
    let config = config.clone();
    let opening = tokio::task::spawn_blocking(move || {
        postrider_store::open_with(&StoreOptions {
            url: &config.store_url,
            replica_url: config.store_replica_url.as_deref(),
            connections_max: config.store_connections,
            lock_timeout: postrider_store::DEFAULT_LOCK_TIMEOUT,
        })
    });
    opening
        .await
        .map_err(|panic| Error::with_source(ErrorKind::Internal, "opening the store failed", panic))?
}

/// Builds the adapters of all configured providers, in the order of the configuration.
pub fn build_providers(config: &Config, secret: &StoreSecret) -> Result<Vec<Arc<dyn Provider>>> {
    let clients = HttpClientPool::new()?;
    config
        .providers
        .iter()
        .map(|provider| {
            let token = callback_token(secret, &provider.name);
            build_provider(provider, &config.public_url, &token, &clients)
        })
        .collect()
}

/// Returns the token in the callback URL of a provider with `receipts = "texting"`. It is the same in every
/// process on the store and different for each provider.
pub fn callback_token(secret: &StoreSecret, provider: &ConfigName) -> String {
    BASE64URL_NOPAD.encode(&secret.sign(CALLBACK_PURPOSE, provider.as_str().as_bytes()))
}

/// Builds the adapter of a provider and validates its settings; an error names the table and, if it is in the
/// configuration file, the line, with all missing and unknown keys. Opens no
/// connection. [`callback_token`] returns the token; without a running gateway any text will do.
pub fn build_provider(
    config: &ProviderConfig,
    public_url: &str,
    callback_token: &str,
    clients: &HttpClientPool,
) -> Result<Arc<dyn Provider>> {
    let limits = CallLimits {
        connect_timeout: config.connect_timeout.min(config.timeout.mul_f64(CONNECT_SHARE_MAX)),
        call_timeout: config.timeout,
        response_bytes_max: RESPONSE_BYTES_MAX,
    };
    let context = AdapterContext {
        name: config.name.clone(),
        limits,
        public_url: public_url.to_owned(),
        callback_token: callback_token.to_owned(),
        http_clients: clients.clone(),
        clock: Clock::System,
    };
    ProviderSettings::read(&config.kind, config.settings.clone())
        .and_then(|settings| settings.build(&context))
        .map_err(|error| locate_errors(config, error))
}

#[cfg(test)]
mod tests;
