//! Tests of forwarding inbound messages to real local receivers.

use std::sync::Arc;

use chrono::DateTime;
use tempfile::TempDir;

use super::*;
use crate::config::{Account, ApiKey, ApiKeyEvents, ApiKeyLimits, Config, InboundRoute, Scope, TwilioLogin};
use crate::inbound;
use crate::testing::{FixedOutcomeProvider, GatewayBuilder, open_store};
use postrider_core::inbound::InboundMessage;
use postrider_providers::testing::http_stub::{HttpStub, response};
use postrider_providers::webhook::SigningSecrets;
use postrider_providers::{EgressPolicy, Provider};
use postrider_store::{EventQuery, InboundQuery, MessageQuery};

const PHONE: &str = "+989122222222";

struct ForwardHarness {
    gateway: Gateway,
    client: WebhookClient,
    _folder: TempDir,
}

impl ForwardHarness {
    async fn new(target: InboundRouteTarget) -> Self {
        Self::with_keys(target, Vec::new()).await
    }

    /// Starts a gateway whose only route belongs to the first key, if there is one.
    async fn with_keys(target: InboundRouteTarget, keys: Vec<ApiKey>) -> Self {
        let folder = TempDir::new().unwrap();
        let mut config = Config::test_mode();
        let secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz".to_owned();
        config.events.secrets = SigningSecrets::parse(&[secret]).unwrap();
        let route =
            InboundRoute { name: "orders".to_owned(), target: Some(target), ..InboundRoute::default() };
        let account = keys.first().map(|key| key.name.clone()).unwrap_or_default();
        config.inbound_routes = vec![InboundRoute { account, ..route }];
        config.keys = keys;
        let provider_count = config.providers.len();
        let providers = (0..provider_count).map(|_| {
            let adapter = FixedOutcomeProvider::accepting()
                .with_address_kind(postrider_core::address::AddressKind::Phone);
            Arc::new(adapter) as Arc<dyn Provider>
        });
        let gateway = GatewayBuilder::new(config).providers(providers.collect());
        let gateway = gateway.wire(&open_store(folder.path())).await;
        let policy = EgressPolicy::parse(&["127.0.0.1"], &[443]).unwrap();
        let timeout = Duration::from_secs(5);
        let client = WebhookClient::new(policy, timeout, timeout, None).unwrap();
        Self { gateway, client, _folder: folder }
    }

    /// Stores a text and returns its event.
    async fn receive(&self, body: &str) -> Event {
        self.receive_again(body, "mo-1").await
    }

    async fn receive_again(&self, body: &str, reference: &str) -> Event {
        let message = InboundMessage {
            reference: Some(reference.to_owned()),
            from: PHONE.to_owned(),
            to: "983000".to_owned(),
            body: body.to_owned(),
            at: DateTime::UNIX_EPOCH,
            is_incomplete: false,
        };
        let runtime = self.gateway.provider(&"mock-red".parse().unwrap()).unwrap();
        inbound::store(&self.gateway, runtime, vec![message]).await.unwrap();
        let query = InboundQuery { limit: 10, ..InboundQuery::default() };
        let stored = self.gateway.store.inbound_messages(query).await.unwrap().into_iter();
        let mut stored = stored.filter(|record| record.reference.as_deref() == Some(reference));
        let query =
            EventQuery { message: stored.next().map(|record| record.id), limit: 1, ..EventQuery::default() };
        self.gateway.store.events(query).await.unwrap().remove(0)
    }

    async fn forward(&self, event: &Event) -> CallVerdict {
        forward(&self.gateway, &self.client, event, "orders").await
    }

    async fn state(&self) -> &'static str {
        let query = InboundQuery { limit: 1, ..InboundQuery::default() };
        self.gateway.store.inbound_messages(query).await.unwrap()[0].state()
    }

    async fn sent_bodies(&self) -> Vec<String> {
        let query = MessageQuery { limit: 10, ..MessageQuery::default() };
        let page = self.gateway.store.search(query).await.unwrap();
        page.messages.into_iter().map(|message| message.body).collect()
    }
}

