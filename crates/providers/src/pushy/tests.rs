//! Tests of the adapter against a scripted server that follows the reference.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response};
use postrider_core::clock::{Clock, from_millis};

const NOW_SECONDS: i64 = 1_784_642_585;
const TOKEN: &str = "a6345d0278adc55d3474f5";
const ACCEPTED_BODY: &str = r#"{"success":true,"id":"5ea9b214","info":{"devices":1,"failed":[]}}"#;

fn clock() -> Clock {
    Clock::manual(from_millis(NOW_SECONDS * 1_000))
}

fn pushy_with(stub: &HttpStub, overrides: &str, clock: Clock) -> Pushy {
    let text = format!("api_key = \"hunter2\"\nbase_url = \"http://{}\"\n{overrides}", stub.address);
    let settings = PushySettings::read(text.parse().unwrap()).unwrap();
    let context = AdapterContext { clock, ..conformance::sample_context() };
    Pushy::new(&context, &settings).unwrap()
}

fn pushy(stub: &HttpStub) -> Pushy {
    pushy_with(stub, "", clock())
}

fn push_message() -> OutboundMessage {
    OutboundMessage {
        to: TOKEN.to_owned(),
        expires_at: from_millis((NOW_SECONDS + 600) * 1_000),
        ..conformance::sample_message()
    }
}

async fn send_result_for(act: StubAction) -> SendResult {
    let stub = HttpStub::start(vec![act]).await;
    pushy(&stub).send(&push_message()).await
}

