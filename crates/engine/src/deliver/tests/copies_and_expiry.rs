//! Copies after silence, the last try before the expiry, and waits that a provider asks for. On a manual clock.

use super::*;
use postrider_core::delivery::Failure;
use postrider_core::message::Delivery;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Returns `outcome` before a time, and accepts every message afterwards.
struct RecoveringProvider {
    clock: Clock,
    recovers_at: Timestamp,
    outcome: Outcome,
    calls: AtomicUsize,
}

#[async_trait]
impl Provider for RecoveringProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.clock.now() < self.recovers_at {
            return self.outcome.clone().into();
        }
        Outcome::Accepted { reference: None }.into()
    }

    fn endpoint(&self) -> (String, u16) {
        ("recovering".to_owned(), 0)
    }
}

/// A gateway with one provider, and the messages that it has accepted.
struct Harness {
    gateway: Gateway,
    provider: Arc<RecoveringProvider>,
    messages: Vec<MessageId>,
    _folder: tempfile::TempDir,
}

impl Harness {
    /// The provider returns `outcome` for the first `seconds`.
    async fn new(outcome: Outcome, seconds: u64, configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::test_mode();
        config.providers.truncate(1);
        config.channels[0].providers.truncate(1);
        configure(&mut config);
        let clock = Clock::manual("2026-05-01T12:00:00Z".parse().unwrap());
        let recovers_at = clock.now() + Duration::from_secs(seconds);
        let calls = AtomicUsize::new(0);
        let provider = Arc::new(RecoveringProvider { clock: clock.clone(), recovers_at, outcome, calls });
        let folder = tempfile::tempdir().unwrap();
        let gateway = GatewayBuilder::new(config)
            .clock(&clock)
            .providers(vec![provider.clone()])
            .wire(&open_store(folder.path()))
            .await;
        Self { gateway, provider, messages: Vec::new(), _folder: folder }
    }

    async fn accept(&mut self, lifetime: Option<Duration>, at_most_once: bool) {
        let expires_at = lifetime.map(|lifetime| self.gateway.clock.now() + lifetime);
        let request = AcceptRequest { expires_at, at_most_once, ..request_over("sms") };
        self.messages.push(accept::accept(&self.gateway, request).await.unwrap().id);
    }

    /// Works for a time of the manual clock, in steps of `tick`.
    async fn work(&self, time: Duration, tick: Duration) {
        for _ in 0..time.as_millis() / tick.as_millis() {
            while step(&self.gateway, 64, Duration::ZERO).await != DeliverStep::Idle {}
            self.gateway.clock.advance(tick);
        }
    }

    async fn deliveries(&self) -> Vec<Delivery> {
        let mut deliveries = Vec::new();
        for id in &self.messages {
            deliveries.extend(self.gateway.store.find_message(*id).await.unwrap().unwrap().deliveries);
        }
        deliveries
    }

    fn calls(&self) -> usize {
        self.provider.calls.load(Ordering::SeqCst)
    }

    /// Returns the number of sent deliveries.
    async fn sent(&self) -> usize {
        let is_sent = |delivery: &&Delivery| matches!(delivery.state, DeliveryState::Sent { .. });
        self.deliveries().await.iter().filter(is_sent).count()
    }
}

fn silence() -> Outcome {
    Outcome::Unknown { reason: "no answer within 1s".to_owned() }
}

const FOREVER: u64 = 1_000_000;
const SECOND: Duration = Duration::from_secs(1);

