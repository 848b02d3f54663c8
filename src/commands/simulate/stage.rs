//! Where a simulation is played: a store, a queue, and for every sender a gateway of its own on both.
//!
//! Nothing of the configured store, queue, cache or providers is touched. The temporary store goes when the stage does.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::theory::{Plan, Tally};
use crate::cache::{self, Sealed};
use crate::cli::Simulate;
use crate::clock::{self, Clock};
use crate::commands::say;
use crate::config::simulation::{Casting, Faults, Sender};
use crate::config::{Config, masked_url};
use crate::dice::Dice;
use crate::domain::attempt::Outcome;
use crate::domain::broadcast::{Broadcast, BroadcastId};
use crate::domain::channel::{Channel, Name};
use crate::domain::delivery::Standing;
use crate::domain::retry::Retry;
use crate::error::{Error, Kind, Result};
use crate::gateway::{Edges, Gateway, build_all, fleet, store_place};
use crate::queue::{self, Queue};
use crate::store::{self, Query, Store};

/// The channel the alert goes over.
pub const CHANNEL: &str = "sms";

/// How much shorter the waits between tries are.
const SHORTER: u32 = 3_000;

/// How long calls in flight may take to end after the first signal.
const GRACE: Duration = Duration::from_secs(2);

/// A store, a queue and the senders.
pub struct Stage {
    /// A gateway for each sender.
    pub senders: Vec<Arc<Gateway>>,
    /// Where the store is that is kept, as it may be shown.
    kept: Option<String>,
    /// Deleted with everything in it when the stage goes.
    _folder: Option<TempDir>,
}

impl Stage {
    /// Opens everything and wires the senders. A store that has messages in it is refused.
    pub async fn set(configured: Config, plan: &Plan, arguments: &Simulate) -> Result<Self> {
        let (url, folder) = match &arguments.keep {
            Some(url) => (url.clone(), None),
            None => temporary()?,
        };
        let (only_plays, configured_url) = (configured.only_plays(), configured.store_url.clone());
        let config = Config {
            store_url: url.clone(),
            store_replica_url: None,
            channels: vec![channel(&configured, plan)?],
            ..configured
        };
        if url == configured_url && !only_plays {
            return Err(Error::usage(
                "this is the configured store, whose messages real providers carry: name another one with --keep",
            ));
        }
        let store = open(config.clone()).await?;
        refuse_used(&*store, &url).await?;
        let queue = queue::open("memory:", config.queue_window).await?;
        let clock = fleet::clock(&store).await?;
        let edges = Shared { store, queue, clock };
        let mut senders = Vec::with_capacity(plan.senders.len());
        for (index, sender) in plan.senders.iter().enumerate() {
            senders.push(Arc::new(
                edges
                    .wire(config.clone(), plan, index, *sender, arguments)
                    .await?,
            ));
        }
        Ok(Self {
            senders,
            kept: arguments.keep.as_deref().map(masked_url),
            _folder: folder,
        })
    }

    /// The gateway that takes the alert in.
    pub fn front(&self) -> &Arc<Gateway> {
        // There is no plan without a sender: the command line asks for one at least.
        &self.senders[0]
    }

    /// Deliveries that wait in the store now.
    pub async fn waiting(&self) -> Result<u64> {
        let backlog = self.front().store.backlog(self.front().clock.now()).await?;
        Ok(backlog.waiting)
    }

    /// Says where the store is that was kept.
    pub fn say_where(&self) -> Result<()> {
        match &self.kept {
            None => Ok(()),
            Some(place) => say(format_args!(
                "the store is kept; look around in it with: POSTRIDER_STORE_URL={place} console serve --workers 0"
            )),
        }
    }

    /// Receipts that are sure to come or have come, and those that were heard.
    pub fn receipts(&self) -> (u64, u64) {
        let (mut promised, mut heard) = (0, 0);
        for sender in &self.senders {
            promised += sender
                .lanes()
                .iter()
                .map(|lane| lane.provider.promised())
                .sum::<u64>();
            heard += sender.metrics.receipts_heard();
        }
        (promised, heard)
    }

    /// Calls that senders have made.
    pub fn calls(&self) -> u64 {
        self.tallies().iter().map(|tally| tally.calls).sum()
    }

    /// Deliveries that came to that state, as the metrics of all senders have it.
    pub fn moved_to(&self, standing: Standing) -> u64 {
        let counts = self.senders.iter().map(|sender| {
            let counter = sender.metrics.states(CHANNEL, standing.word());
            counter.get()
        });
        counts.sum()
    }

    /// What each sender did, as its metrics have it.
    pub fn tallies(&self) -> Vec<Tally> {
        self.senders.iter().map(|sender| tally(sender)).collect()
    }
}

