//! Tests of keywords in inbound messages: opt-outs by channel and sender, and answers to help.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::accept::{self, AcceptRequest};
use crate::config::Config;
use crate::deliver::{self, DeliverStep};
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store, request_over};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::channel::Addressing;
use postrider_core::id::MessageId;
use postrider_core::inbound::{InboundMessage, TextReceipt};
use postrider_core::keywords::{KeywordRule, KeywordRules, Keywords};
use postrider_core::name::ConfigName;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::RecipientStatus;
use postrider_providers::{OutboundMessage, Provider};
use postrider_store::MessageQuery;

const PHONE: &str = "+989122222222";

struct KeywordHarness {
    gateway: Gateway,
    _folder: TempDir,
}

impl KeywordHarness {
    async fn new(keywords: KeywordRules) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::test_mode();
        config.keywords = keywords;
        let provider_count = config.providers.len();
        let providers = (0..provider_count).map(|_| {
            let adapter = FixedOutcomeProvider::accepting()
                .with_address_kind(postrider_core::address::AddressKind::Phone);
            Arc::new(adapter) as Arc<dyn Provider>
        });
        let builder = GatewayBuilder::new(config).providers(providers.collect());
        let gateway = builder.wire(&open_store(folder.path())).await;
        Self { gateway, _folder: folder }
    }

    async fn receive(&self, to: &str, body: &str, reference: &str) {
        let message = InboundMessage {
            reference: Some(reference.to_owned()),
            from: PHONE.to_owned(),
            to: to.to_owned(),
            body: body.to_owned(),
            at: DateTime::UNIX_EPOCH,
            is_incomplete: false,
        };
        let runtime = self.gateway.provider(&"mock-red".parse().unwrap()).unwrap();
        ingest(&self.gateway, runtime, vec![CallbackItem::InboundMessage(message)]).await.unwrap();
    }

    async fn status(&self) -> RecipientStatus {
        let channel: ConfigName = "sms".parse().unwrap();
        let recipient = self.gateway.store.recipient(&channel, PHONE).await.unwrap();
        recipient.map_or(RecipientStatus::Active, |recipient| recipient.status)
    }

    async fn sent_bodies(&self) -> Vec<String> {
        let query = MessageQuery { limit: 10, ..MessageQuery::default() };
        let page = self.gateway.store.search(query).await.unwrap();
        page.messages.into_iter().map(|message| message.body).collect()
    }
}

#[tokio::test]
async fn punctuation_and_invisible_marks_do_not_hide_an_opt_out() {
    let harness = KeywordHarness::new(KeywordRules::default()).await;
    harness.receive("+983000", "\u{200F}«Stop!» 🙏\nSent from my phone", "1").await;
    assert_eq!(harness.status().await, RecipientStatus::OptedOut);
    harness.receive("+983000", "Start.", "2").await;
    assert_eq!(harness.status().await, RecipientStatus::Active);
}

#[tokio::test]
async fn a_word_that_is_taken_off_for_a_sender_means_nothing_there() {
    let mut keywords = Keywords::default();
    keywords.remove(&["CANCEL".to_owned(), "END".to_owned()]).unwrap();
    let rule = KeywordRule { channel: None, sender: Some("983000".to_owned()), keywords };
    let harness = KeywordHarness::new(KeywordRules::new(vec![rule])).await;
    for (to, body, status) in [
        ("+983000", "Cancel", RecipientStatus::Active),
        ("+983000", "end.", RecipientStatus::Active),
        ("+983001", "Cancel", RecipientStatus::OptedOut),
    ] {
        harness.receive(to, body, &format!("{to}/{body}")).await;
        assert_eq!(harness.status().await, status, "{body} to {to}");
    }
}

#[tokio::test]
async fn help_is_answered_once_and_changes_no_status() {
    let mut keywords = Keywords::default();
    keywords.help_reply = Some("Reply STOP to end.".to_owned());
    let rule = KeywordRule { channel: Some("sms".parse().unwrap()), sender: None, keywords };
    let harness = KeywordHarness::new(KeywordRules::new(vec![rule])).await;
    for _ in 0..2 {
        harness.receive("+983000", "Help?", "1").await;
    }
    assert_eq!(harness.sent_bodies().await, ["Reply STOP to end."]);
    let query = MessageQuery { limit: 10, ..MessageQuery::default() };
    let reply = harness.gateway.store.search(query).await.unwrap().messages.remove(0);
    assert_eq!(reply.owner, "", "the reply belongs to no API key");
    assert_eq!(harness.status().await, RecipientStatus::Active);
    let silent = KeywordHarness::new(KeywordRules::default()).await;
    silent.receive("+983000", "HELP", "1").await;
    assert!(silent.sent_bodies().await.is_empty());
}

/// Accepts every message with the reference `r-1`, and names the provider with which it shares ids.
struct ReferenceProvider {
    address_kind: AddressKind,
    shares_ids_with: Option<&'static str>,
}

#[async_trait]
impl Provider for ReferenceProvider {
    async fn send(&self, _: &OutboundMessage) -> SendResult {
        Outcome::Accepted { reference: Some("r-1".to_owned()) }.into()
    }

    fn address_kind(&self) -> AddressKind {
        self.address_kind
    }

    fn shares_ids_with(&self) -> Option<&str> {
        self.shares_ids_with
    }

    fn endpoint(&self) -> (String, u16) {
        ("reference".to_owned(), 0)
    }
}

