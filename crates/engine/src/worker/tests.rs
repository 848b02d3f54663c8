//! Tests of a worker with a hanging provider beside quick ones, on another channel and on the same, and with
//! more work than slots.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::gateway::Backends;
use postrider_cache::SignedCache;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::capacity::CapacitySource;
use postrider_core::channel::Channel;
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::CallbackItem;
use postrider_core::message::QueueEntry;
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::random::Random;
use postrider_core::routing::RoutingStrategy;
use postrider_providers::{CallbackError, CallbackRequest, OutboundMessage, Provider};
use postrider_queue::Queue;

/// Time after which a test fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than any test: a hanging call never ends while a test runs.
const LONGER_THAN_TEST: Duration = Duration::from_secs(3_600);

/// Never answers.
#[derive(Default)]
struct HangingProvider(AtomicUsize);

/// Accepts every message at once.
#[derive(Default)]
struct InstantProvider(AtomicUsize);

/// Accepts every message after a moment, so that calls accumulate.
#[derive(Default)]
struct DelayedProvider(AtomicUsize);

#[async_trait]
impl Provider for HangingProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn endpoint(&self) -> (String, u16) {
        ("hanging".to_owned(), 0)
    }
}

#[async_trait]
impl Provider for InstantProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        Outcome::Accepted { reference: None }.into()
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn endpoint(&self) -> (String, u16) {
        ("quick".to_owned(), 0)
    }
}

#[async_trait]
impl Provider for DelayedProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        postrider_core::clock::sleep(Duration::from_millis(30)).await;
        Outcome::Accepted { reference: None }.into()
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn endpoint(&self) -> (String, u16) {
        ("steady".to_owned(), 0)
    }
}

/// A worker over two providers.
struct WorkerHarness<Red = HangingProvider, Blue = InstantProvider> {
    gateway: Arc<Gateway>,
    first: Arc<Red>,
    second: Arc<Blue>,
    worker: tokio::task::JoinHandle<u32>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl WorkerHarness {
    async fn new(channels: &[(&str, &[usize])]) -> Self {
        Self::with_config(config(channels)).await
    }

    /// Returns the time to send `count` messages one after the other, a few at a time.
    async fn time_to_send(&self, channel: &str, count: usize) -> Duration {
        let began = Instant::now();
        for sent in (0..count).step_by(4) {
            let before = self.second.0.load(Ordering::SeqCst);
            self.accept(channel, 4).await;
            wait_until(
                || self.second.0.load(Ordering::SeqCst) >= before + 4,
                &format!("{sent} sent"),
            )
            .await;
        }
        began.elapsed()
    }
}

impl<Red: Provider + Default + 'static, Blue: Provider + Default + 'static> WorkerHarness<Red, Blue> {
    async fn with_config(config: Config) -> Self {
        let queue = postrider_queue::open("memory:", 5_000).await.unwrap();
        Self::with_queue(queue, config).await
    }

    async fn with_queue(queue: Arc<dyn Queue>, config: Config) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
        let edges = Backends {
            clock: Clock::System,
            random: Random::seeded(1),
            cache: SignedCache::new(
                postrider_cache::open("memory:").unwrap(),
                store.store_secret().await.unwrap(),
            ),
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
            first: red,
            second: blue,
            _stop: stop,
            _folder: folder,
        }
    }

    async fn accept(&self, channel: &str, count: usize) -> Vec<MessageId> {
        let mut accepted = Vec::new();
        for _ in 0..count {
            let request = AcceptRequest {
                body: "hello".to_owned(),
                addresses: vec![(channel.to_owned(), "09122222222".to_owned())],
                ..AcceptRequest::default()
            };
            accepted.push(accept::accept(&self.gateway, request).await.unwrap().id);
        }
        accepted
    }
}

