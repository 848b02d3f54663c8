//! Tests of the adapter against a scripted server that follows the reference, and of signed webhooks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response};
use postrider_core::clock::from_millis;

const NOW_MILLIS: i64 = 1_784_642_585_000;
const ACCEPTED_BODY: &str = r#"{"recipient_id":"7263","message_id":"m_AG5"}"#;

fn messenger(base: &str, overrides: &str) -> Messenger {
    let text = format!("access_token = \"hunter2\"\npage_id = \"111\"\nbase_url = \"{base}\"\n{overrides}");
    let settings = MessengerSettings::read(text.parse().unwrap()).unwrap();
    let context =
        AdapterContext { clock: Clock::manual(from_millis(NOW_MILLIS)), ..conformance::sample_context() };
    Messenger::new(&context, &settings).unwrap()
}

const SECRETS: &str = "app_secret = \"sesame\"\nverify_token = \"open\"";

fn message() -> OutboundMessage {
    OutboundMessage { to: "7263".to_owned(), ..conformance::sample_message() }
}

async fn send_result_for(act: StubAction) -> SendResult {
    let stub = HttpStub::start(vec![act]).await;
    messenger(&format!("http://{}", stub.address), "").send(&message()).await
}

#[tokio::test]
async fn a_message_is_sent_as_the_reference_shows() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let overrides = format!("messaging_type = \"MESSAGE_TAG\"\ntag = \"HUMAN_AGENT\"\n{SECRETS}");
    let result = messenger(&format!("http://{}", stub.address), &overrides).send(&message()).await;
    assert_eq!(result.outcome, Outcome::Accepted { reference: Some("m_AG5".to_owned()) });
    let request = stub.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let proof = crate::testing::keys::hmac_sha256_hex("sesame", b"hunter2");
    let target = format!("POST /v24.0/111/messages?access_token=hunter2&appsecret_proof={proof} HTTP/1.1");
    assert!(head.starts_with(&target), "{head}");
    let expected = json!({
        "recipient": {"id": "7263"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT",
        "message": {"text": conformance::sample_message().body},
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), expected);
}

#[tokio::test]
async fn every_documented_code_has_its_outcome() {
    for (code, subcode, outcome) in [
        (1, Some(99), "unavailable"),
        (1, Some(1_357_046), "unknown"),
        (2, None, "deferred"),
        (2, Some(2_018_344), "misconfigured"),
        (4, None, "throttled"),
        (17, None, "throttled"),
        (32, None, "throttled"),
        (80_006, None, "throttled"),
        (4, Some(2_018_354), "rejected"),
        (9, Some(2_018_352), "rejected"),
        (613, None, "throttled"),
        (1_200, None, "unavailable"),
        (10, Some(2_018_278), "rejected"),
        (10, Some(2_534_022), "rejected"),
        (10, None, "misconfigured"),
        (200, None, "misconfigured"),
        (230, None, "misconfigured"),
        (299, None, "misconfigured"),
        (100, Some(2_018_001), "invalid_recipient"),
        (100, Some(33), "invalid_recipient"),
        (100, Some(1), "rejected"),
        (190, Some(463), "misconfigured"),
        (102, None, "misconfigured"),
        (463, None, "misconfigured"),
        (467, None, "misconfigured"),
        (200, Some(1_545_041), "rejected"),
        (551, Some(1_545_041), "rejected"),
        (551, None, "rejected"),
        (200, Some(2_018_108), "misconfigured"),
        (368, None, "misconfigured"),
        (987_654, None, "rejected"),
    ] {
        let mut body = json!({"error": {"message": "Some words.", "type": "OAuthException", "code": code}});
        if let Some(subcode) = subcode {
            body["error"]["error_subcode"] = json!(subcode);
        }
        let result = send_result_for(response(400, "", &body.to_string())).await;
        assert_eq!(result.outcome.as_str(), outcome, "{code}/{subcode:?}: {result:?}");
        let shown = subcode.map_or_else(|| code.to_string(), |subcode| format!("{code}/{subcode}"));
        assert_eq!(result.code, Some(shown));
        assert!(!format!("{result:?}").contains("hunter2"));
    }
    let expired = r#"{"error":{"code":190,"message":"Log in."}}"#;
    let result = send_result_for(response(400, "", expired)).await;
    assert_eq!(result.outcome.reason(), Some("the token is not valid or has expired: Log in."));
}

