use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

use super::*;
use crate::accept;
use crate::config::Config;
use crate::deliver::step;
use crate::testing::{GatewayBuilder, open_store, request_over};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_providers::{OutboundMessage, Provider};

/// Accepts every message with its delivery id as the reference.
struct NumberingProvider;

#[async_trait]
impl Provider for NumberingProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        Outcome::Accepted { reference: Some(message.delivery_id.0.to_string()) }.into()
    }

    fn endpoint(&self) -> (String, u16) {
        ("numbering".to_owned(), 0)
    }
}

#[tokio::test]
async fn bounces_do_not_open_the_circuit_breaker() {
    let folder = tempfile::tempdir().unwrap();
    let providers: Vec<Arc<dyn Provider>> = vec![Arc::new(NumberingProvider), Arc::new(NumberingProvider)];
    let gateway =
        GatewayBuilder::new(Config::test_mode()).providers(providers).wire(&open_store(folder.path())).await;
    for _ in 0..30 {
        let message = accept::accept(&gateway, request_over("sms")).await.unwrap().id;
        step(&gateway, 1, Duration::ZERO).await;
        let delivery = gateway.store.find_message(message).await.unwrap().unwrap().deliveries.remove(0);
        let provider = delivery.attempts[0].provider.clone().unwrap();
        let receipt = Receipt {
            reference: delivery.id.0.to_string(),
            status: ReceiptStatus::Bounced { reason: "the handset is off (30003)".to_owned() },
            at: gateway.clock.now(),
        };
        let results = apply_receipts(&gateway, &provider, vec![receipt]).await.unwrap();
        assert!(matches!(results[0], ReceiptResult::Applied(_)), "{results:?}");
    }
    for runtime in gateway.providers() {
        let status = runtime.status(gateway.clock.now());
        assert_eq!((status.state, status.is_available), ("closed", true), "{status:?}");
    }
}
