//! Tests of a provider with one message a second beside one with a thousand, on a manual clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use postrider_core::attempt::SendResult;

/// Step of the manual clock.
const TICK: Duration = Duration::from_millis(20);

/// Accepts every message at once and counts calls.
#[derive(Default)]
struct CountingProvider(AtomicUsize);

#[async_trait]
impl Provider for CountingProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        Outcome::Accepted { reference: None }.into()
    }

    fn parse_callback_sync(&self, _: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn endpoint(&self) -> (String, u16) {
        ("counting".to_owned(), 0)
    }
}

/// A slow provider (1 message a second) and a fast one (1,000 a second), each on its own channel.
struct RateLimitHarness {
    gateway: Gateway,
    slow: Arc<CountingProvider>,
    fast: Arc<CountingProvider>,
    _folder: tempfile::TempDir,
}

impl RateLimitHarness {
    async fn new(channels: &[(&str, &[usize])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", folder.path().join("postrider.db").display());
        let store = postrider_store::open(&url, postrider_store::DEFAULT_LOCK_TIMEOUT).unwrap();
        let edges = Backends {
            clock: Clock::manual("2026-05-01T12:00:00Z".parse().unwrap()),
            random: Random::seeded(1),
            cache: SignedCache::new(
                postrider_cache::open("memory:").unwrap(),
                store.store_secret().await.unwrap(),
            ),
            queue: postrider_queue::open("memory:", 5_000).await.unwrap(),
            store,
        };
        let mut config = Config::test_mode();
        config.providers[0].rate = Some(1.0);
        config.providers[1].rate = Some(1_000.0);
        let usual = config.channels[0].clone();
        let channel = |(name, providers): &(&str, &[usize])| postrider_core::channel::Channel {
            name: name.parse().unwrap(),
            providers: providers
                .iter()
                .map(|place| config.providers[*place].name.clone())
                .collect(),
            ..usual.clone()
        };
        config.channels = channels.iter().map(channel).collect();
        let (slow, fast) = (
            Arc::new(CountingProvider::default()),
            Arc::new(CountingProvider::default()),
        );
        let adapters: Vec<Arc<dyn Provider>> = vec![slow.clone(), fast.clone()];
        Self {
            gateway: Gateway::wire(config, edges, adapters),
            slow,
            fast,
            _folder: folder,
        }
    }

    async fn accept(&self, channel: &str, count: usize) {
        for _ in 0..count {
            let request = AcceptRequest {
                body: "hello".to_owned(),
                addresses: vec![(channel.to_owned(), "09122222222".to_owned())],
                ..AcceptRequest::default()
            };
            accept::accept(&self.gateway, request).await.unwrap();
        }
    }

    /// Works for `time` of the manual clock; returns the calls of the slow and the fast provider so far.
    async fn work(&self, time: Duration) -> (usize, usize) {
        for _ in 0..time.as_millis() / TICK.as_millis() {
            while step(&self.gateway, 64, Duration::ZERO).await != DeliverStep::Idle {}
            self.gateway.clock.advance(TICK);
        }
        let count = |provider: &CountingProvider| provider.0.load(Ordering::SeqCst);
        (count(&self.slow), count(&self.fast))
    }
}

#[tokio::test]
async fn a_slow_provider_keeps_to_its_rate_and_the_fast_one_beside_it_loses_nothing() {
    let world = RateLimitHarness::new(&[("slow", &[0]), ("fast", &[1])]).await;
    // The slow messages are accepted first, and all are due before the fast ones.
    world.accept("slow", 30).await;
    world.accept("fast", 300).await;
    let (slow, fast) = world.work(Duration::from_secs(1)).await;
    assert!(slow <= 2, "{slow} in the first second, with a burst of one");
    assert_eq!(fast, 300);
    let (slow, fast) = world.work(Duration::from_secs(9)).await;
    assert!((10..=11).contains(&slow), "{slow} in ten seconds");
    assert_eq!(fast, 300);
}

#[tokio::test]
async fn on_one_channel_the_fast_one_takes_what_the_slow_one_cannot() {
    let world = RateLimitHarness::new(&[("sms", &[0, 1])]).await;
    world.accept("sms", 300).await;
    let (slow, fast) = world.work(Duration::from_secs(1)).await;
    assert!((1..=2).contains(&slow), "{slow} in the first second");
    assert_eq!(slow + fast, 300);
}
