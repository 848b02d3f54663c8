//! The adapter against a stub: two APIs by configuration alone, and every kind of failure.

use std::sync::Arc;
use std::time::Duration;

mod failures;

use super::*;
use crate::CallLimits;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response, response_bytes};
use postrider_core::receipt::{Receipt, ReceiptStatus};

fn http_provider(settings: &str, limits: &CallLimits) -> HttpProvider {
    let settings = read_settings(settings.parse().unwrap()).unwrap();
    let context = AdapterContext {
        limits: limits.clone(),
        public_url: "https://postrider.example".to_owned(),
        ..conformance::sample_context()
    };
    HttpProvider::new(&context, &settings).unwrap()
}

/// Sends a message by a minimal configuration to a stub with this action.
async fn outcome_of(action: StubAction) -> Outcome {
    outcome_with("", action, &conformance::sample_limits()).await
}

async fn outcome_with(more: &str, action: StubAction, limits: &CallLimits) -> Outcome {
    let stub = HttpStub::start(vec![action]).await;
    let settings =
        format!("url = \"http://{}/send\"\nform = {{ text = \"{{body}}\" }}\n{more}", stub.address);
    let outcome = http_provider(&settings, limits).send(&conformance::sample_message()).await.outcome;
    assert_eq!(stub.requests().len(), 1, "a send is never repeated");
    outcome
}

#[tokio::test]
async fn system_a_needs_configuration_only() {
    let stub = HttpStub::start(vec![response(202, "", "done"), response(500, "", "no")]).await;
    let provider = http_provider(
        &format!("url = \"http://{}/sms/send/?number={{spelling}}&body={{body}}\"", stub.address),
        &conformance::sample_limits(),
    );
    let first = provider.send(&conformance::sample_message()).await;
    let second = provider.send(&conformance::sample_message()).await;
    assert_eq!(first.outcome, Outcome::Accepted { reference: None });
    assert_eq!(second.outcome, Outcome::Unavailable { reason: "no".to_owned() });
    assert_eq!(second.code.as_deref(), Some("HTTP 500"));
    assert_eq!(provider.endpoint(), ("127.0.0.1".to_owned(), stub.address.port()));
    let request = &stub.requests()[0];
    let target =
        "GET /sms/send/?number=0912%20222%202222&body=Hello%2C%20w%C3%B6rld%20%26%20100%25%20%22%D8%B3";
    assert!(request.starts_with(target), "{request}");
}

const SYSTEM_C: &str = r#"
    reference = "json:message_id"
    receipts = "texting"
    [json]
    to_number = "{spelling}"
    message = "{body}"
    callback_url = "{delivery_status_url}"
"#;

/// The receipts of system C, at `/v1/receipts/NAME`.
const RECEIPTS_OF_SYSTEM_C: &str = r#"
    [receipts]
    unsigned = true
    reference = "any:message_id"
    status = "any:status"
    delivered = ["delivered"]
    bounced = ["failed"]
    invalid = ["invalid"]
"#;

