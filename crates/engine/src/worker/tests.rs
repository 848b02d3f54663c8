//! Tests of a worker with a hanging provider beside quick ones, on another channel and on the same, and with more
//! work than slots.

use postrider_core::clock::{Clock, Timestamp};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::provider_control::{ControlAction, ProviderControl};
use postrider_core::{
    attempt::Outcome, capacity::CapacitySource, channel::Channel, queue_entry::QueueEntry,
    routing::RoutingStrategy,
};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use async_trait::async_trait;
use tokio::sync::watch;

use super::*;
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store, request_over};
use crate::{accept, config::Config};
use postrider_providers::Provider;
use postrider_queue::Queue;

/// Time after which a test fails.
const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Longer than any test: a hanging call never ends while a test runs.
const LONGER_THAN_TEST: Duration = Duration::from_secs(3_600);

/// A worker over two providers.
struct WorkerHarness {
    gateway: Arc<Gateway>,
    first: Arc<FixedOutcomeProvider>,
    second: Arc<FixedOutcomeProvider>,
    worker: tokio::task::JoinHandle<u32>,
    _stop: watch::Sender<bool>,
    _folder: tempfile::TempDir,
}

impl WorkerHarness {
    /// Starts a worker over a first provider that hangs and a second one that accepts at once.
    async fn with_hanging_provider(config: Config) -> Self {
        Self::new(config, FixedOutcomeProvider::hanging(), FixedOutcomeProvider::accepting(), None).await
    }

    async fn new(
        config: Config,
        first: FixedOutcomeProvider,
        second: FixedOutcomeProvider,
        queue: Option<Arc<dyn Queue>>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (Arc::new(first), Arc::new(second));
        let providers: Vec<Arc<dyn Provider>> = vec![first.clone(), second.clone()];
        let mut builder = GatewayBuilder::new(config).clock(&Clock::System).providers(providers);
        if let Some(queue) = queue {
            builder = builder.queue(queue);
        }
        let gateway = Arc::new(builder.wire(&open_store(folder.path())).await);
        let stop = watch::Sender::new(false);
        Self {
            worker: tokio::spawn(run(gateway.clone(), stop.subscribe())),
            gateway,
            first,
            second,
            _stop: stop,
            _folder: folder,
        }
    }

    async fn accept(&self, channel: &str, count: usize) -> Vec<MessageId> {
        let mut accepted = Vec::new();
        for _ in 0..count {
            let request = request_over(channel);
            accepted.push(accept::accept(&self.gateway, request).await.unwrap().id);
        }
        accepted
    }

    /// Returns the time to send `count` messages through the second provider, four at a time.
    async fn time_to_send(&self, channel: &str, count: usize) -> Duration {
        let start = Instant::now();
        for sent in (0..count).step_by(4) {
            let before = self.second.call_count();
            self.accept(channel, 4).await;
            let are_sent = || self.second.call_count() >= before + 4;
            wait_until(are_sent, &format!("{sent} sent")).await;
        }
        start.elapsed()
    }

    /// Returns whether the second provider got all of `total` messages but those that the first one holds.
    fn is_sent_around_hanging_provider(&self, total: usize) -> bool {
        let hanging = self.first.call_count();
        hanging < 60 && self.second.call_count() + hanging == total
    }

    async fn round(&self, id: MessageId) -> u32 {
        let message = self.gateway.store.find_message(id).await.unwrap().unwrap();
        message.deliveries[0].round
    }
}

impl Drop for WorkerHarness {
    fn drop(&mut self) {
        self.worker.abort();
    }
}

/// Returns a configuration with 64 slots and channels that name their providers by index.
fn config(channels: &[(&str, &[usize])]) -> Config {
    let mut config = Config::test_mode();
    config.work.concurrency = 64;
    config.work.lease = LONGER_THAN_TEST * 2;
    config.queue_window = 5_000;
    for provider in &mut config.providers {
        provider.timeout = LONGER_THAN_TEST;
    }
    let default = config.channels[0].clone();
    let provider_names: Vec<_> = config.providers.iter().map(|provider| provider.name.clone()).collect();
    let channel = |(name, providers): &(&str, &[usize])| Channel {
        name: name.parse().unwrap(),
        providers: providers.iter().map(|index| provider_names[*index].clone()).collect(),
        ..default.clone()
    };
    config.channels = channels.iter().map(channel).collect();
    config
}