/// Returns the number of calls and the reason with which the only delivery failed as unknown.
async fn copies_after_silence(at_most_once: bool, configure: impl FnOnce(&mut Config)) -> (usize, String) {
    let mut harness = Harness::new(silence(), FOREVER, configure).await;
    harness.accept(None, at_most_once).await;
    harness.work(Duration::from_secs(600), SECOND * 5).await;
    match harness.deliveries().await.remove(0).state {
        DeliveryState::Failed { failure: Failure::Unknown, reason, .. } => (harness.calls(), reason),
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn a_message_is_sent_twice_at_most_to_a_provider_that_does_not_answer() {
    let (calls, reason) = copies_after_silence(false, |_| ()).await;
    assert_eq!(calls, 2);
    assert!(reason.contains("unknown_retries = 1"), "{reason}");
    let by_channel = |config: &mut Config| config.channels[0].unknown_retries = 3;
    assert_eq!(copies_after_silence(false, by_channel).await.0, 4);
    let by_provider = |config: &mut Config| config.providers[0].unknown_retries = Some(0);
    assert_eq!(copies_after_silence(false, by_provider).await.0, 1);
}

#[tokio::test]
async fn a_message_to_be_sent_at_most_once_is_not_repeated_after_silence() {
    let (calls, reason) = copies_after_silence(true, |config| config.channels[0].unknown_retries = 3).await;
    assert_eq!(calls, 1);
    assert!(reason.contains("at_most_once"), "{reason}");
}

#[tokio::test]
async fn a_delivery_is_sent_by_a_last_try_when_the_provider_works_again_before_the_expiry() {
    let down = Outcome::Unavailable { reason: "down".to_owned() };
    let quick = |config: &mut Config| {
        config.providers[0].breaker_open_duration = Duration::from_millis(500);
        config.channels[0].retry.base = Duration::from_millis(500);
    };
    let mut harness = Harness::new(down, 8, quick).await;
    harness.accept(Some(SECOND * 10), false).await;
    harness.work(SECOND * 11, SECOND / 20).await;
    assert_eq!(harness.sent().await, 1, "{:?}", harness.deliveries().await);
}

#[tokio::test]
async fn after_an_outage_of_8_minutes_every_message_of_10_minutes_is_sent() {
    let down = Outcome::Unavailable { reason: "down".to_owned() };
    let mut harness = Harness::new(down, 8 * 60, |_| ()).await;
    for _ in 0..20 {
        harness.accept(Some(Duration::from_secs(600)), false).await;
    }
    harness.work(Duration::from_secs(590), SECOND / 2).await;
    let expired = |delivery: &&Delivery| matches!(delivery.state, DeliveryState::Failed { .. });
    assert_eq!(harness.deliveries().await.iter().filter(expired).count(), 0);
    harness.work(SECOND * 15, SECOND / 2).await;
    assert_eq!(harness.sent().await, 20, "{:?}", harness.deliveries().await);
}

#[tokio::test]
async fn a_delivery_fails_at_its_expiry_and_not_before() {
    let down = Outcome::Unavailable { reason: "down".to_owned() };
    let mut harness = Harness::new(down, FOREVER, |_| ()).await;
    harness.accept(Some(Duration::from_secs(100)), false).await;
    harness.work(Duration::from_secs(99), SECOND).await;
    let waiting = harness.deliveries().await.remove(0);
    assert!(matches!(waiting.state, DeliveryState::Waiting { .. }), "{waiting:?}");
    harness.work(SECOND * 3, SECOND).await;
    match harness.deliveries().await.remove(0).state {
        DeliveryState::Failed { failure, at, .. } => {
            assert_eq!((failure, at >= waiting.expires_at), (Failure::Expired, true));
        }
        state => panic!("{state:?}"),
    }
}

#[tokio::test]
async fn a_quota_longer_than_the_age_limit_does_not_expire_messages() {
    let quota = Outcome::Throttled { retry_after: Some(Duration::from_secs(60)) };
    let age = |config: &mut Config| config.channels[0].retry.age_max = Duration::from_secs(180);
    let mut harness = Harness::new(quota, 400, age).await;
    for _ in 0..3 {
        harness.accept(None, false).await;
    }
    harness.work(Duration::from_secs(500), SECOND).await;
    assert_eq!(harness.sent().await, 3, "{:?}", harness.deliveries().await);
}

#[tokio::test]
async fn a_quota_does_not_outlast_the_expiry_that_the_client_asked_for() {
    let quota = Outcome::Throttled { retry_after: Some(Duration::from_secs(600)) };
    let mut harness = Harness::new(quota, FOREVER, |_| ()).await;
    harness.accept(Some(Duration::from_secs(300)), false).await;
    harness.work(Duration::from_secs(299), SECOND).await;
    assert!(matches!(harness.deliveries().await[0].state, DeliveryState::Waiting { .. }));
    harness.work(SECOND * 3, SECOND).await;
    assert!(matches!(harness.deliveries().await[0].state, DeliveryState::Failed { .. }));
}
