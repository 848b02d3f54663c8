//! A provider that hangs, beside quick ones: on another channel, and on the same one; and more work than places.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;

use super::*;
use crate::cache::{self, Sealed};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::dice::Dice;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::channel::Channel;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::inbound::Incoming;
use crate::domain::message::Nudge;
use crate::domain::order::{Order, Word};
use crate::domain::route::Strategy;
use crate::domain::wish::Appetite;
use crate::flow::accept::{self, Request};
use crate::gateway::Edges;
use crate::provider::{Call, Parcel, Provider, Refusal};
use crate::queue::Queue;
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

/// Takes everything after a moment, so that its calls pile up.
#[derive(Default)]
struct Steady(AtomicUsize);

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

#[async_trait]
impl Provider for Steady {
    async fn send(&self, _: &Parcel) -> Answer {
        self.0.fetch_add(1, Ordering::SeqCst);
        crate::clock::pause(Duration::from_millis(30)).await;
        Outcome::Accepted { reference: None }.into()
    }

    fn receipts(&self, _: &Call) -> Result<Vec<Incoming>, Refusal> {
        Err(Refusal::NotExpected)
    }

    fn place(&self) -> (String, u16) {
        ("steady".to_owned(), 0)
    }
}

/// A worker over two providers.
struct Desk<Red = Hanging, Blue = Quick> {
    gateway: Arc<Gateway>,
    red: Arc<Red>,
    blue: Arc<Blue>,
    worker: tokio::task::JoinHandle<u32>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl Desk {
    async fn new(channels: &[(&str, &[usize])]) -> Self {
        Self::with(config(channels)).await
    }

    /// How long it takes to get so many through one after the other, a few at a time.
    async fn pace(&self, channel: &str, count: usize) -> Duration {
        let began = Instant::now();
        for sent in (0..count).step_by(4) {
            let before = self.blue.0.load(Ordering::SeqCst);
            self.accept(channel, 4).await;
            until(
                || self.blue.0.load(Ordering::SeqCst) >= before + 4,
                &format!("{sent} sent"),
            )
            .await;
        }
        began.elapsed()
    }
}

impl<Red: Provider + Default + 'static, Blue: Provider + Default + 'static> Desk<Red, Blue> {
    async fn with(config: Config) -> Self {
        let queue = queue::open("memory:", 5_000).await.unwrap();
        Self::over(queue, config).await
    }

    async fn over(queue: Arc<dyn Queue>, config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = store::open(&url, store::LOCK_WAIT).unwrap();
        let edges = Edges {
            clock: Clock::System,
            dice: Dice::seeded(1),
            cache: Sealed::new(cache::open("memory:").unwrap(), store.seal().await.unwrap()),
            queue,
            store,
        };
        let (red, blue) = (Arc::<Red>::default(), Arc::<Blue>::default());
        let adapters: Vec<Arc<dyn Provider>> = vec![red.clone(), blue.clone()];
        let gateway = Arc::new(Gateway::wire(config, edges, adapters));
        let stop = watch::Sender::new(false);
        Self {
            worker: tokio::spawn(run(gateway.clone(), stop.subscribe())),
            gateway,
            red,
            blue,
            _stop: stop,
            _folder: folder,
        }
    }