#[tokio::test]
async fn a_message_is_sent_as_the_reference_shows() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let pushy = pushy_with(&stub, "title = \"Acme\"\nsound = \"ping.aiff\"\n[data]\nkind = \"otp\"", clock());
    let result = pushy.send(&OutboundMessage { subject: None, ..push_message() }).await;
    assert_eq!(result.outcome, Outcome::Accepted { reference: Some("5ea9b214".to_owned()) });
    let request = stub.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /push?api_key=hunter2 HTTP/1.1"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    let text = conformance::sample_message().body;
    let expected = json!({
        "to": TOKEN,
        "data": {"message": text, "title": "Acme", "gw_id": gateway_id(&push_message()).to_string(), "kind": "otp"},
        "notification": {"title": "Acme", "body": text, "sound": "ping.aiff"},
        "time_to_live": 600,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn every_documented_code_has_its_outcome() {
    for (status, code, error, outcome) in [
        (400, "NO_RECIPIENTS", "We could not find any devices", "invalid_recipient"),
        (400, "INVALID_PARAM", "The data parameter is invalid", "rejected"),
        (400, "INVALID_PARAM", "The device token is invalid", "invalid_recipient"),
        (400, "PAYLOAD_LIMIT_EXCEEDED", "too long", "rejected"),
        (400, "NO_APNS_AUTH", "Please configure APNs", "unavailable"),
        (401, "INVALID_API_KEY", "no such key", "misconfigured"),
        (403, "AUTH_LIMIT_EXCEEDED", "upgrade", "misconfigured"),
        (403, "ACCOUNT_SUSPENDED", "suspended", "misconfigured"),
        (429, "RATE_LIMIT_EXCEEDED", "slow down", "throttled"),
        (500, "INTERNAL_SERVER_ERROR", "oops", "unavailable"),
        (500, "INTERNAL_ERROR", "oops", "unavailable"),
        (401, "BRAND_NEW", "new error", "misconfigured"),
        (418, "BRAND_NEW", "new error", "rejected"),
        (502, "BRAND_NEW", "new error", "unavailable"),
    ] {
        let body = json!({"code": code, "error": error}).to_string();
        let result = send_result_for(response(status, "", &body)).await;
        assert_eq!(result.outcome.as_str(), outcome, "{code}: {result:?}");
        assert_eq!(result.code.as_deref(), Some(code));
        let shown = format!("{result:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("http:"), "{shown}");
    }
    let suspended = r#"{"code":"ACCOUNT_SUSPENDED","error":"pay first"}"#;
    let result = send_result_for(response(403, "", suspended)).await;
    assert_eq!(result.outcome.reason(), Some("the account is suspended: pay first"));
}

#[tokio::test]
async fn a_success_without_a_device_is_an_invalid_recipient() {
    for (body, outcome) in [
        (r#"{"success":true,"id":"5ea9b214"}"#, "accepted"),
        (r#"{"success":true,"id":"5","info":{"devices":0,"failed":[]}}"#, "invalid_recipient"),
        (
            r#"{"success":true,"id":"5","info":{"devices":1,"failed":["a6345d0278adc55d3474f5"]}}"#,
            "invalid_recipient",
        ),
        (r#"{"success":true,"id":"5","info":{"devices":1,"failed":["another"]}}"#, "accepted"),
        (r#"{"success":false}"#, "unknown"),
        ("<html>Log in to the hotel</html>", "unknown"),
    ] {
        let result = send_result_for(response(200, "", body)).await;
        assert_eq!(result.outcome.as_str(), outcome, "{body}: {result:?}");
    }
    assert_eq!(send_result_for(StubAction::RespondAndClose(Vec::new())).await.outcome.as_str(), "unknown");
}

#[tokio::test]
async fn a_topic_is_not_a_device_token() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let message = OutboundMessage { to: "/topics/all".to_owned(), ..push_message() };
    assert_eq!(pushy(&stub).send(&message).await.outcome.as_str(), "invalid_recipient");
    assert_eq!(stub.requests(), Vec::<String>::new());
}

/// Returns a provider that has sent one message, which stays pending for the first `pending` polls.
async fn provider_after_send(pending: usize) -> (HttpStub, Clock, Pushy) {
    let stub = HttpStub::scripted(move |count, request| {
        if request.starts_with("POST") {
            return response(200, "", ACCEPTED_BODY);
        }
        let pending_devices = if count - 1 <= pending { vec![TOKEN] } else { Vec::new() };
        response(200, "", &json!({"push": {"pending_devices": pending_devices}}).to_string())
    })
    .await;
    let clock = clock();
    let pushy = pushy_with(&stub, "", clock.clone());
    pushy.send(&push_message()).await;
    (stub, clock, pushy)
}

fn only_receipt(items: &[CallbackItem]) -> (&str, &'static str) {
    match items {
        [CallbackItem::Receipt(receipt)] => (&receipt.reference, receipt.status.as_str()),
        other => panic!("not one receipt: {other:?}"),
    }
}

/// Polls until `polls` requests were made, and expects no receipt.
async fn poll_without_receipts(pushy: &Pushy, stub: &HttpStub, polls: usize) {
    let polled = async {
        while stub.requests().len() < polls + 1 {
            postrider_core::clock::sleep(Duration::from_millis(2)).await;
        }
        postrider_core::clock::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        receipts = pushy.receive() => panic!("too early: {receipts:?}"),
        () = polled => {}
    }
}

#[tokio::test]
async fn a_message_is_polled_at_growing_delays_until_it_is_delivered() {
    let (stub, clock, pushy) = provider_after_send(2).await;
    for (wait, polls) in [(5, 1), (25, 2)] {
        clock.advance(Duration::from_secs(wait));
        poll_without_receipts(&pushy, &stub, polls).await;
        assert_eq!(stub.requests().len(), polls + 1);
    }
    clock.advance(Duration::from_secs(270));
    assert_eq!(only_receipt(&pushy.receive().await), ("5ea9b214", "delivered"));
    let request = stub.requests().pop().unwrap();
    assert!(request.starts_with("GET /pushes/5ea9b214?api_key=hunter2"), "{request}");
}

#[tokio::test]
async fn an_expired_pending_message_has_bounced() {
    let (stub, clock, pushy) = provider_after_send(99).await;
    for (wait, polls) in [(5, 1), (25, 2), (270, 3)] {
        clock.advance(Duration::from_secs(wait));
        poll_without_receipts(&pushy, &stub, polls).await;
    }
    clock.advance(Duration::from_secs(305));
    assert_eq!(only_receipt(&pushy.receive().await), ("5ea9b214", "bounced"));
}

#[tokio::test]
async fn the_adapter_conforms_and_checks_its_key() {
    let stub = HttpStub::scripted(|_, request| match request.starts_with("GET /topics?api_key=hunter2 ") {
        true => response(200, "", r#"{"topics":[]}"#),
        false => response(200, "", ACCEPTED_BODY),
    })
    .await;
    let valid = pushy(&stub);
    conformance::check_provider(&valid).await;
    assert_eq!(valid.parse_callback(&conformance::sample_callback()).await, Err(CallbackError::NotSupported));
    assert!(matches!(valid.check_account().await, AccountCheck::Passed(_)));
    let stub = HttpStub::start(vec![response(401, "", r#"{"code":"INVALID_API_KEY","error":"no"}"#)]).await;
    let checked = pushy(&stub).check_account().await;
    assert!(matches!(&checked, AccountCheck::Failed(reason) if reason.contains("api_key")), "{checked:?}");
}

#[test]
fn invalid_settings_are_rejected_with_the_remedy_and_without_secrets() {
    for (text, expected) in [
        ("", "api_key"),
        ("api_key = \" \"", "api_key: is empty"),
        ("api_key = \"a\"\n[data]\nmessage = \"b\"", "data.message"),
        ("api_key = \"a\"\nreceipt_token = \"b\"", "receipt_token"),
    ] {
        let error = PushySettings::read(text.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let settings = crate::ProviderSettings::read("pushy", "api_key = \"hunter2\"".parse().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[tokio::test]
async fn failures_have_the_outcomes_of_the_suite() {
    let context = AdapterContext { limits: conformance::short_limits(), ..conformance::sample_context() };
    let provider_at = |address| -> Arc<dyn Provider> {
        let settings = format!("api_key = \"hunter2\"\nbase_url = \"http://{address}\"");
        let settings = PushySettings::read(settings.parse().unwrap()).unwrap();
        Arc::new(Pushy::new(&context, &settings).unwrap())
    };
    conformance::check_failures(provider_at, &push_message(), &ExpectedOutcomes::default()).await;
}
