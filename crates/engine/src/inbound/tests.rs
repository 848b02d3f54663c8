//! Tests of stored inbound messages: routes, accounts, answered messages and keyword replies.

use std::sync::Arc;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::config::{Config, InboundRouteTarget};
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store};
use postrider_core::inbound_record::InboundTarget;
use postrider_core::keywords::{KeywordRule, KeywordRules};
use postrider_providers::Provider;
use postrider_store::{EventQuery, InboundQuery};

const PHONE: &str = "+989122222222";

struct InboundHarness {
    gateway: Gateway,
    _folder: TempDir,
}

impl InboundHarness {
    async fn new(change: impl FnOnce(&mut Config)) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::test_mode();
        change(&mut config);
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

    /// Receives a text and returns what is stored of it.
    async fn receive(&self, body: &str, reference: &str) -> InboundRecord {
        let message = InboundMessage {
            reference: Some(reference.to_owned()),
            from: "09122222222".to_owned(),
            to: "+983000".to_owned(),
            body: body.to_owned(),
            at: DateTime::UNIX_EPOCH,
            is_incomplete: false,
        };
        let runtime = self.gateway.provider(&"mock-red".parse().unwrap()).unwrap();
        store(&self.gateway, runtime, vec![message]).await.unwrap();
        let mut stored = self.stored().await.into_iter();
        stored.find(|record| record.reference.as_deref() == Some(reference)).unwrap()
    }

    async fn stored(&self) -> Vec<InboundRecord> {
        let query = InboundQuery { limit: 10, ..InboundQuery::default() };
        self.gateway.store.inbound_messages(query).await.unwrap()
    }

    async fn sent_bodies(&self) -> Vec<String> {
        let query = MessageQuery { limit: 10, ..MessageQuery::default() };
        let page = self.gateway.store.search(query).await.unwrap();
        page.messages.into_iter().map(|message| message.body).collect()
    }
}

fn confirming_keywords() -> KeywordRules {
    let mut keywords = Keywords::default();
    keywords.opt_out_reply = Some("You get no more messages.".to_owned());
    keywords.opt_in_reply = Some("Welcome back.".to_owned());
    KeywordRules::new(vec![KeywordRule { channel: None, sender: None, keywords }])
}

#[tokio::test]
async fn a_text_is_stored_once_with_its_normalised_sender() {
    let harness = InboundHarness::new(|_| ()).await;
    let record = harness.receive("Hello", "mo-1").await;
    assert_eq!((record.from.as_str(), record.to.as_str(), record.body.as_str()), (PHONE, "+983000", "Hello"));
    assert_eq!((record.action, record.state(), record.account.as_str()), (InboundAction::None, "kept", ""));
    assert_eq!(record.channel.map(|name| name.to_string()).as_deref(), Some("sms"));
    harness.receive("Hello", "mo-1").await;
    assert_eq!(harness.stored().await.len(), 1);
}

#[tokio::test]
async fn the_first_route_that_fits_owns_the_text_and_makes_an_event() {
    let harness = InboundHarness::new(|config| {
        let route = |name: &str, keyword: &str, target| InboundRoute {
            name: name.to_owned(),
            keywords: vec![keyword.to_owned()],
            account: "shop".to_owned(),
            target,
            ..InboundRoute::default()
        };
        let url = "https://shop.example/in".to_owned();
        config.inbound_routes =
            vec![route("orders", "order", Some(InboundRouteTarget::Webhook(url))), route("rest", "hi", None)];
    })
    .await;
    let routed = harness.receive("Order 17", "1").await;
    assert_eq!((routed.route.as_deref(), routed.account.as_str()), (Some("orders"), "shop"));
    assert_eq!((routed.target, routed.state()), (Some(InboundTarget::Webhook), "waiting"));
    let kept = harness.receive("hi", "2").await;
    assert_eq!((kept.route.as_deref(), kept.state()), (Some("rest"), "kept"));
    let query = EventQuery { limit: 10, ..EventQuery::default() };
    let events = harness.gateway.store.events(query).await.unwrap();
    assert_eq!(events.iter().map(|event| event.message).collect::<Vec<_>>(), [routed.id]);
}

#[tokio::test]
async fn a_text_answers_the_last_message_that_was_sent_to_its_sender() {
    let harness = InboundHarness::new(|_| ()).await;
    assert_eq!(harness.receive("who is it?", "1").await.in_reply_to, None);
    let request = AcceptRequest {
        body: "Your parcel is here.".to_owned(),
        addresses: vec![("sms".to_owned(), PHONE.to_owned())],
        ..AcceptRequest::default()
    };
    let accepted = accept::accept(&harness.gateway, request).await.unwrap();
    assert_eq!(harness.receive("not sent yet", "2").await.in_reply_to, None);
    crate::deliver::step(&harness.gateway, 10, std::time::Duration::ZERO).await;
    assert_eq!(harness.receive("thank you", "3").await.in_reply_to, Some(accepted.id));
}

#[tokio::test]
async fn an_opt_out_and_an_opt_in_are_confirmed_once_per_change() {
    let harness = InboundHarness::new(|config| config.keywords = confirming_keywords()).await;
    for (body, reference) in
        [("STOP", "1"), ("STOP", "1"), ("Stop!", "2"), ("START", "3"), ("START", "4"), ("STOP", "5")]
    {
        harness.receive(body, reference).await;
    }
    let mut bodies = harness.sent_bodies().await;
    bodies.reverse();
    let (stopped, started) = ("You get no more messages.", "Welcome back.");
    assert_eq!(bodies, [stopped, started, stopped]);
    let stored = harness.stored().await;
    let count = |action| stored.iter().filter(|record| record.action == action).count();
    assert_eq!((count(InboundAction::OptOut), count(InboundAction::OptIn)), (3, 2));
}

#[tokio::test]
async fn a_text_that_lacks_a_part_is_stored_as_such() {
    let harness = InboundHarness::new(|_| ()).await;
    let message = InboundMessage {
        reference: None,
        from: PHONE.to_owned(),
        to: "3000".to_owned(),
        body: "begin".to_owned(),
        at: DateTime::UNIX_EPOCH,
        is_incomplete: true,
    };
    let runtime = harness.gateway.provider(&"mock-red".parse().unwrap()).unwrap();
    store(&harness.gateway, runtime, vec![message]).await.unwrap();
    assert!(harness.stored().await[0].is_incomplete);
}