impl<Red, Blue> Drop for WorkerHarness<Red, Blue> {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// Returns a configuration with 64 slots and channels that name their providers by index.
fn config(channels: &[(&str, &[usize])]) -> Config {
    let mut config = Config::test_mode();
    config.work.concurrency = 64;
    config.work.lease = LONGER_THAN_TEST * 2;
    for provider in &mut config.providers {
        provider.timeout = LONGER_THAN_TEST;
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

async fn wait_until(holds: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        postrider_core::clock::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_keeps_its_pace_beside_one_whose_provider_hangs() {
    let desk = WorkerHarness::new(&[("slow", &[0]), ("quick", &[1])]).await;
    desk.time_to_send("quick", 40).await;
    let alone = desk.time_to_send("quick", 200).await;
    desk.accept("slow", 500).await;
    wait_until(
        || desk.first.0.load(Ordering::SeqCst) > 40,
        "the slow one uses most places",
    )
    .await;
    let beside = desk.time_to_send("quick", 200).await;
    assert!(
        beside < alone * 5,
        "{beside:?} beside the slow one, {alone:?} alone"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_a_quick_channel_goes_through_beside_one_that_hangs() {
    let desk = WorkerHarness::new(&[("slow", &[0]), ("quick", &[1])]).await;
    desk.accept("slow", 500).await;
    desk.accept("quick", 500).await;
    wait_until(
        || desk.second.0.load(Ordering::SeqCst) == 500,
        "the quick ones arrive",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_provider_carries_its_channel_although_another_one_hangs() {
    let desk = WorkerHarness::new(&[("both", &[0, 1])]).await;
    desk.accept("both", 500).await;
    let carried = || {
        let hanging = desk.first.0.load(Ordering::SeqCst);
        hanging < 60 && desk.second.0.load(Ordering::SeqCst) + hanging == 500
    };
    wait_until(carried, "all that the hanging one does not hold arrive").await;
}

/// Returns how many of 500 simultaneous messages go to each of two providers that take a moment each.
async fn attempts_by_provider(strategy: RoutingStrategy) -> (usize, usize) {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = strategy;
    let desk = WorkerHarness::<DelayedProvider, DelayedProvider>::with_config(config).await;
    desk.accept("both", 500).await;
    let shares = || {
        (
            desk.first.0.load(Ordering::SeqCst),
            desk.second.0.load(Ordering::SeqCst),
        )
    };
    wait_until(|| shares().0 + shares().1 == 500, "all are sent").await;
    shares()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_work_than_places_is_no_reason_to_ask_the_second_in_line() {
    assert_eq!(attempts_by_provider(RoutingStrategy::Failover).await, (500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shares_are_exact_although_there_is_more_work_than_places() {
    assert_eq!(
        attempts_by_provider(RoutingStrategy::Weighted(vec![30, 70])).await,
        (150, 350)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_in_line_carries_the_channel_when_the_first_hangs() {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = RoutingStrategy::Failover;
    let desk = WorkerHarness::<HangingProvider, InstantProvider>::with_config(config).await;
    desk.accept("both", 500).await;
    let carried = || {
        let hanging = desk.first.0.load(Ordering::SeqCst);
        hanging < 60 && desk.second.0.load(Ordering::SeqCst) + hanging == 500
    };
    wait_until(carried, "all that the first does not hold arrive").await;
}

/// An unavailable queue: it drops entries and returns none.
#[derive(Default)]
struct UnavailableQueue {
    /// Number of long waits for the queue.
    long_waits: AtomicUsize,
}

#[async_trait]
impl Queue for UnavailableQueue {
    fn push(&self, _: &[QueueEntry]) {}

    async fn flush(&self, _: Duration) -> bool {
        false
    }

    async fn pop(&self, _: &dyn CapacitySource, _: Timestamp, wait: Duration) -> Vec<DeliveryId> {
        if wait >= Duration::from_millis(500) {
            self.long_waits.fetch_add(1, Ordering::SeqCst);
        }
        postrider_core::clock::sleep(wait).await;
        Vec::new()
    }

    fn notify_one(&self) {}

    async fn depth(&self) -> Option<u64> {
        None
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_is_away_is_not_waited_for_while_the_store_has_more() {
    let away = Arc::new(UnavailableQueue::default());
    let desk = WorkerHarness::<InstantProvider, InstantProvider>::with_queue(
        away.clone(),
        config(&[("both", &[0, 1])]),
    )
    .await;
    desk.accept("both", 1_000).await;
    let waited = away.long_waits.load(Ordering::SeqCst);
    let sent = || desk.first.0.load(Ordering::SeqCst) + desk.second.0.load(Ordering::SeqCst);
    wait_until(|| sent() == 1_000, "all are sent").await;
    let waited = away.long_waits.load(Ordering::SeqCst) - waited;
    assert!(waited < 4, "{waited} times for 1000 through 64 places");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_probe_is_not_claimed_over_and_over() {
    let desk = WorkerHarness::new(&[("slow", &[0])]).await;
    let lane = &desk.gateway.providers()[0];
    let now = desk.gateway.clock.now();
    for _ in 0..desk.gateway.config.providers[0].breaker_failure_threshold {
        let reason = "down".to_owned();
        lane.complete(
            &Outcome::Unavailable { reason }.into(),
            now - desk.gateway.config.providers[0].breaker_open_duration,
        );
    }
    let accepted = desk.accept("slow", 30).await;
    wait_until(|| desk.first.0.load(Ordering::SeqCst) == 1, "one call finds out").await;
    postrider_core::clock::sleep(Duration::from_secs(3)).await;
    let mut claims = 0;
    for id in accepted {
        let message = desk.gateway.store.find_message(id).await.unwrap().unwrap();
        claims += message.deliveries[0].round;
    }
    assert!(claims <= 60, "{claims} claims of 30 in 3 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_provider_at_rest_is_left_alone_until_it_is_woken() {
    let desk = WorkerHarness::<InstantProvider, InstantProvider>::with_config(config(&[
        ("rested", &[0]),
        ("other", &[1]),
    ]))
    .await;
    let lane = &desk.gateway.providers()[0];
    let order = |word| ProviderControl {
        provider: lane.name.clone(),
        action: word,
        requested_by: "boss".to_owned(),
        at: desk.gateway.clock.now(),
    };
    lane.apply_control(&order(ControlAction::Pause));
    let waiting = desk.accept("rested", 30).await;
    desk.accept("other", 30).await;
    wait_until(|| desk.second.0.load(Ordering::SeqCst) == 30, "the others go on").await;
    for id in waiting {
        let message = desk.gateway.store.find_message(id).await.unwrap().unwrap();
        assert_eq!(message.deliveries[0].round, 0, "it was claimed");
    }
    lane.apply_control(&order(ControlAction::Resume));
    wait_until(|| desk.first.0.load(Ordering::SeqCst) == 30, "all of it goes out").await;
}
