//! Tests of bounces that make an address inactive.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::deliver::{DeliverStep, step};
use crate::receipts::apply_receipts;
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store, request_over};
use postrider_core::attempt::Outcome;
use postrider_core::channel::Addressing;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_providers::Provider;

const ADDRESS: &str = "user@example.com";

/// Sends a message to the address and applies a receipt with this status.
async fn send_with_receipt(gateway: &Gateway, status: ReceiptStatus) {
    let addresses = vec![("email".to_owned(), ADDRESS.to_owned())];
    accept::accept(gateway, AcceptRequest { addresses, ..request_over("email") }).await.unwrap();
    assert_eq!(step(gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    let provider = gateway.all_routes().find(|route| route.channel.name.as_str() == "email").unwrap();
    let provider = provider.providers()[0].name.clone();
    let receipt = Receipt { reference: "r".to_owned(), status, at: gateway.clock.now() };
    apply_receipts(gateway, &provider, vec![receipt]).await.unwrap();
}

fn bounced() -> ReceiptStatus {
    ReceiptStatus::Bounced { reason: "mailbox full".to_owned() }
}

#[tokio::test]
async fn bounces_without_a_delivery_between_them_make_an_email_address_inactive() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::test_mode();
    config.limits.soft_bounces_max = 3;
    for channel in &mut config.channels {
        channel.name = "email".parse().unwrap();
        channel.addressing = Addressing::ByProviders(AddressKind::Email);
        channel.providers.truncate(1);
    }
    let accepted = Outcome::Accepted { reference: Some("r".to_owned()) };
    let providers = config
        .providers
        .iter()
        .map(|_| -> Arc<dyn Provider> { Arc::new(FixedOutcomeProvider::new(accepted.clone())) });
    let providers = providers.collect();
    let gateway = GatewayBuilder::new(config).providers(providers).wire(&open_store(folder.path())).await;
    let status = async || {
        let channel = "email".parse().unwrap();
        let recipient = gateway.store.recipient(&channel, ADDRESS).await.unwrap();
        recipient.map_or(RecipientStatus::Active, |recipient| recipient.status)
    };
    for receipt in [bounced(), bounced(), ReceiptStatus::Delivered, bounced(), bounced()] {
        send_with_receipt(&gateway, receipt).await;
        assert_eq!(status().await, RecipientStatus::Active);
    }
    send_with_receipt(&gateway, bounced()).await;
    assert_eq!(status().await, RecipientStatus::Inactive);
}