#[tokio::test]
async fn a_transient_error_is_unavailable_and_a_page_of_a_proxy_is_unknown() {
    for (act, outcome) in [
        (response(400, "", r#"{"error":{"code":987654,"is_transient":true}}"#), "unavailable"),
        (response(400, "", r#"{"error":{"code":190,"is_transient":true}}"#), "unavailable"),
        (response(500, "", ""), "unavailable"),
        (response(429, "", ""), "throttled"),
        (response(200, "", "<html>Log in to the hotel</html>"), "unknown"),
        (StubAction::RespondAndClose(Vec::new()), "unknown"),
    ] {
        let result = send_result_for(act.clone()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{act:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_requested_pause_is_kept() {
    let body = r#"{"error":{"code":613}}"#;
    let usage = |minutes: u32| {
        format!(
            "x-business-use-case-usage: {{\"1\":[{{\"estimated_time_to_regain_access\":{minutes}}}]}}\r\n"
        )
    };
    for (headers, seconds) in [(String::new(), 60), (usage(0), 60), (usage(5), 300), (usage(999), 3_600)] {
        let outcome = send_result_for(response(400, &headers, body)).await.outcome;
        assert_eq!(outcome, Outcome::Throttled { retry_after: Some(Duration::from_secs(seconds)) });
    }
}

/// Returns a callback with a valid signature.
fn signed_callback(body: &Value) -> CallbackRequest {
    let body = body.to_string().into_bytes();
    let digest = crate::testing::keys::hmac_sha256_hex("sesame", &body);
    CallbackRequest {
        headers: BTreeMap::from([("x-hub-signature-256".to_owned(), format!("sha256={digest}"))]),
        body,
        received_at: from_millis(NOW_MILLIS + 60_000),
        ..conformance::sample_callback()
    }
}

fn event_json(fields: &Value) -> Value {
    let mut event =
        json!({"sender": {"id": "7263"}, "recipient": {"id": "111"}, "timestamp": NOW_MILLIS + 5_000});
    event.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"object": "page", "entry": [{"id": "111", "time": NOW_MILLIS, "messaging": [event]}]})
}

fn describe_items(items: &[CallbackItem]) -> Vec<String> {
    let describe = |item: &CallbackItem| match item {
        CallbackItem::Receipt(receipt) => format!("{} {}", receipt.reference, receipt.status.as_str()),
        CallbackItem::InboundMessage(text) => format!("{} wrote {}", text.from, text.body),
        CallbackItem::OptedOut(opted) => format!("{opted:?}"),
        other => format!("{other:?}"),
    };
    items.iter().map(describe).collect()
}

#[tokio::test]
async fn deliveries_reads_and_inbound_messages_are_parsed() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let messenger = messenger(&format!("http://{}", stub.address), SECRETS);
    messenger.send(&message()).await;
    let (before, after) = (NOW_MILLIS - 1, NOW_MILLIS + 1);
    for (fields, expected) in [
        (
            json!({"delivery": {"mids": ["m_X", "m_AG5"], "watermark": before}}),
            vec!["m_AG5 delivered", "m_X delivered"],
        ),
        (json!({"delivery": {"watermark": after}}), vec!["m_AG5 delivered"]),
        (json!({"read": {"watermark": after}}), vec!["m_AG5 opened"]),
        (json!({"read": {"watermark": before}}), vec![]),
        (json!({"message": {"mid": "m_1", "text": "STOP"}}), vec!["7263 wrote STOP"]),
        (json!({"message": {"mid": "m_1", "text": "hello", "is_echo": true}}), vec![]),
        (json!({"message": {"mid": "m_1", "attachments": []}}), vec!["Unreadable(InboundMessage)"]),
        (json!({"postback": {"payload": "x"}}), vec![]),
    ] {
        let items = messenger.parse_callback(&signed_callback(&event_json(&fields))).await.unwrap();
        assert_eq!(describe_items(&items), expected, "{fields}");
    }
}

#[tokio::test]
async fn a_callback_without_a_valid_signature_is_rejected() {
    let messenger = messenger("http://127.0.0.1:9", SECRETS);
    let valid = signed_callback(&event_json(&json!({"delivery": {"mids": ["m_AG5"]}})));
    assert_eq!(describe_items(&messenger.parse_callback(&valid).await.unwrap()), ["m_AG5 delivered"]);
    let signature = valid.headers["x-hub-signature-256"].clone();
    for invalid in
        ["", "sha256=", "sha256=zz", &signature[7..], &signature[..69], &signature.replace("sha256", "sha1")]
    {
        let headers = BTreeMap::from([("x-hub-signature-256".to_owned(), invalid.to_owned())]);
        let callback = CallbackRequest { headers, ..valid.clone() };
        assert_eq!(
            messenger.parse_callback(&callback).await,
            Err(CallbackError::Unauthenticated),
            "{invalid}"
        );
    }
    let longer = [valid.body.as_slice(), b" "].concat();
    assert_eq!(
        messenger.parse_callback(&CallbackRequest { body: longer, ..valid.clone() }).await,
        Err(CallbackError::Unauthenticated)
    );
    let without_secret = self::messenger("http://127.0.0.1:9", "");
    assert_eq!(without_secret.parse_callback(&valid).await, Err(CallbackError::NotSupported));
}

#[tokio::test]
async fn a_verification_request_with_the_right_token_is_answered() {
    let messenger = messenger("http://127.0.0.1:9", SECRETS);
    let verification = |token: &str| CallbackRequest {
        method: "GET".to_owned(),
        query: format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=11%2B58"),
        ..conformance::sample_callback()
    };
    assert_eq!(messenger.parse_callback(&verification("open")).await, Ok(Vec::new()));
    let response = messenger.callback_response(&verification("open")).unwrap();
    assert_eq!(response.body, "11+58");
    assert_eq!(messenger.parse_callback(&verification("shut")).await, Err(CallbackError::Unauthenticated));
    assert!(messenger.callback_response(&conformance::sample_callback()).is_none());
}

#[tokio::test]
async fn the_adapter_conforms_and_checks_its_token() {
    let stub =
        HttpStub::scripted(|_, request| match request.starts_with("GET /v24.0/111?access_token=hunter2") {
            true => response(200, "", r#"{"id":"111"}"#),
            false => response(200, "", ACCEPTED_BODY),
        })
        .await;
    let valid = messenger(&format!("http://{}", stub.address), SECRETS);
    conformance::check_provider(&valid).await;
    assert!(matches!(valid.check_account().await, AccountCheck::Passed(_)));
    let stub = HttpStub::start(vec![response(400, "", r#"{"error":{"code":190}}"#)]).await;
    let checked = messenger(&format!("http://{}", stub.address), "").check_account().await;
    assert!(matches!(&checked, AccountCheck::Failed(reason) if reason.contains("190")), "{checked:?}");
}

#[test]
fn invalid_settings_are_rejected_with_the_remedy_and_without_secrets() {
    for (text, expected) in [
        ("", "access_token"),
        ("access_token = \"\"", "access_token: is empty"),
        ("access_token = \"a\"\napp_secret = \"\"", "app_secret: is empty"),
        ("access_token = \"a\"\nmessaging_type = \"PROMO\"", "messaging_type: must be RESPONSE"),
        ("access_token = \"a\"\nmessaging_type = \"MESSAGE_TAG\"", "tag: is missing"),
        ("access_token = \"a\"\ntag = \"HUMAN_AGENT\"", "tag: is only valid"),
        ("access_token = \"a\"\npage = \"b\"", "page"),
    ] {
        let error = MessengerSettings::read(text.parse().unwrap()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let text = format!("access_token = \"hunter2\"\n{SECRETS}");
    let shown = format!("{:?}", crate::ProviderSettings::read("messenger", text.parse().unwrap()).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}

#[tokio::test]
async fn failures_have_the_outcomes_of_the_suite() {
    let context = AdapterContext { limits: conformance::short_limits(), ..conformance::sample_context() };
    let provider_at = |address| -> Arc<dyn Provider> {
        let settings = format!("access_token = \"hunter2\"\nbase_url = \"http://{address}\"");
        let settings = MessengerSettings::read(settings.parse().unwrap()).unwrap();
        Arc::new(Messenger::new(&context, &settings).unwrap())
    };
    conformance::check_failures(provider_at, &message(), &ExpectedOutcomes::default()).await;
}
