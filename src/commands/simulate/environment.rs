//! Where a simulation is played: a store, a queue, and for every sender a gateway of its own on both.
//!
//! Nothing of the configured store, queue, cache or providers is touched. The temporary store goes when the stage does.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::theory::{SenderStats, SimulationPlan};
use crate::cli::SimulateArgs;
use crate::commands::print_line;
use postrider_cache::StoreSecret;
use postrider_core::attempt::Outcome;
use postrider_core::broadcast::{Broadcast, BroadcastId};
use postrider_core::channel::Channel;
use postrider_core::clock::{self, Clock};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::name::ConfigName;
use postrider_core::random::Random;
use postrider_core::retry::RetryPolicy;
use postrider_engine::config::mock_sender::{FailurePolicy, MockSender, MockSenderOptions};
use postrider_engine::config::{Config, mask_url};
use postrider_engine::gateway::{Backends, Gateway, build_providers, store_location};
use postrider_engine::shared_health;
use postrider_queue::Queue;
use postrider_store::{MessageQuery, Store};

/// The channel the alert goes over.
pub const SIMULATION_CHANNEL: &str = "sms";

/// How much shorter the waits between tries are.
const RETRY_DELAY_DIVISOR: u32 = 3_000;

/// How long calls in flight may take to end after the first signal.
const SENDER_STOP_GRACE: Duration = Duration::from_secs(2);

/// A store, a queue and the senders.
pub struct SimulationEnvironment {
    /// A gateway for each sender.
    pub senders: Vec<Arc<Gateway>>,
    /// Where the store is that is kept, as it may be shown.
    kept_store: Option<String>,
    /// Deleted with everything in it when the stage goes.
    _temporary_folder: Option<TempDir>,
}

impl SimulationEnvironment {
    /// Opens everything and wires the senders. A store that has messages in it is refused.
    pub async fn open(configured: Config, plan: &SimulationPlan, arguments: &SimulateArgs) -> Result<Self> {
        let (url, folder) = match &arguments.keep {
            Some(url) => (url.clone(), None),
            None => temporary_store()?,
        };
        let (only_plays, configured_url) =
            (configured.has_only_mock_providers(), configured.store_url.clone());
        let config = Config {
            store_url: url.clone(),
            store_replica_url: None,
            channels: vec![simulation_channel(&configured, plan)?],
            ..configured
        };
        if url == configured_url && !only_plays {
            return Err(Error::usage(
                "this is the configured store, whose messages real providers carry: name another one with --keep",
            ));
        }
        let store = open_store(config.clone()).await?;
        reject_used_store(&*store, &url).await?;
        let queue = postrider_queue::open("memory:", config.queue_window).await?;
        let clock = shared_health::store_clock(&store).await?;
        let edges = SharedBackends { store, queue, clock };
        let mut senders = Vec::with_capacity(plan.senders.len());
        for (index, sender) in plan.senders.iter().enumerate() {
            senders.push(Arc::new(
                edges
                    .build_gateway(config.clone(), plan, index, *sender, arguments)
                    .await?,
            ));
        }
        Ok(Self {
            senders,
            kept_store: arguments.keep.as_deref().map(mask_url),
            _temporary_folder: folder,
        })
    }

    /// The gateway that takes the alert in.
    pub fn intake_gateway(&self) -> &Arc<Gateway> {
        // There is no plan without a sender: the command line asks for one at least.
        &self.senders[0]
    }

    /// Deliveries that wait in the store now.
    pub async fn waiting_deliveries(&self) -> Result<u64> {
        let backlog = self
            .intake_gateway()
            .store
            .backlog(self.intake_gateway().clock.now())
            .await?;
        Ok(backlog.waiting)
    }

    /// Says where the store is that was kept.
    pub fn print_store_location(&self) -> Result<()> {
        match &self.kept_store {
            None => Ok(()),
            Some(place) => print_line(format_args!(
                "the store is kept; look around in it with: POSTRIDER_STORE_URL={place} console serve --workers 0"
            )),
        }
    }

    /// Receipts that are sure to come or have come, and those that were heard.
    pub fn receipt_counts(&self) -> (u64, u64) {
        let (mut promised, mut heard) = (0, 0);
        for sender in &self.senders {
            promised += sender
                .providers()
                .iter()
                .map(|lane| lane.provider.expected_receipt_count())
                .sum::<u64>();
            heard += sender.metrics.receipt_count();
        }
        (promised, heard)
    }

    /// Calls that senders have made.
    pub fn call_count(&self) -> u64 {
        self.sender_stats().iter().map(|tally| tally.calls).sum()
    }

    /// Deliveries that came to that state, as the metrics of all senders have it.
    pub fn state_change_count(&self, standing: DeliveryStateKind) -> u64 {
        let counts = self.senders.iter().map(|sender| {
            let counter = sender
                .metrics
                .state_change_counter(SIMULATION_CHANNEL, standing.as_str());
            counter.get()
        });
        counts.sum()
    }

    /// What each sender did, as its metrics have it.
    pub fn sender_stats(&self) -> Vec<SenderStats> {
        self.senders
            .iter()
            .map(|sender| sender_stats_of(sender))
            .collect()
    }
}

