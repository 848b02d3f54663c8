//! Fixtures for the tests of SMS adapters: accounts at a stub, and readable forms of their results.
//!
//! The adapters are constructed through the registry, as the gateway constructs them.

use std::sync::Arc;
use std::time::Duration;

use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;
use postrider_core::inbound::{CallbackItem, InboundMessage};

use super::conformance::{self, ExpectedOutcomes};
use super::http_stub::{HttpStub, response};
use crate::{AdapterContext, CallbackError, CallbackRequest, OutboundMessage, Provider, ProviderSettings};

/// The gateway's public URL.
pub const PUBLIC_URL: &str = "https://gw.example.org";

/// Returns an account of that kind with the name `blue`.
pub fn sms_provider(kind: &str, settings: &str) -> Arc<dyn Provider> {
    sms_provider_with(kind, settings, &conformance::sample_context())
}

/// Returns an account of that kind, constructed with that context.
pub fn sms_provider_with(kind: &str, settings: &str, context: &AdapterContext) -> Arc<dyn Provider> {
    let settings = ProviderSettings::read(kind, settings.parse().unwrap()).unwrap();
    settings.build(context).unwrap()
}

/// Returns an account whose API is at the stub.
pub fn sms_provider_at(stub: &HttpStub, kind: &str, settings: &str) -> Arc<dyn Provider> {
    sms_provider(kind, &with_base_url(settings, stub.address))
}

fn with_base_url(settings: &str, address: std::net::SocketAddr) -> String {
    format!("{settings}\nbase_url = \"http://{address}\"")
}

/// Returns the error of invalid settings.
pub fn settings_error(kind: &str, settings: &str) -> String {
    let settings = ProviderSettings::read(kind, settings.parse().unwrap());
    settings.map(|_| ()).unwrap_err().to_string()
}

/// Sends one message to a stub with this response. Returns the result and the request.
pub async fn send_to_stub(kind: &str, settings: &str, status: u16, body: &str) -> (SendResult, String) {
    let stub = HttpStub::start(vec![response(status, "", body)]).await;
    let result = sms_provider_at(&stub, kind, settings).send(&sms_message()).await;
    (result, stub.requests().remove(0))
}

/// Checks outcome and code for each response (status, body).
pub async fn expect_outcomes(kind: &str, settings: &str, cases: &[(u16, &str, &str, &str)]) {
    for (status, body, outcome, code) in cases {
        let (result, _) = send_to_stub(kind, settings, *status, body).await;
        let found = (result.outcome.as_str(), result.code.as_deref().unwrap_or("none"));
        assert_eq!(found, (*outcome, *code), "{status} {body}");
    }
}

/// Checks the outcome of every HTTP status without a body: that of the shared table but for `overrides`.
pub async fn expect_status_table(kind: &str, settings: &str, overrides: &[(u16, &str)]) {
    for (status, outcome) in conformance::STATUS_OUTCOMES {
        let outcome = conformance::overridden(overrides, status, outcome);
        let (result, _) = send_to_stub(kind, settings, status, "").await;
        assert_eq!(result.outcome.as_str(), outcome, "{kind}: HTTP {status}");
    }
}

/// Returns a message that is valid for two hours.
pub fn sms_message() -> OutboundMessage {
    OutboundMessage {
        body: "Your code is 4711".to_owned(),
        expires_at: Clock::System.now() + Duration::from_secs(7_200),
        ..conformance::sample_message()
    }
}

/// Returns the fields of the form in a request.
pub fn request_form(request: &str) -> Vec<(String, String)> {
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

/// Returns a callback with this query, these headers and a form.
pub fn form_callback(query: &str, headers: &[(&str, &str)], body: &str) -> CallbackRequest {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let separator = if query.is_empty() { "" } else { "?" };
    CallbackRequest {
        url: format!("{PUBLIC_URL}/v1/receipts/blue{separator}{query}"),
        query: query.to_owned(),
        headers: headers.collect(),
        body: body.into(),
        ..conformance::sample_callback()
    }
}

/// Describes each item or the error: `delivered a`, `bounced a: why`, `+98… writes STOP`, `+98… opted out: why`.
pub fn describe_items(parsed: Result<Vec<CallbackItem>, CallbackError>) -> Vec<String> {
    let describe = |item| match item {
        CallbackItem::Receipt(receipt) => {
            let reason = receipt.status.reason().map(|reason| format!(": {reason}"));
            let (status, reference) = (receipt.status.as_str(), receipt.reference);
            format!("{status} {reference}{}", reason.unwrap_or_default())
        }
        CallbackItem::InboundMessage(message) => format!("{} writes {}", message.from, message.body),
        CallbackItem::LateAcceptance(late) => format!("late answer for {}", late.delivery),
        CallbackItem::OptedOut(notice) => format!("{} opted out: {}", notice.address, notice.reason),
        other => format!("{other:?}"),
    };
    match parsed {
        Ok(items) => items.into_iter().map(describe).collect(),
        Err(CallbackError::Unauthenticated) => vec!["unauthenticated".to_owned()],
        Err(CallbackError::Malformed(reason)) => vec![format!("malformed: {reason}")],
        Err(CallbackError::NotSupported) => vec!["not supported".to_owned()],
        Err(CallbackError::Unavailable(reason)) => vec![format!("unavailable: {reason}")],
    }
}

/// Returns the only item, an inbound message.
pub fn only_inbound_message(parsed: Result<Vec<CallbackItem>, CallbackError>) -> InboundMessage {
    match parsed.unwrap().as_slice() {
        [CallbackItem::InboundMessage(message)] => message.clone(),
        other => panic!("no inbound message: {other:?}"),
    }
}

/// Runs the conformance suite for an account of that kind.
pub async fn check_sms_provider(kind: &str, settings: &str, accepted_body: &str, message: &OutboundMessage) {
    let stub = HttpStub::start(vec![response(200, "", accepted_body)]).await;
    conformance::check_provider(&*sms_provider_at(&stub, kind, settings)).await;
    let context = AdapterContext { limits: conformance::short_limits(), ..conformance::sample_context() };
    let provider_at = |address| sms_provider_with(kind, &with_base_url(settings, address), &context);
    conformance::check_failures(provider_at, message, &ExpectedOutcomes::default()).await;
}