/// A gateway whose channel `sms` uses the provider `mock-red` only.
struct ReceiptHarness {
    gateway: Gateway,
    message: MessageId,
    _folder: TempDir,
}

impl ReceiptHarness {
    /// Accepts one message and sends it if `is_sent`. The provider `mock-blue` shares the ids of `shares_ids_with`.
    async fn new(shares_ids_with: Option<&'static str>, is_sent: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::test_mode();
        config.channels[0].providers = vec!["mock-red".parse().unwrap()];
        let provider = |shares_ids_with| -> Arc<dyn Provider> {
            Arc::new(ReferenceProvider { address_kind: AddressKind::Phone, shares_ids_with })
        };
        let shares = |name: &str| if name == "mock-red" { None } else { shares_ids_with };
        let names = config.providers.iter().map(|provider| provider.name.clone()).collect::<Vec<_>>();
        let providers = names.iter().map(|name| provider(shares(name.as_str()))).collect();
        let gateway = GatewayBuilder::new(config).providers(providers).wire(&open_store(folder.path())).await;
        let addresses = vec![("sms".to_owned(), PHONE.to_owned())];
        let request = AcceptRequest { addresses, ..request_over("sms") };
        let message = accept::accept(&gateway, request).await.unwrap().id;
        let harness = Self { gateway, message, _folder: folder };
        if is_sent {
            harness.send().await;
        }
        harness
    }

    async fn send(&self) {
        assert_eq!(deliver::step(&self.gateway, 1, Duration::ZERO).await, DeliverStep::Processed(1));
    }

    async fn receive(&self, provider: &str, item: impl Fn(Receipt) -> CallbackItem) {
        let at = self.gateway.clock.now();
        let receipt = Receipt { reference: "r-1".to_owned(), status: ReceiptStatus::Delivered, at };
        let runtime = self.gateway.provider(&provider.parse().unwrap()).unwrap();
        ingest(&self.gateway, runtime, vec![item(receipt)]).await.unwrap();
    }

    async fn state(&self) -> &'static str {
        let message = self.gateway.store.find_message(self.message).await.unwrap().unwrap();
        message.deliveries[0].state.kind().as_str()
    }
}

fn text_receipt(from: &str) -> impl Fn(Receipt) -> CallbackItem {
    let from = from.to_owned();
    move |receipt| CallbackItem::TextReceipt(TextReceipt { receipt, from: from.clone() })
}

#[tokio::test]
async fn a_receipt_in_a_text_is_believed_from_the_recipient_only() {
    let harness = ReceiptHarness::new(None, true).await;
    for from in ["+15005559999", "30001", "", "+989122222223"] {
        harness.receive("mock-red", text_receipt(from)).await;
        assert_eq!(harness.state().await, "sent", "{from}");
    }
    harness.receive("mock-red", text_receipt("989122222222")).await;
    assert_eq!(harness.state().await, "delivered");
}

#[tokio::test]
async fn a_receipt_in_a_text_may_arrive_before_its_send_is_recorded() {
    let harness = ReceiptHarness::new(None, false).await;
    harness.receive("mock-red", text_receipt("+15005559999")).await;
    harness.send().await;
    assert_eq!(harness.state().await, "sent", "a receipt of another phone");
    let harness = ReceiptHarness::new(None, false).await;
    harness.receive("mock-red", text_receipt(PHONE)).await;
    harness.send().await;
    assert_eq!(harness.state().await, "delivered");
}

#[tokio::test]
async fn a_receipt_over_another_account_counts_only_if_the_accounts_share_ids() {
    for (shares_ids_with, state) in [(None, "sent"), (Some("mock-red"), "delivered")] {
        let harness = ReceiptHarness::new(shares_ids_with, true).await;
        harness.receive("mock-blue", CallbackItem::Receipt).await;
        assert_eq!(harness.state().await, state, "{shares_ids_with:?}");
    }
    // Both directions, also before the send is recorded.
    let harness = ReceiptHarness::new(Some("mock-red"), false).await;
    harness.receive("mock-blue", CallbackItem::Receipt).await;
    harness.send().await;
    assert_eq!(harness.state().await, "delivered");
}

#[tokio::test]
async fn a_complaint_counts_for_every_spelling_of_the_address() {
    let folder = TempDir::new().unwrap();
    let mut config = Config::test_mode();
    config.channels[0].name = "email".parse().unwrap();
    config.channels[0].addressing = Addressing::ByProviders(AddressKind::Email);
    let provider = || -> Arc<dyn Provider> {
        Arc::new(ReferenceProvider { address_kind: AddressKind::Email, shares_ids_with: None })
    };
    let builder = GatewayBuilder::new(config).providers(vec![provider(), provider()]);
    let gateway = builder.wire(&open_store(folder.path())).await;
    let notice = OptOutNotice {
        address: "C@B.example".to_owned(),
        reason: "spam complaint: abuse".to_owned(),
        at: gateway.clock.now(),
    };
    let runtime = gateway.provider(&"mock-red".parse().unwrap()).unwrap();
    ingest(&gateway, runtime, vec![CallbackItem::OptedOut(notice)]).await.unwrap();
    let recipient = gateway.store.recipient(&"email".parse().unwrap(), "c@b.example").await.unwrap();
    assert_eq!(recipient.unwrap().status, RecipientStatus::OptedOut);
}
