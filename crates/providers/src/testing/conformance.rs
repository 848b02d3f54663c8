//! The conformance suite: the behaviour that every adapter must have, whatever its provider.
//!
//! A failure is an outcome, never an error and never a panic. A provider that cannot be reached is `unavailable`, because
//! the next one can be tried at once; no response, and a response that confirms nothing, are `unknown`, because the message
//! may have been sent. A callback that is not genuine never gives an item. The outcomes of a provider's own codes are
//! tested by each adapter.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;

use postrider_core::attempt::Outcome;
use postrider_core::clock::{Clock, from_millis};
use postrider_core::id::{DeliveryId, MessageId};

use super::http_stub::{HttpStub, StubAction, response};
use crate::{AdapterContext, CallLimits, CallbackRequest, HttpClientPool, OutboundMessage, Provider};

/// Every kind of HTTP status and its outcome in the shared table, for a response without a body.
pub const STATUS_OUTCOMES: [(u16, &str); 32] = [
    (200, "unknown"),
    (201, "unknown"),
    (202, "unknown"),
    (204, "unknown"),
    (299, "unknown"),
    (300, "unavailable"),
    (301, "unavailable"),
    (302, "unavailable"),
    (303, "unknown"),
    (307, "unavailable"),
    (308, "unavailable"),
    (400, "rejected"),
    (401, "misconfigured"),
    (402, "unavailable"),
    (403, "misconfigured"),
    (404, "unavailable"),
    (405, "unavailable"),
    (406, "unavailable"),
    (407, "unavailable"),
    (408, "unavailable"),
    (409, "rejected"),
    (410, "unavailable"),
    (413, "rejected"),
    (415, "unavailable"),
    (422, "rejected"),
    (425, "unavailable"),
    (429, "throttled"),
    (451, "rejected"),
    (500, "unavailable"),
    (501, "unavailable"),
    (503, "unavailable"),
    (600, "unknown"),
];

/// Returns the outcome of a status in `overrides`, or else `outcome`.
pub fn overridden<'a>(overrides: &[(u16, &'a str)], status: u16, outcome: &'a str) -> &'a str {
    let found = overrides.iter().find(|(known, _)| *known == status);
    found.map_or(outcome, |(_, outcome)| outcome)
}

/// The outcomes of failures that every network adapter must recognise.
#[derive(Clone, Copy, Debug)]
pub struct ExpectedOutcomes {
    /// No connection.
    pub dead_port: &'static str,
    /// The request was read, and no response follows.
    pub no_response: &'static str,
    /// A response with status 200 that is not in the provider's format.
    pub garbage: &'static str,
    /// A response with status 200 and JSON without the provider's confirmation.
    pub unconfirmed: &'static str,
}

impl Default for ExpectedOutcomes {
    fn default() -> Self {
        Self { dead_port: "unavailable", no_response: "unknown", garbage: "unknown", unconfirmed: "unknown" }
    }
}

/// Returns limits that a slow machine can keep.
pub fn sample_limits() -> CallLimits {
    CallLimits {
        connect_timeout: Duration::from_secs(5),
        call_timeout: Duration::from_secs(20),
        response_bytes_max: 64 * 1024,
    }
}

/// Returns limits for tests that wait for a time-out.
pub fn short_limits() -> CallLimits {
    CallLimits {
        connect_timeout: Duration::from_millis(200),
        call_timeout: Duration::from_millis(400),
        ..sample_limits()
    }
}

/// Returns the context of a provider `blue` with the system clock.
pub fn sample_context() -> AdapterContext {
    AdapterContext {
        name: "blue".parse().unwrap(),
        limits: sample_limits(),
        public_url: "https://gw.example.org".to_owned(),
        callback_token: "t-1".to_owned(),
        http_clients: HttpClientPool::new().unwrap(),
        clock: Clock::System,
    }
}

/// Returns a text message to a phone number.
pub fn sample_message() -> OutboundMessage {
    OutboundMessage {
        delivery_id: DeliveryId::from_position(7, 1),
        message_id: MessageId::new(from_millis(1_700_000_000_000), [7; 10]),
        round: 2,
        to: "+989122222222".to_owned(),
        spelling: "0912 222 2222".to_owned(),
        registered_at: None,
        subject: Some("Grüße & 50%".to_owned()),
        sender: None,
        body: "Hello, wörld & 100% \"سلام\"".to_owned(),
        parts: 1,
        expires_at: from_millis(1_700_000_000_000 + 86_400_000),
    }
}

/// Returns a callback without content.
pub fn sample_callback() -> CallbackRequest {
    CallbackRequest {
        method: "POST".to_owned(),
        url: "https://postrider.example/v1/receipts/blue".to_owned(),
        received_at: from_millis(1_700_000_000_000),
        ..CallbackRequest::default()
    }
}