    async fn accept(&self, channel: &str, count: usize) -> Vec<MessageId> {
        let mut accepted = Vec::new();
        for _ in 0..count {
            let request = Request {
                body: "hello".to_owned(),
                to: vec![(channel.to_owned(), "09122222222".to_owned())],
                ..Request::default()
            };
            accepted.push(accept::accept(&self.gateway, request).await.unwrap().id);
        }
        accepted
    }
}

impl<Red, Blue> Drop for Desk<Red, Blue> {
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
        || desk.red.0.load(Ordering::SeqCst) > 40,
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
        || desk.blue.0.load(Ordering::SeqCst) == 500,
        "the quick ones arrive",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_provider_carries_its_channel_although_another_one_hangs() {
    let desk = Desk::new(&[("both", &[0, 1])]).await;
    desk.accept("both", 500).await;
    let carried = || {
        let hanging = desk.red.0.load(Ordering::SeqCst);
        hanging < 60 && desk.blue.0.load(Ordering::SeqCst) + hanging == 500
    };
    until(carried, "all that the hanging one does not hold arrive").await;
}

/// How many of 500 that come at once go to each of two providers which take a moment for each.
async fn shared(strategy: Strategy) -> (usize, usize) {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = strategy;
    let desk = Desk::<Steady, Steady>::with(config).await;
    desk.accept("both", 500).await;
    let shares = || {
        (
            desk.red.0.load(Ordering::SeqCst),
            desk.blue.0.load(Ordering::SeqCst),
        )
    };
    until(|| shares().0 + shares().1 == 500, "all are sent").await;
    shares()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_work_than_places_is_no_reason_to_ask_the_second_in_line() {
    assert_eq!(shared(Strategy::Failover).await, (500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_exact_although_there_is_more_work_than_places() {
    assert_eq!(shared(Strategy::Weighted(vec![30, 70])).await, (150, 350));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_in_line_carries_the_channel_when_the_first_hangs() {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = Strategy::Failover;
    let desk = Desk::<Hanging, Quick>::with(config).await;
    desk.accept("both", 500).await;
    let carried = || {
        let hanging = desk.red.0.load(Ordering::SeqCst);
        hanging < 60 && desk.blue.0.load(Ordering::SeqCst) + hanging == 500
    };
    until(carried, "all that the first does not hold arrive").await;
}

/// A queue that is away: it forgets what it is given, and whoever waits for it waits in vain.
#[derive(Default)]
struct Away {
    /// How often somebody waited for long.
    waited: AtomicUsize,
}

#[async_trait]
impl Queue for Away {
    fn push(&self, _: &[Nudge]) {}

    async fn flush(&self, _: Duration) -> bool {
        false
    }

    async fn pop(&self, _: &dyn Appetite, _: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        if wait >= Duration::from_millis(500) {
            self.waited.fetch_add(1, Ordering::SeqCst);
        }
        crate::clock::pause(wait).await;
        Vec::new()
    }

    fn ring(&self) {}

    async fn depth(&self) -> Option<u64> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_away_is_not_waited_for_while_the_store_has_more() {
    let away = Arc::new(Away::default());
    let desk = Desk::<Quick, Quick>::over(away.clone(), config(&[("both", &[0, 1])])).await;
    desk.accept("both", 1_000).await;
    let waited = away.waited.load(Ordering::SeqCst);
    let sent = || desk.red.0.load(Ordering::SeqCst) + desk.blue.0.load(Ordering::SeqCst);
    until(|| sent() == 1_000, "all are sent").await;
    let waited = away.waited.load(Ordering::SeqCst) - waited;
    assert!(waited < 4, "{waited} times for 1000 through 64 places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_probe_is_not_claimed_over_and_over() {
    let desk = Desk::new(&[("slow", &[0])]).await;
    let lane = &desk.gateway.lanes()[0];
    let now = desk.gateway.clock.now();
    for _ in 0..desk.gateway.config.providers[0].rest_after {
        let reason = "down".to_owned();
        lane.remember(
            &Outcome::Unavailable { reason }.into(),
            now - desk.gateway.config.providers[0].rest_for,
        );
    }
    let accepted = desk.accept("slow", 30).await;
    until(|| desk.red.0.load(Ordering::SeqCst) == 1, "one call finds out").await;
    crate::clock::pause(Duration::from_secs(3)).await;
    let mut claims = 0;
    for id in accepted {
        let message = desk.gateway.store.find(id).await.unwrap().unwrap();
        claims += message.deliveries[0].round;
    }
    assert!(claims <= 60, "{claims} claims of 30 in 3 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_provider_at_rest_is_left_alone_until_it_is_woken() {
    let desk = Desk::<Quick, Quick>::with(config(&[("rested", &[0]), ("other", &[1])])).await;
    let lane = &desk.gateway.lanes()[0];
    let order = |word| Order {
        provider: lane.name.clone(),
        word,
        by: "boss".to_owned(),
        at: desk.gateway.clock.now(),
    };
    lane.obey(&order(Word::Rest));
    let waiting = desk.accept("rested", 30).await;
    desk.accept("other", 30).await;
    until(|| desk.blue.0.load(Ordering::SeqCst) == 30, "the others go on").await;
    for id in waiting {
        let message = desk.gateway.store.find(id).await.unwrap().unwrap();
        assert_eq!(message.deliveries[0].round, 0, "it was claimed");
    }
    lane.obey(&order(Word::Wake));
    until(|| desk.red.0.load(Ordering::SeqCst) == 30, "all of it goes out").await;
}
