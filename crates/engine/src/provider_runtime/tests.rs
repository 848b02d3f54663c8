use async_trait::async_trait;
use parking_lot::Mutex;
use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::gateway::Gateway;
use crate::testing::{GatewayBuilder, open_store, request_over};
use crate::{accept, deliver, deliver::DeliverStep};
use postrider_core::clock::from_millis;

/// Counts two parts for each message, knows one code about destinations, and has a connection of its own.
#[derive(Default)]
struct ConnectedProvider {
    connected_at: Mutex<Option<Timestamp>>,
}

#[async_trait]
impl Provider for ConnectedProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        Outcome::Accepted { reference: None }.into()
    }

    fn part_count(&self, message: &OutboundMessage) -> u32 {
        message.parts * 2
    }

    fn concerns_destination(&self, code: &str) -> bool {
        code == "21408"
    }

    fn last_connected_at(&self) -> Option<Timestamp> {
        *self.connected_at.lock()
    }

    fn endpoint(&self) -> (String, u16) {
        ("connected".to_owned(), 0)
    }
}

async fn gateway_with(provider: &Arc<ConnectedProvider>, folder: &tempfile::TempDir) -> Gateway {
    let clock = Clock::manual(from_millis(1_700_000_000_000));
    let mut config = Config::test_mode();
    config.providers[0].rate = Some(10.0);
    let providers: Vec<Arc<dyn Provider>> = vec![provider.clone(), provider.clone()];
    GatewayBuilder::new(config).clock(&clock).providers(providers).wire(&open_store(folder.path())).await
}

fn unavailable(code: &str) -> SendResult {
    let reason = "the account is not enabled for this country".to_owned();
    SendResult { outcome: Outcome::Unavailable { reason }, code: Some(code.to_owned()) }
}

#[tokio::test]
async fn codes_about_a_destination_do_not_open_the_circuit_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway_with(&Arc::default(), &folder).await;
    let (runtime, now) = (&gateway.providers()[0], gateway.clock.now());
    (0..30).for_each(|_| runtime.complete(&unavailable("21408"), None, now));
    assert_eq!(runtime.status(now).state, "closed");
    (0..30).for_each(|_| runtime.complete(&unavailable("20500"), None, now));
    assert_eq!(runtime.status(now).state, "open");
}

#[tokio::test]
async fn an_accepted_connection_closes_the_circuit_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let provider = Arc::<ConnectedProvider>::default();
    let gateway = gateway_with(&provider, &folder).await;
    let (runtime, opened_at) = (&gateway.providers()[0], gateway.clock.now());
    *provider.connected_at.lock() = Some(opened_at - Duration::from_secs(60));
    let refused = Outcome::Misconfigured { reason: "the bind was refused".to_owned() };
    for outcome in [unavailable("link is down").outcome, refused] {
        let now = gateway.clock.now();
        (0..5).for_each(|_| runtime.complete(&outcome.clone().into(), None, now));
        assert!(!runtime.is_available(now), "the connection was accepted before the circuit opened");
        gateway.clock.advance(Duration::from_secs(2));
        *provider.connected_at.lock() = Some(now + Duration::from_secs(1));
        assert!(runtime.is_available(gateway.clock.now()));
        assert_eq!(runtime.status(gateway.clock.now()).state, "closed");
        assert_eq!(runtime.unreported_health().unwrap().circuit, Some(CircuitState::Closed));
    }
}

#[tokio::test]
async fn the_rate_counts_the_parts_that_the_adapter_sends() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = gateway_with(&Arc::default(), &folder).await;
    accept::accept(&gateway, request_over("sms")).await.unwrap();
    assert_eq!(deliver::step(&gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let runtime = &gateway.providers()[0];
    let now = gateway.clock.now();
    let busy = runtime.acquire(1, now).await.err();
    assert_eq!(busy.map(|busy| busy.retry_after), Some(Duration::from_millis(200)));
}