#[tokio::test]
async fn a_webhook_gets_the_signed_event_with_the_text() {
    let stub = HttpStub::start(vec![response(500, "", ""), response(204, "", "")]).await;
    let url = format!("http://{}/in", stub.address);
    let harness = ForwardHarness::new(InboundRouteTarget::Webhook(url)).await;
    let event = harness.receive("Order 17").await;
    assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Retry(None));
    assert_eq!(harness.state().await, "waiting");
    assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Delivered);
    assert_eq!(harness.state().await, "forwarded");
    let requests = stub.requests();
    for text in ["\"type\":\"message.received\"", "\"body\":\"Order 17\"", "\"from\":\"+989122222222\""] {
        assert!(requests[0].contains(text), "{}", requests[0]);
    }
    assert!(requests[1].contains(&format!("webhook-id: {}\r\n", event.id())), "{}", requests[1]);
    assert!(requests[1].contains("webhook-signature: v1,"), "{}", requests[1]);
}

#[tokio::test]
async fn the_answer_of_a_kannel_url_is_the_reply() {
    let plain = "content-type: text/plain; charset=utf-8\r\n";
    let stub = HttpStub::start(vec![response(200, plain, " Thanks for 17.\n")]).await;
    let pattern = format!("http://{}/in?f=%p&t=%P&k=%k&r=%r&n=%n&i=%i&c=%c", stub.address);
    let harness = ForwardHarness::new(InboundRouteTarget::GetUrl(pattern)).await;
    let event = harness.receive("Order 17 & more").await;
    for _ in 0..2 {
        assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Delivered);
    }
    let line =
        "GET /in?f=%2B989122222222&t=983000&k=Order&r=17+%26+more&n=orders&i=mock-red&c=0 HTTP/1.1\r\n";
    assert!(stub.requests()[0].starts_with(line), "{}", stub.requests()[0]);
    assert_eq!(harness.sent_bodies().await, ["Thanks for 17."], "once for two calls");
}

#[tokio::test]
async fn twiml_in_the_answer_to_a_twilio_form_is_the_reply() {
    let twiml = "<Response><Message>Thanks</Message><Message to=\"+989120000000\">other</Message></Response>";
    let stub = HttpStub::start(vec![response(200, "content-type: text/xml\r\n", twiml)]).await;
    let url = format!("http://{}/in#rc=2", stub.address);
    let harness = ForwardHarness::new(InboundRouteTarget::TwilioUrl(url)).await;
    let event = harness.receive("help").await;
    let verdict = harness.forward(&event).await;
    assert_eq!(verdict.outcome, EventOutcome::Delivered);
    assert_eq!(verdict.description, "HTTP 200; reply refused: address");
    let request = &stub.requests()[0];
    assert!(request.starts_with("POST /in HTTP/1.1\r\n"), "{request}");
    let sid = event.message.to_twilio_sid();
    let form = format!(
        "MessageSid={sid}&SmsSid={sid}&SmsMessageSid={sid}&AccountSid=&From=%2B989122222222&To=983000&Body=help&\
         NumMedia=0&NumSegments=1&SmsStatus=received&ApiVersion=2010-04-01&OptOutType=HELP"
    );
    assert!(request.ends_with(&form), "{request}");
    assert_eq!(harness.sent_bodies().await, ["Thanks"]);
}