fn tally(sender: &Gateway) -> Tally {
    let mut tally = Tally::default();
    for lane in sender.lanes() {
        let name = lane.name.as_str();
        let (calls, time) = lane.spent();
        tally.calls += calls;
        tally.seconds += time.as_secs_f64();
        for word in Outcome::WORDS.iter().filter(|word| **word != "accepted") {
            tally.faults += sender.metrics.attempts(name, word).get();
        }
    }
    tally
}

/// What the senders share.
struct Shared {
    store: Arc<dyn Store>,
    queue: Arc<dyn Queue>,
    clock: Clock,
}

impl Shared {
    async fn wire(
        &self,
        config: Config,
        plan: &Plan,
        index: usize,
        sender: Sender,
        arguments: &Simulate,
    ) -> Result<Gateway> {
        let casting = Casting {
            faults: if plan.retry {
                Faults::Retried
            } else {
                Faults::Final
            },
            concurrency: plan.places_of(sender),
            seed: arguments.seed,
            receipts: arguments.receipts(),
        };
        let mut config = config.with_sender(&name(&format!("sender-{}", index + 1))?, sender, casting);
        config.work.grace = config.work.grace.min(GRACE);
        let edges = Edges {
            clock: self.clock.clone(),
            dice: Dice::default(),
            store: Arc::clone(&self.store),
            queue: Arc::clone(&self.queue),
            cache: Sealed::new(cache::open("memory:")?, self.store.seal().await?),
        };
        let adapters = build_all(&config, &edges.cache)?;
        Ok(Gateway::wire(config, edges, adapters))
    }
}

/// Opening blocks, for long where the store is far away.
async fn open(config: Config) -> Result<Arc<dyn Store>> {
    let opened = tokio::task::spawn_blocking(move || store::open_at(&store_place(&config))).await;
    opened.map_err(|panic| Error::because(Kind::Internal, "the store could not be opened", panic))?
}

fn temporary() -> Result<(String, Option<TempDir>)> {
    let folder = tempfile::Builder::new().prefix("postrider-simulation-").tempdir();
    let folder = folder.map_err(|cause| {
        Error::because(
            Kind::Unavailable,
            "cannot make a temporary folder; name a store with --keep",
            cause,
        )
    })?;
    let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
    Ok((url, Some(folder)))
}

/// Messages of others must never be played with, and nobody be told of broadcasts who is somebody.
async fn refuse_used(store: &dyn Store, url: &str) -> Result<()> {
    let query = Query {
        limit: 1,
        ..Query::default()
    };
    let found = if !store.search(query).await?.messages.is_empty() {
        "messages"
    } else if !store.addressees(&to_everybody()?, 1).await?.is_empty() {
        "users"
    } else {
        return Ok(());
    };
    Err(Error::usage(format!(
        "{} has {found} in it, and a simulation would play with them: name an empty store, such as \
         --keep=sqlite:another.db",
        masked_url(url)
    )))
}

/// A broadcast that is never stored, to ask with who is registered.
fn to_everybody() -> Result<Broadcast> {
    Ok(Broadcast {
        number: 0,
        id: BroadcastId::new(clock::from_millis(0), [0; 10]),
        body: String::new(),
        channel: name(CHANNEL)?,
        caller: String::new(),
        created_at: clock::from_millis(0),
        is_to_all: true,
        last_user: i64::MAX,
        users: 0,
        reached: 0,
        messages: 0,
        unreachable: 0,
        refused: 0,
        is_spread: false,
    })
}

/// The channel as configured, with shorter waits; one of the usual kind where there is none.
fn channel(configured: &Config, plan: &Plan) -> Result<Channel> {
    let usual = Config::sandbox().channels;
    let mut channels = configured.channels.iter().chain(&usual);
    let channel = channels.find(|channel| channel.name.as_str() == CHANNEL);
    let channel = channel.ok_or_else(|| Error::new(Kind::Internal, "there is no channel to play on"))?;
    Ok(Channel {
        retry: if plan.retry {
            shortened(&channel.retry)
        } else {
            channel.retry.clone()
        },
        // What is lost is lost: nobody in a simulation sends it once more.
        bounce_resends: 0,
        expects_reply: false,
        ..channel.clone()
    })
}

fn shortened(retry: &Retry) -> Retry {
    Retry {
        base: retry.base / SHORTER,
        cap: retry.cap / SHORTER,
        ..retry.clone()
    }
}

/// How many tries a message has with that configuration.
pub fn tries_max(configured: &Config) -> u32 {
    let found = configured
        .channels
        .iter()
        .find(|channel| channel.name.as_str() == CHANNEL);
    found.map_or(Retry::default().tries_max, |channel| channel.retry.tries_max)
}

fn name(text: &str) -> Result<Name> {
    text.parse()
        .map_err(|_| Error::new(Kind::Internal, format!("nothing can be named {text}")))
}
