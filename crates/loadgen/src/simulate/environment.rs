//! The environment of a simulation: a store, a queue, and one gateway with a mock sender for each sender.
//!
//! Uses no configured store, queue, cache or provider. The temporary store is deleted when the environment is dropped.

use std::{sync::Arc, time::Duration};

use tempfile::TempDir;

use super::{options::SimulateOptions, theory::SenderStats};
use crate::mock_sender::{
    FailurePolicy, MockSender, MockSenderOptions, has_only_mock_providers, with_mock_sender,
};
use postrider_cache::StoreSecret;
use postrider_core::clock::Clock;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::{
    attempt::Outcome, channel::Channel, delivery::DeliveryStateKind, name::ConfigName, random::Random,
};
use postrider_engine::config::{Config, mask_url};
use postrider_engine::gateway::{Backends, Gateway, build_providers, open_store};
use postrider_engine::shared_health;
use postrider_queue::Queue;
use postrider_store::{MessageQuery, Store};

/// Channel of all simulated messages.
pub const SIMULATION_CHANNEL: &str = "sms";

/// Divisor of the configured retry delays, so that a simulated retry waits milliseconds and not minutes.
const RETRY_DELAY_DIVISOR: u32 = 3_000;

/// Maximum time for calls in flight to end after the first interrupt.
const SENDER_STOP_GRACE: Duration = Duration::from_secs(2);

/// A store, a queue and the senders on both.
pub struct SimulationEnvironment {
    /// One gateway for each sender.
    pub senders: Vec<Arc<Gateway>>,
    tries_max: u32,
    /// URL of the store that is kept, without its password.
    kept_store: Option<String>,
    /// Deleted on drop.
    _temporary_folder: Option<TempDir>,
}

impl SimulationEnvironment {
    /// Opens the store and builds the senders.
    ///
    /// # Errors
    ///
    /// A usage error when the store has messages or users, or is the configured store of real providers.
    pub async fn open(configured: Config, simulate_options: &SimulateOptions) -> Result<Self> {
        let (url, temporary_folder) = match &simulate_options.store_url {
            Some(url) => (url.clone(), None),
            None => temporary_store()?,
        };
        if url == configured.store_url && !has_only_mock_providers(&configured) {
            return Err(Error::usage(
                "this is the configured store, and its messages are sent by real providers: name another one with --keep",
            ));
        }
        let channel = simulation_channel(&configured, simulate_options)?;
        let tries_max = channel.retry.tries_max;
        let config =
            Config { store_url: url.clone(), store_replica_url: None, channels: vec![channel], ..configured };
        let store = open_store(&config).await?;
        reject_used_store(&*store, &url).await?;
        let queue = postrider_queue::open("memory:", config.queue_window).await?;
        let clock = shared_health::store_clock(&*store).await?;
        let backends = SharedBackends { store, queue, clock };
        let mut senders = Vec::with_capacity(simulate_options.senders.len());
        for (index, sender) in simulate_options.senders.iter().enumerate() {
            let gateway = backends.build_gateway(config.clone(), simulate_options, index, *sender);
            senders.push(Arc::new(gateway.await?));
        }
        Ok(Self {
            senders,
            tries_max,
            kept_store: simulate_options.store_url.as_deref().map(mask_url),
            _temporary_folder: temporary_folder,
        })
    }

    /// Returns the gateway that accepts the messages.
    pub fn intake_gateway(&self) -> &Arc<Gateway> {
        // The parser of the options guarantees at least one sender.
        &self.senders[0]
    }

    /// Returns the maximum number of tries of a message.
    pub fn tries_max(&self) -> u32 {
        self.tries_max
    }

    /// Returns the number of deliveries that wait in the store.
    pub async fn waiting_deliveries(&self) -> Result<u64> {
        let intake = self.intake_gateway();
        let backlog = intake.store.backlog(intake.clock.now()).await?;
        Ok(backlog.waiting)
    }

    /// Returns a line with the URL of the store that is kept; empty for a temporary store.
    pub fn kept_store_hint(&self) -> String {
        self.kept_store.as_ref().map_or_else(String::new, |url| {
            format!("store kept; inspect it with: POSTRIDER_STORE_URL={url} console serve --concurrency 0\n")
        })
    }

    /// Returns the number of receipts that the senders will report or have reported, and the number received.
    pub fn receipt_counts(&self) -> (u64, u64) {
        let (mut expected, mut received) = (0, 0);
        for sender in &self.senders {
            let providers = sender.providers().iter();
            expected += providers.map(|provider| provider.adapter().expected_receipt_count()).sum::<u64>();
            received += sender.metrics.receipt_count();
        }
        (expected, received)
    }