#[tokio::test]
async fn system_c_needs_configuration_only() {
    let taken = response(200, "", r#"{"message_id":"a09acfb6"}"#);
    let stub = HttpStub::start(vec![taken, response(500, "", "anything")]).await;
    let provider = http_provider(
        &format!("url = \"http://{}/texts\"\n{SYSTEM_C}", stub.address),
        &conformance::sample_limits(),
    );
    let message = conformance::sample_message();
    let first = provider.send(&message).await.outcome;
    let second = provider.send(&message).await.outcome;
    assert_eq!(first, Outcome::Accepted { reference: Some("a09acfb6".to_owned()) });
    assert!(second.is_about_provider());
    let (head, body) =
        stub.requests()[0].split_once("\r\n\r\n").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(
        head.starts_with("POST /texts HTTP/1.1") && head.contains("content-type: application/json"),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let wanted = serde_json::json!({
        "to_number": message.spelling, "message": message.body,
        "callback_url": "https://postrider.example/messages/delivery_status?token=t-1",
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn callbacks_are_disabled_unless_configured() {
    const TABLE: &str = "[receipts]\nreference = \"any:id\"\nstatus = \"any:s\"\ndelivered = [\"d\"]\n";
    for (more, callbacks) in [
        (String::new(), CallbackMode::Disabled),
        ("receipts = \"texting\"".to_owned(), CallbackMode::Texting),
        (format!("{TABLE}unsigned = true"), CallbackMode::Unsigned),
        (format!("{TABLE}token = \"s3 cret\""), CallbackMode::Authenticated),
        (format!("{TABLE}hmac = {{ header = \"x\", secret = \"s\" }}"), CallbackMode::Authenticated),
    ] {
        let provider = http_provider(
            &format!("url = \"http://127.0.0.1:9/texts\"\n{more}"),
            &conformance::sample_limits(),
        );
        assert_eq!(provider.callback_mode(), callbacks, "{more}");
        let is_supported = callbacks == CallbackMode::Unsigned || callbacks == CallbackMode::Authenticated;
        let refused = provider.parse_callback(&conformance::sample_callback()).await
            == Err(CallbackError::NotSupported);
        assert_eq!(refused, !is_supported, "{more}");
    }
}

#[tokio::test]
async fn receipts_of_system_c_are_parsed_from_json_and_from_a_form() {
    let provider = http_provider(
        &format!("url = \"http://127.0.0.1:9/texts\"\n{RECEIPTS_OF_SYSTEM_C}"),
        &conformance::sample_limits(),
    );
    for body in [r#"{"status":"delivered","message_id":"a09"}"#, "status=delivered&message_id=a09"] {
        let receipts = provider
            .parse_callback(&CallbackRequest { body: body.into(), ..conformance::sample_callback() })
            .await
            .unwrap();
        let expected = CallbackItem::Receipt(Receipt {
            reference: "a09".to_owned(),
            status: ReceiptStatus::Delivered,
            at: conformance::sample_callback().received_at,
        });
        assert_eq!(receipts, [expected]);
    }
}

#[tokio::test]
async fn conforms_to_the_suite() {
    let stub = HttpStub::start(vec![response(200, "", r#"{"message_id":"a"}"#)]).await;
    let url = format!("http://{}", stub.address);
    for settings in [
        format!("url = \"{url}/?to={{to}}&text={{body}}\""),
        format!("url = \"{url}/{{to}}/{{body}}\""),
        format!("url = \"{url}\"\nheaders = {{ X-Text = \"{{body}}\" }}"),
        format!("url = \"{url}\"\nform = {{ text = \"{{body}}\" }}"),
        format!("url = \"{url}\"\n{SYSTEM_C}"),
        "url = \"http://127.0.0.1:1/\"".to_owned(),
    ] {
        conformance::check_provider(&http_provider(&settings, &conformance::sample_limits())).await;
    }
    let provider_at = |address| -> Arc<dyn Provider> {
        let settings = format!("url = \"http://{address}/texts\"\n{SYSTEM_C}");
        Arc::new(http_provider(&settings, &conformance::short_limits()))
    };
    let message = conformance::sample_message();
    // A success needs the JSON of its reference, but not the reference itself.
    let expected = ExpectedOutcomes { unconfirmed: "accepted", ..ExpectedOutcomes::default() };
    conformance::check_failures(provider_at, &message, &expected).await;
}

#[tokio::test]
async fn a_message_that_fits_no_url_or_header_is_rejected_and_not_sent() {
    let stub = HttpStub::start(vec![response(200, "", "")]).await;
    let body = |body: &str| OutboundMessage { body: body.to_owned(), ..conformance::sample_message() };
    for (settings, body) in [
        ("url = \"http://{}/?b={body}\"", body(&"x".repeat(100_000))),
        ("url = \"http://{}/{body}/x\"", body("..")),
        ("url = \"http://{}/\"\nheaders = { X-Text = \"{body}\" }", body("a\r\nX-Other: b")),
    ] {
        let provider =
            http_provider(&settings.replace("{}", &stub.address.to_string()), &conformance::sample_limits());
        assert_eq!(provider.send(&body).await.outcome.as_str(), "rejected", "{settings}");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn a_rule_maps_a_response_to_an_outcome() {
    let rules = r#"
        reference = "json:messages.0.id"
        code = "json:messages.0.status"
        reason = "json:messages.0.text"
        [[rules]]
        body = "json:messages.0.status=6"
        outcome = "invalid_recipient"
        [[rules]]
        status = "2xx"
        body = "json:messages.0.status!=0"
        outcome = "rejected"
        [[rules]]
        status = "404, 500-502"
        outcome = "deferred"
        retry_after = "5m"
        reason = "handset off"
        [[rules]]
        status = "403"
        body = "slow down"
        outcome = "throttled"
    "#;
    let limits = conformance::sample_limits();
    let message = |status: &str| {
        let body = serde_json::json!({"messages": [{"id": "m-1", "status": status, "text": "so it is"}]});
        response_bytes(200, "", &body.to_string())
    };
    let reason = || "so it is".to_owned();
    let deferred =
        Outcome::Deferred { reason: "handset off".to_owned(), retry_after: Some(Duration::from_secs(300)) };
    for (bytes, outcome) in [
        (message("0"), Outcome::Accepted { reference: Some("m-1".to_owned()) }),
        (message("6"), Outcome::InvalidRecipient { reason: reason() }),
        (message("9"), Outcome::Rejected { reason: reason() }),
        (response_bytes(404, "", ""), deferred),
        (response_bytes(403, "", "please slow down!"), Outcome::Throttled { retry_after: None }),
    ] {
        assert_eq!(outcome_with(rules, StubAction::Respond(bytes), &limits).await, outcome);
    }
    let outcome = outcome_with(rules, response(200, "", "<html>"), &limits).await;
    assert_eq!(outcome.as_str(), "unknown", "a success without the JSON of its reference is not confirmed");
}

#[tokio::test]
async fn a_success_without_a_body_is_accepted_where_no_body_is_needed() {
    let with_reference = "reference = \"json:id\"";
    let with_rule = "reference = \"json:id\"\n[[rules]]\nstatus = \"202\"\noutcome = \"accepted\"";
    for (settings, status, expected) in
        [(with_reference, 204, "accepted"), (with_reference, 202, "unknown"), (with_rule, 202, "accepted")]
    {
        let outcome = outcome_with(settings, response(status, "", ""), &conformance::sample_limits()).await;
        assert_eq!(outcome.as_str(), expected, "{status}");
    }
}

#[tokio::test]
async fn a_reference_is_found_at_every_kind_of_location() {
    for (location, headers, body) in [
        ("header:X-Id", "x-id: m-1\r\n", ""),
        ("body", "", " m-1\n"),
        ("regex:id=([a-z0-9-]+)", "", "ok id=m-1;"),
        ("json:id", "", r#"{"id":"m-1"}"#),
    ] {
        let settings = format!("reference = \"{location}\"");
        let outcome =
            outcome_with(&settings, response(200, headers, body), &conformance::sample_limits()).await;
        assert_eq!(outcome, Outcome::Accepted { reference: Some("m-1".to_owned()) }, "{location}");
    }
}
