//! A provider that hangs, beside quick ones: on another channel, and on the same one.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::Clock;
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Channel;
use crate::domain::inbound::Incoming;
use crate::flow::accept::{self, Request};
use crate::gateway::Edges;
use crate::provider::{Call, Parcel, Provider, Refusal};
use crate::{queue, store};

/// Only ends a test that fails.
const LONG: Duration = Duration::from_secs(60);

/// Longer than any test: a call that hangs never ends while one runs.
const NEVER: Duration = Duration::from_secs(3_600);

/// Never answers.
#[derive(Default)]
struct Hanging(AtomicUsize);

/// Takes everything at once.
#[derive(Default)]
struct Quick(AtomicUsize);

#[async_trait]
impl Provider for Hanging {
    async fn send(&self, _: &Parcel) -> Answer {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        ("hanging".to_owned(), 0)
    }
}

#[async_trait]
impl Provider for Quick {
    async fn send(&self, _: &Parcel) -> Answer {
        self.0.fetch_add(1, Ordering::SeqCst);
        Outcome::Accepted { reference: None }.into()
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        ("quick".to_owned(), 0)
    }
}

/// A worker over two providers, `red` that hangs and `blue` that is quick.
struct Desk {
    gateway: Arc<Gateway>,
    hanging: Arc<Hanging>,
    quick: Arc<Quick>,
    worker: tokio::task::JoinHandle<u32>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new(channels: &[(&str, &[usize])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = store::open(&url, store::LOCK_WAIT).unwrap();
        let edges = Edges {
            clock: Clock::System,
            dice: Dice::seeded(1),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue: queue::open("memory:", 5_000).await.unwrap(),
            store,
        };
        let (hanging, quick) = (Arc::new(Hanging::default()), Arc::new(Quick::default()));
        let adapters: Vec<Arc<dyn Provider>> = vec![hanging.clone(), quick.clone()];
        let gateway = Arc::new(Gateway::wire(config(channels), edges, adapters));
        let stop = watch::Sender::new(false);
        Self {
            worker: tokio::spawn(run(gateway.clone(), stop.subscribe())),
            gateway,
            hanging,
            quick,
            _stop: stop,
            _folder: folder,
        }
    }

    async fn accept(&self, channel: &str, count: usize) {
        for _ in 0..count {
            let request = Request {
                body: "hello".to_owned(),
                to: vec![(channel.to_owned(), "09122222222".to_owned())],
                ..Request::default()
            };
            accept::accept(&self.gateway, request).await.unwrap();
        }
    }

    /// How long it takes to get so many through one after the other, a few at a time.
    async fn pace(&self, channel: &str, count: usize) -> Duration {
        let began = Instant::now();
        for sent in (0..count).step_by(4) {
            let before = self.quick.0.load(Ordering::SeqCst);
            self.accept(channel, 4).await;
            until(
                || self.quick.0.load(Ordering::SeqCst) >= before + 4,
                &format!("{sent} sent"),
            )
            .await;
        }
        began.elapsed()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// The usual settings, but 64 places, and channels over providers named by their place.
fn config(channels: &[(&str, &[usize])]) -> Config {
    let mut config = Config::sandbox();
    config.work.workers_concurrency = 64;
    config.work.lease = NEVER * 2;
    for provider in &mut config.providers {
        provider.timeout = NEVER;
    }
    let usual = config.channels[0].clone();
    let names: Vec<_> = config
        .providers
        .iter()
        .map(|provider| provider.name.clone())
        .collect();
    let channel = |(name, providers): &(&str, &[usize])| Channel {
        name: name.parse().unwrap(),
        providers: providers.iter().map(|place| names[*place].clone()).collect(),
        ..usual.clone()
    };
    config.channels = channels.iter().map(channel).collect();
    config
}

async fn until(holds: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        crate::clock::pause(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_keeps_its_pace_beside_one_whose_provider_hangs() {
    let desk = Desk::new(&[("slow", &[0]), ("quick", &[1])]).await;
    desk.pace("quick", 40).await;
    let alone = desk.pace("quick", 200).await;
    desk.accept("slow", 500).await;
    until(
        || desk.hanging.0.load(Ordering::SeqCst) > 40,
        "the slow one uses most places",
    )
    .await;
    let beside = desk.pace("quick", 200).await;
    assert!(
        beside < alone * 5,
        "{beside:?} beside the slow one, {alone:?} alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_a_quick_channel_goes_through_beside_one_that_hangs() {
    let desk = Desk::new(&[("slow", &[0]), ("quick", &[1])]).await;
    desk.accept("slow", 500).await;
    desk.accept("quick", 500).await;
    until(
        || desk.quick.0.load(Ordering::SeqCst) == 500,
        "the quick ones arrive",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_provider_carries_its_channel_although_another_one_hangs() {
    let desk = Desk::new(&[("both", &[0, 1])]).await;
    desk.accept("both", 500).await;
    let carried = || {
        let hanging = desk.hanging.0.load(Ordering::SeqCst);
        hanging < 60 && desk.quick.0.load(Ordering::SeqCst) + hanging == 500
    };
    until(carried, "all that the hanging one does not hold arrive").await;
}