/// Checks that no message makes the adapter panic, that every failure has a reason on one line, and that garbage callbacks
/// are rejected.
pub async fn check_provider(provider: &dyn Provider) {
    check_unusual_messages(provider).await;
    check_garbage_callbacks(provider).await;
    assert!(!provider.endpoint().0.is_empty(), "the endpoint is shown to operators");
}

/// Checks the outcomes of a provider that cannot be reached, does not respond, or responds with garbage.
///
/// `provider_at` constructs the adapter for a server at this address, with [`short_limits`]. `message` is one that the
/// adapter sends.
pub async fn check_failures(
    provider_at: impl Fn(SocketAddr) -> Arc<dyn Provider>,
    message: &OutboundMessage,
    expected: &ExpectedOutcomes,
) {
    let dead_port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    expect_outcome(&*provider_at(dead_port), message, expected.dead_port, "dead port").await;
    for action in [
        StubAction::RespondAndStall(Vec::new()),
        StubAction::RespondAndClose(Vec::new()),
        StubAction::RespondAndClose(b"HTTP/1.1 200".to_vec()),
        StubAction::RespondAndClose(b"220 mail.example ESMTP\r\n".to_vec()),
    ] {
        let stub = HttpStub::start(vec![action.clone()]).await;
        let case = format!("{action:?}");
        expect_outcome(&*provider_at(stub.address), message, expected.no_response, &case).await;
        assert_eq!(stub.requests().len(), 1, "{case}: a send is never repeated");
    }
    let garbage = ["", "<html>OK</html>", "{\"", "OK"].map(|body| (body, expected.garbage));
    let unconfirmed = ["{}", "[]", "null"].map(|body| (body, expected.unconfirmed));
    for (body, outcome) in garbage.into_iter().chain(unconfirmed) {
        let stub = HttpStub::start(vec![response(200, "", body)]).await;
        let case = format!("200 {body:?}");
        expect_outcome(&*provider_at(stub.address), message, outcome, &case).await;
    }
}

async fn expect_outcome(provider: &dyn Provider, message: &OutboundMessage, outcome: &str, case: &str) {
    let result = provider.send(message).await;
    assert_eq!(result.outcome.as_str(), outcome, "{case}: {result:?}");
}

async fn check_unusual_messages(provider: &dyn Provider) {
    let huge = "ab \u{1F600}".repeat(20_000);
    let control = (0..0x20_u8).map(char::from).collect::<String>();
    let odd = "{to} {{body}} ${env:HOME} %00 <&\"'> \\ \u{202e}\u{feff}\u{ffff} \r\n.\r\n";
    for body in ["", ".", "..", "../..", odd, &control, &huge] {
        check_result(
            provider,
            &OutboundMessage {
                subject: Some(body.replace(['\r', '\n'], " ")),
                sender: None,
                body: body.to_owned(),
                ..sample_message()
            },
        )
        .await;
    }
    for to in ["", "..", "\r\nX: y", "anna@example.org", "+98 912 \"'"] {
        check_result(
            provider,
            &OutboundMessage {
                to: to.to_owned(),
                spelling: to.to_owned(),
                subject: None,
                sender: None,
                ..sample_message()
            },
        )
        .await;
    }
}

/// Checks that a failure has a reason, and that a reason is one short line.
async fn check_result(provider: &dyn Provider, message: &OutboundMessage) {
    let result = provider.send(message).await;
    let has_no_reason = matches!(result.outcome, Outcome::Accepted { .. } | Outcome::Throttled { .. });
    let reason = result.outcome.reason().unwrap_or_default();
    assert!(has_no_reason || !reason.is_empty(), "{result:?}");
    assert!(!reason.contains(char::is_control), "{result:?}");
    assert!(reason.chars().count() <= 400, "{result:?}");
}

async fn check_garbage_callbacks(provider: &dyn Provider) {
    let deep = "[".repeat(100_000);
    for body in ["", "null", "{}", "[]", "{\"status\":", "\u{0}\u{0}", "%zz=%", "a=b&c", &deep] {
        expect_rejected(provider, &CallbackRequest { body: body.into(), ..sample_callback() }).await;
        expect_rejected(provider, &CallbackRequest { query: body.into(), ..sample_callback() }).await;
    }
    expect_rejected(provider, &CallbackRequest { body: vec![0xff, 0xfe, 0x80], ..sample_callback() }).await;
}

async fn expect_rejected(provider: &dyn Provider, request: &CallbackRequest) {
    let parsed = provider.parse_callback(request).await;
    assert!(parsed.is_err(), "{request:?} gave {parsed:?}");
}
