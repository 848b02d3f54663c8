//! Tests of a provider with one message a second beside one with a thousand, on a manual clock.

use super::*;
use postrider_core::channel::Channel;

/// Step of the manual clock.
const TICK: Duration = Duration::from_millis(20);

/// A slow provider (1 message a second) and a fast one (1,000 a second), each on its own channel.
struct RateLimitHarness {
    gateway: Gateway,
    slow: Arc<FixedOutcomeProvider>,
    fast: Arc<FixedOutcomeProvider>,
    _folder: tempfile::TempDir,
}

impl RateLimitHarness {
    async fn new(channels: &[(&str, &[usize])]) -> Self {
        let mut config = Config::test_mode();
        config.providers[0].rate = Some(1.0);
        config.providers[1].rate = Some(1_000.0);
        let default = config.channels[0].clone();
        let channel = |(name, providers): &(&str, &[usize])| Channel {
            name: name.parse().unwrap(),
            providers: providers.iter().map(|index| config.providers[*index].name.clone()).collect(),
            ..default.clone()
        };
        config.channels = channels.iter().map(channel).collect();
        let slow = Arc::new(FixedOutcomeProvider::accepting());
        let fast = Arc::new(FixedOutcomeProvider::accepting());
        let folder = tempfile::tempdir().unwrap();
        let gateway = GatewayBuilder::new(config)
            .providers(vec![slow.clone(), fast.clone()])
            .wire(&open_store(folder.path()))
            .await;
        Self { gateway, slow, fast, _folder: folder }
    }

    async fn accept(&self, channel: &str, count: usize) {
        for _ in 0..count {
            accept::accept(&self.gateway, request_over(channel)).await.unwrap();
        }
    }

    /// Works for `time` of the manual clock; returns the calls of the slow and the fast provider so far.
    async fn work(&self, time: Duration) -> (usize, usize) {
        for _ in 0..time.as_millis() / TICK.as_millis() {
            while step(&self.gateway, 64, Duration::ZERO).await != DeliverStep::Idle {}
            self.gateway.clock.advance(TICK);
        }
        (self.slow.call_count(), self.fast.call_count())
    }
}

#[tokio::test]
async fn a_slow_provider_keeps_its_rate_and_does_not_delay_a_fast_one() {
    let harness = RateLimitHarness::new(&[("slow", &[0]), ("fast", &[1])]).await;
    // The slow messages are accepted first, and all are due before the fast ones.
    harness.accept("slow", 30).await;
    harness.accept("fast", 300).await;
    let (slow, fast) = harness.work(Duration::from_secs(1)).await;
    assert!(slow <= 2, "{slow} in the first second, with a burst of one");
    assert_eq!(fast, 300);
    let (slow, fast) = harness.work(Duration::from_secs(9)).await;
    assert!((10..=11).contains(&slow), "{slow} in ten seconds");
    assert_eq!(fast, 300);
}

#[tokio::test]
async fn on_one_channel_the_fast_provider_takes_the_messages_beyond_the_rate_of_the_slow_one() {
    let harness = RateLimitHarness::new(&[("sms", &[0, 1])]).await;
    harness.accept("sms", 300).await;
    let (slow, fast) = harness.work(Duration::from_secs(1)).await;
    assert!((1..=2).contains(&slow), "{slow} in the first second");
    assert_eq!(slow + fast, 300);
}
