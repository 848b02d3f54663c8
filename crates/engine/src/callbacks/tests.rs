//! Tests of keywords in inbound messages: opt-outs by channel and sender, and answers to help.

use std::sync::Arc;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store};
use postrider_core::inbound::InboundMessage;
use postrider_core::keywords::{KeywordRule, KeywordRules, Keywords};
use postrider_core::name::ConfigName;
use postrider_core::recipient::RecipientStatus;
use postrider_providers::Provider;
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
    assert_eq!(harness.status().await, RecipientStatus::Active);
    let silent = KeywordHarness::new(KeywordRules::default()).await;
    silent.receive("+983000", "HELP", "1").await;
    assert!(silent.sent_bodies().await.is_empty());
}