    /// Returns the number of calls of all senders.
    pub fn call_count(&self) -> u64 {
        self.sender_stats().iter().map(|stats| stats.calls).sum()
    }

    /// Returns the number of deliveries that reached a state, from the metrics of all senders.
    pub fn state_change_count(&self, state: DeliveryStateKind) -> u64 {
        let state = state.as_str();
        let senders = self.senders.iter();
        senders.map(|sender| sender.metrics.state_change_counter(SIMULATION_CHANNEL, state).get()).sum()
    }

    /// Returns the work of each sender, from its metrics.
    pub fn sender_stats(&self) -> Vec<SenderStats> {
        self.senders.iter().map(|sender| sender_stats_of(sender)).collect()
    }
}

fn sender_stats_of(sender: &Gateway) -> SenderStats {
    let mut stats = SenderStats::default();
    for provider in sender.providers() {
        let name = provider.name.as_str();
        let (call_count, call_time) = provider.call_totals();
        stats.calls += call_count;
        stats.seconds += call_time.as_secs_f64();
        for outcome in Outcome::NAMES.iter().filter(|outcome| **outcome != "accepted") {
            stats.failed_calls += sender.metrics.attempt_counter(name, outcome).get();
        }
    }
    stats
}

/// Backends that all senders use.
struct SharedBackends {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Clock,
}

impl SharedBackends {
    async fn build_gateway(
        &self,
        config: Config,
        simulate_options: &SimulateOptions,
        index: usize,
        sender: MockSender,
    ) -> Result<Gateway> {
        let sender_options = MockSenderOptions {
            failure_policy: if simulate_options.has_retries {
                FailurePolicy::Retried
            } else {
                FailurePolicy::Final
            },
            concurrency: simulate_options.concurrency_of(sender),
            seed: simulate_options.seed,
            receipt_ratios: simulate_options.audience.map(|audience| audience.receipt_ratios),
        };
        let sender_name = config_name(&format!("sender-{}", index + 1))?;
        let mut config = with_mock_sender(config, &sender_name, sender, sender_options);
        config.work.grace = config.work.grace.min(SENDER_STOP_GRACE);
        let backends = Backends {
            clock: self.clock.clone(),
            random: Random::default(),
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            cache: postrider_cache::open("memory:")?,
            secret: StoreSecret::new(self.store.store_secret().await?),
        };
        let providers = build_providers(&config, &backends.secret)?;
        Ok(Gateway::wire(config, backends, providers))
    }
}

/// Creates a temporary folder, and returns the URL of a store in it together with the folder.
fn temporary_store() -> Result<(String, Option<TempDir>)> {
    let folder = tempfile::Builder::new().prefix("postrider-simulation-").tempdir();
    let folder = folder.map_err(|cause| {
        let message = "cannot create a temporary folder; name a store with --keep";
        Error::with_source(ErrorKind::Unavailable, message, cause)
    })?;
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    Ok((url, Some(folder)))
}

/// Rejects a store that was used: mock senders would mark its messages as sent, and broadcasts would be stored for its
/// users.
async fn reject_used_store(store: &dyn Store, url: &str) -> Result<()> {
    let any_message = MessageQuery { limit: 1, ..MessageQuery::default() };
    let present_rows = if !store.search(any_message).await?.messages.is_empty() {
        "messages"
    } else if store.has_users().await? {
        "users"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "{} already contains {present_rows}; name an empty store, such as --keep=sqlite:another.db",
        mask_url(url)
    )))
}

/// Returns the configured channel, or the channel of test mode if none is configured, with shorter retry delays.
fn simulation_channel(configured: &Config, options: &SimulateOptions) -> Result<Channel> {
    let default_channels = Config::test_mode().channels;
    let mut channels = configured.channels.iter().chain(&default_channels);
    let channel = channels.find(|channel| channel.name.as_str() == SIMULATION_CHANNEL);
    let no_channel = || Error::new(ErrorKind::Internal, format!("no channel {SIMULATION_CHANNEL}"));
    let channel = channel.ok_or_else(no_channel)?;
    let mut retry = channel.retry.clone();
    if options.has_retries {
        (retry.base, retry.cap) = (retry.base / RETRY_DELAY_DIVISOR, retry.cap / RETRY_DELAY_DIVISOR);
    }
    Ok(Channel {
        retry,
        // A lost message is not sent again, so that the share of lost messages equals the configured loss ratio.
        bounce_resends: 0,
        expects_reply: false,
        ..channel.clone()
    })
}

fn config_name(text: &str) -> Result<ConfigName> {
    text.parse().map_err(|_| Error::new(ErrorKind::Internal, format!("invalid name {text}")))
}