#[tokio::test]
async fn a_twilio_form_is_signed_with_the_token_of_the_account() {
    let sid = format!("AC{}", "0".repeat(32));
    let login = TwilioLogin { sid: sid.clone(), token: "token of the shop".to_owned() };
    let key = ApiKey {
        name: "shop".to_owned(),
        sha256: None,
        scopes: vec![Scope::Send],
        user_per_hour: None,
        limits: ApiKeyLimits::default(),
        is_shared: false,
        events: ApiKeyEvents::default(),
        account: Account { twilio: Some(login), ..Account::default() },
    };
    let stub = HttpStub::start(vec![response(200, "content-type: text/plain\r\n", "Thanks")]).await;
    let url = format!("http://{}/in?a=1", stub.address);
    let harness = ForwardHarness::with_keys(InboundRouteTarget::TwilioUrl(url.clone()), vec![key]).await;
    let event = harness.receive("hello").await;
    assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Delivered);
    let request = &stub.requests()[0];
    assert!(request.contains(&format!("&AccountSid={sid}&From=")), "{request}");
    let form = request.split_once("\r\n\r\n").unwrap().1;
    let pairs = form_urlencoded::parse(form.as_bytes()).into_owned().collect::<Vec<_>>();
    let signature = postrider_providers::sign_twilio_form("token of the shop", &url, &pairs).unwrap();
    assert!(request.contains(&format!("x-twilio-signature: {signature}\r\n")), "{request}");
    let query = MessageQuery { owner: Some("shop".to_owned()), limit: 10, ..MessageQuery::default() };
    let replies = harness.gateway.store.search(query).await.unwrap().messages;
    assert_eq!(replies.iter().map(|message| message.body.as_str()).collect::<Vec<_>>(), ["Thanks"]);
}

#[tokio::test]
async fn the_user_throttle_ends_a_conversation_of_two_programs() {
    let stub = HttpStub::start(vec![response(200, "content-type: text/plain\r\n", "Thanks")]).await;
    let mut harness =
        ForwardHarness::new(InboundRouteTarget::GetUrl(format!("http://{}/in", stub.address))).await;
    harness.gateway.config.user_per_hour = 1;
    let mut descriptions = Vec::new();
    for reference in ["mo-1", "mo-2"] {
        let event = harness.receive_again("hello", reference).await;
        descriptions.push(harness.forward(&event).await.description);
    }
    assert_eq!(descriptions, ["HTTP 200", "HTTP 200; reply refused: throttled"]);
}

#[tokio::test]
async fn an_answer_without_a_text_is_no_reply() {
    for (target, answer) in [
        (InboundRouteTarget::GetUrl as fn(String) -> _, response(200, "content-type: image/png\r\n", "x")),
        (InboundRouteTarget::GetUrl, response(200, "", "  ")),
        (InboundRouteTarget::GetUrl, response(204, "", "")),
        (InboundRouteTarget::TwilioUrl, response(200, "content-type: text/xml\r\n", "<Response/>")),
        (InboundRouteTarget::TwilioUrl, response(200, "content-type: text/html\r\n", "<p>hi</p>")),
    ] {
        let stub = HttpStub::start(vec![answer]).await;
        let harness = ForwardHarness::new(target(format!("http://{}/in", stub.address))).await;
        let event = harness.receive("hello").await;
        assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Delivered);
        assert!(harness.sent_bodies().await.is_empty());
    }
}

#[tokio::test]
async fn a_text_is_forwarded_over_a_channel_once() {
    let email =
        InboundRouteTarget::Email { channel: "sms".parse().unwrap(), address: "+989123333333".to_owned() };
    let harness = ForwardHarness::new(email).await;
    let event = harness.receive("hello").await;
    for _ in 0..2 {
        assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Delivered);
    }
    assert_eq!(harness.sent_bodies().await, ["hello"]);
    assert_eq!(harness.state().await, "forwarded");
}

#[tokio::test]
async fn what_cannot_be_forwarded_is_dead() {
    let url = InboundRouteTarget::Webhook("http://10.0.0.1/in".to_owned());
    let harness = ForwardHarness::new(url).await;
    let event = harness.receive("hello").await;
    assert_eq!(harness.forward(&event).await.outcome, EventOutcome::Dead);
    let verdict = forward(&harness.gateway, &harness.client, &event, "gone").await;
    assert_eq!(verdict.description, "inbound route gone is not configured");
    harness.gateway.store.delete_expired(DateTime::<chrono::Utc>::MAX_UTC, event.at, 10).await.unwrap();
    let verdict = harness.forward(&event).await;
    assert_eq!((verdict.outcome, harness.sent_bodies().await.len()), (EventOutcome::Dead, 0));
}