async fn wait_until(condition: impl Fn() -> bool, description: &str) {
    let deadline = Instant::now() + TEST_TIMEOUT;
    while !condition() {
        assert!(Instant::now() < deadline, "timeout: {description}");
        postrider_core::clock::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_keeps_its_speed_beside_a_channel_whose_provider_hangs() {
    let harness = WorkerHarness::with_hanging_provider(config(&[("slow", &[0]), ("quick", &[1])])).await;
    harness.time_to_send("quick", 40).await;
    let time_alone = harness.time_to_send("quick", 200).await;
    harness.accept("slow", 500).await;
    let uses_most_slots = || harness.first.call_count() > 40;
    wait_until(uses_most_slots, "the slow channel uses most slots").await;
    let time_beside = harness.time_to_send("quick", 200).await;
    assert!(time_beside < time_alone * 5, "{time_beside:?} beside the slow channel, {time_alone:?} alone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_of_a_quick_channel_are_sent_beside_a_channel_that_hangs() {
    let harness = WorkerHarness::with_hanging_provider(config(&[("slow", &[0]), ("quick", &[1])])).await;
    harness.accept("slow", 500).await;
    harness.accept("quick", 500).await;
    let are_sent = || harness.second.call_count() == 500;
    wait_until(are_sent, "the quick channel is sent").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quick_provider_serves_its_channel_although_another_provider_hangs() {
    let harness = WorkerHarness::with_hanging_provider(config(&[("both", &[0, 1])])).await;
    harness.accept("both", 500).await;
    let are_sent = || harness.is_sent_around_hanging_provider(500);
    wait_until(are_sent, "all but the hanging calls are sent").await;
}

/// Returns how many of 500 simultaneous messages go to each of two providers that take a moment each.
async fn attempts_by_provider(strategy: RoutingStrategy) -> (usize, usize) {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = strategy;
    let provider = || FixedOutcomeProvider::accepting_after(Duration::from_millis(30));
    let harness = WorkerHarness::new(config, provider(), provider(), None).await;
    harness.accept("both", 500).await;
    let counts = || (harness.first.call_count(), harness.second.call_count());
    wait_until(|| counts().0 + counts().1 == 500, "all are sent").await;
    counts()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_work_than_slots_does_not_cause_a_failover() {
    assert_eq!(attempts_by_provider(RoutingStrategy::Failover).await, (500, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn weights_are_exact_although_there_is_more_work_than_slots() {
    assert_eq!(attempts_by_provider(RoutingStrategy::Weighted(vec![30, 70])).await, (150, 350));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_second_provider_of_a_failover_serves_the_channel_when_the_first_hangs() {
    let mut config = config(&[("both", &[0, 1])]);
    config.channels[0].strategy = RoutingStrategy::Failover;
    let harness = WorkerHarness::with_hanging_provider(config).await;
    harness.accept("both", 500).await;
    let are_sent = || harness.is_sent_around_hanging_provider(500);
    wait_until(are_sent, "all but the hanging calls are sent").await;
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
async fn an_unavailable_queue_is_not_waited_for_while_the_store_has_more() {
    let queue = Arc::new(UnavailableQueue::default());
    let (first, second) = (FixedOutcomeProvider::accepting(), FixedOutcomeProvider::accepting());
    let harness = WorkerHarness::new(config(&[("both", &[0, 1])]), first, second, Some(queue.clone())).await;
    harness.accept("both", 1_000).await;
    let before = queue.long_waits.load(Ordering::SeqCst);
    let sent = || harness.first.call_count() + harness.second.call_count();
    wait_until(|| sent() == 1_000, "all are sent").await;
    let waits = queue.long_waits.load(Ordering::SeqCst) - before;
    assert!(waits < 4, "{waits} waits for 1000 messages through 64 slots");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_that_wait_for_a_probe_are_not_claimed_again_and_again() {
    let harness = WorkerHarness::with_hanging_provider(config(&[("slow", &[0])])).await;
    let runtime = &harness.gateway.providers()[0];
    let settings = &harness.gateway.config.providers[0];
    let opened_at = harness.gateway.clock.now() - settings.breaker_open_duration;
    for _ in 0..settings.breaker_failure_threshold {
        let reason = "down".to_owned();
        runtime.complete(&Outcome::Unavailable { reason }.into(), None, opened_at);
    }
    let accepted = harness.accept("slow", 30).await;
    wait_until(|| harness.first.call_count() == 1, "one call probes").await;
    postrider_core::clock::sleep(Duration::from_secs(3)).await;
    let mut claims = 0;
    for id in accepted {
        claims += harness.round(id).await;
    }
    assert!(claims <= 60, "{claims} claims of 30 deliveries in 3 s");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deliveries_of_a_paused_provider_are_not_claimed_until_it_is_resumed() {
    let config = config(&[("paused", &[0]), ("other", &[1])]);
    let (first, second) = (FixedOutcomeProvider::accepting(), FixedOutcomeProvider::accepting());
    let harness = WorkerHarness::new(config, first, second, None).await;
    let runtime = &harness.gateway.providers()[0];
    let control = |action| ProviderControl {
        provider: runtime.name.clone(),
        action,
        requested_by: "boss".to_owned(),
        at: harness.gateway.clock.now(),
    };
    runtime.apply_control(&control(ControlAction::Pause));
    let waiting = harness.accept("paused", 30).await;
    // The second batch gives the worker time for a late claim of the first channel.
    for sent in [30, 60] {
        harness.accept("other", 30).await;
        let are_sent = || harness.second.call_count() == sent;
        wait_until(are_sent, "the other channel is sent").await;
    }
    for id in waiting {
        assert_eq!(harness.round(id).await, 0, "it was claimed");
    }
    runtime.apply_control(&control(ControlAction::Resume));
    wait_until(|| harness.first.call_count() == 30, "all are sent").await;
}