fn sender_stats_of(sender: &Gateway) -> SenderStats {
    let mut tally = SenderStats::default();
    for lane in sender.providers() {
        let name = lane.name.as_str();
        let (calls, time) = lane.call_totals();
        tally.calls += calls;
        tally.seconds += time.as_secs_f64();
        for word in Outcome::NAMES.iter().filter(|word| **word != "accepted") {
            tally.failed_calls += sender.metrics.attempt_counter(name, word).get();
        }
    }
    tally
}

/// What the senders share.
struct SharedBackends {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Clock,
}

impl SharedBackends {
    async fn build_gateway(
        &self,
        config: Config,
        plan: &SimulationPlan,
        index: usize,
        sender: MockSender,
        arguments: &SimulateArgs,
    ) -> Result<Gateway> {
        let casting = MockSenderOptions {
            failure_policy: if plan.has_retries {
                FailurePolicy::Retried
            } else {
                FailurePolicy::Final
            },
            concurrency: plan.concurrency_of(sender),
            seed: arguments.seed,
            receipt_ratios: arguments.receipt_ratios(),
        };
        let mut config =
            config.with_mock_sender(&config_name(&format!("sender-{}", index + 1))?, sender, casting);
        config.work.grace = config.work.grace.min(SENDER_STOP_GRACE);
        let edges = Backends {
            clock: self.clock.clone(),
            random: Random::default(),
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            cache: postrider_cache::open("memory:")?,
            secret: StoreSecret::new(self.store.store_secret().await?),
        };
        let adapters = build_providers(&config, &edges.secret)?;
        Ok(Gateway::wire(config, edges, adapters))
    }
}

/// Opening blocks, for long where the store is far away.
async fn open_store(config: Config) -> Result<Arc<dyn Store>> {
    let opened =
        tokio::task::spawn_blocking(move || postrider_store::open_with(&store_location(&config))).await;
    opened.map_err(|panic| Error::with_source(ErrorKind::Internal, "the store could not be opened", panic))?
}

fn temporary_store() -> Result<(String, Option<TempDir>)> {
    let folder = tempfile::Builder::new().prefix("postrider-simulation-").tempdir();
    let folder = folder.map_err(|cause| {
        Error::with_source(
            ErrorKind::Unavailable,
            "cannot make a temporary folder; name a store with --keep",
            cause,
        )
    })?;
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    Ok((url, Some(folder)))
}

/// Messages of others must never be played with, and nobody be told of broadcasts who is somebody.
async fn reject_used_store(store: &dyn Store, url: &str) -> Result<()> {
    let query = MessageQuery {
        limit: 1,
        ..MessageQuery::default()
    };
    let found = if !store.search(query).await?.messages.is_empty() {
        "messages"
    } else if !store
        .next_broadcast_users(&broadcast_to_all_users()?, 1)
        .await?
        .is_empty()
    {
        "users"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "{} has {found} in it, and a simulation would play with them: name an empty store, such as \
         --keep=sqlite:another.db",
        mask_url(url)
    )))
}

/// A broadcast that is never stored, to ask with who is registered.
fn broadcast_to_all_users() -> Result<Broadcast> {
    Ok(Broadcast {
        number: 0,
        id: BroadcastId::new(clock::from_millis(0), [0; 10]),
        body: String::new(),
        channel: config_name(SIMULATION_CHANNEL)?,
        caller: String::new(),
        created_at: clock::from_millis(0),
        is_to_all: true,
        last_user: i64::MAX,
        users: 0,
        fan_out_position: 0,
        messages: 0,
        unreachable: 0,
        refused: 0,
        is_fanned_out: false,
    })
}

/// The channel as configured, with shorter waits; one of the usual kind where there is none.
fn simulation_channel(configured: &Config, plan: &SimulationPlan) -> Result<Channel> {
    let usual = Config::test_mode().channels;
    let mut channels = configured.channels.iter().chain(&usual);
    let channel = channels.find(|channel| channel.name.as_str() == SIMULATION_CHANNEL);
    let channel = channel.ok_or_else(|| Error::new(ErrorKind::Internal, "there is no channel to play on"))?;
    Ok(Channel {
        retry: if plan.has_retries {
            shorten_retry_delays(&channel.retry)
        } else {
            channel.retry.clone()
        },
        // What is lost is lost: nobody in a simulation sends it once more.
        bounce_resends: 0,
        expects_reply: false,
        ..channel.clone()
    })
}

fn shorten_retry_delays(retry: &RetryPolicy) -> RetryPolicy {
    RetryPolicy {
        base: retry.base / RETRY_DELAY_DIVISOR,
        cap: retry.cap / RETRY_DELAY_DIVISOR,
        ..retry.clone()
    }
}

/// How many tries a message has with that configuration.
pub fn tries_max(configured: &Config) -> u32 {
    let found = configured
        .channels
        .iter()
        .find(|channel| channel.name.as_str() == SIMULATION_CHANNEL);
    found.map_or(RetryPolicy::default().tries_max, |channel| {
        channel.retry.tries_max
    })
}

fn config_name(text: &str) -> Result<ConfigName> {
    text.parse()
        .map_err(|_| Error::new(ErrorKind::Internal, format!("nothing can be named {text}")))
}
