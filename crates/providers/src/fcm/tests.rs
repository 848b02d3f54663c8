//! Tests of the adapter against scripted FCM and token servers.

mod settings_validation;
mod tokens;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::CallLimits;
use crate::jwt::JwtKey;
use crate::testing::conformance::{self, ExpectedOutcomes};
use crate::testing::http_stub::{HttpStub, StubAction, response};
use crate::testing::keys;
use postrider_core::clock::from_millis;

/// Time of every test.
const NOW_SECONDS: i64 = 1_784_642_585;

const ACCEPTED_BODY: &str = r#"{"name":"projects/demo/messages/0:17846%31bd"}"#;

fn token_response(text: &str, lifetime_seconds: u32) -> StubAction {
    let body = json!({"access_token": text, "expires_in": lifetime_seconds, "token_type": "Bearer"});
    response(200, "", &body.to_string())
}

/// Starts a token server that issues `t1`, `t2`, … for an hour each.
async fn token_server() -> HttpStub {
    HttpStub::scripted(|count, _| token_response(&format!("t{count}"), 3_599)).await
}

fn service_account_json() -> String {
    json!({
        "type": "service_account", "project_id": "demo", "private_key_id": "key-1", "private_key": *keys::RSA_PRIVATE_KEY_PEM,
        "client_email": "sender@demo.iam.example", "token_uri": "https://oauth2.example/token",
    })
    .to_string()
}

fn settings(fcm: &str, tokens: &str, overrides: &str) -> FcmSettings {
    let mut table: toml::Table = overrides.parse().unwrap();
    let keys = [
        ("service_account", service_account_json()),
        ("base_url", fcm.to_owned()),
        ("token_url", tokens.to_owned()),
    ];
    table.extend(keys.map(|(key, text)| (key.to_owned(), toml::Value::from(text))));
    FcmSettings::read(table).unwrap()
}

fn clock() -> Clock {
    Clock::manual(from_millis(NOW_SECONDS * 1_000))
}

fn fcm_with(fcm: &HttpStub, tokens: &HttpStub, overrides: &str, clock: Clock, limits: &CallLimits) -> Fcm {
    let settings =
        settings(&format!("http://{}", fcm.address), &format!("http://{}/token", tokens.address), overrides);
    let context = AdapterContext { limits: limits.clone(), clock, ..conformance::sample_context() };
    Fcm::new(&context, &settings).unwrap()
}

fn fcm(fcm: &HttpStub, tokens: &HttpStub) -> Fcm {
    fcm_with(fcm, tokens, "", clock(), &conformance::sample_limits())
}

fn push_message() -> OutboundMessage {
    OutboundMessage {
        to: "fOo:APA91b".to_owned(),
        expires_at: from_millis((NOW_SECONDS + 600) * 1_000),
        ..conformance::sample_message()
    }
}

fn is_accepted(result: &SendResult) -> bool {
    matches!(result.outcome, Outcome::Accepted { .. })
}

/// Returns an error in the format of FCM.
fn error_response(status: u16, google_status: &str, error_code: Option<&str>, message: &str) -> StubAction {
    let mut body = json!({"error": {"code": status, "message": message, "status": google_status}});
    if let Some(error_code) = error_code {
        let kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
        body["error"]["details"] = json!([{"@type": kind, "errorCode": error_code}]);
    }
    response(status, "", &body.to_string())
}

fn unauthenticated() -> StubAction {
    error_response(401, "UNAUTHENTICATED", None, "Request had invalid authentication credentials.")
}

/// Returns the head and the body of a request.
fn request_parts(stub: &HttpStub, at: usize) -> (String, String) {
    let text = stub.requests()[at].clone();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test]
async fn a_message_is_sent_with_the_token_of_a_signed_assertion() {
    let (server, tokens) =
        (HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await, token_server().await);
    let overrides = "title = \"Acme\"\nchannel = \"otp\"\nsound = \"default\"\ncollapse_key = \"otp\"\n[data]\nkind = \"otp\"";
    let fcm = fcm_with(&server, &tokens, overrides, clock(), &conformance::sample_limits());
    let result = fcm.send(&OutboundMessage { subject: None, ..push_message() }).await;
    let reference = Some("projects/demo/messages/0:17846%31bd".to_owned());
    assert_eq!(result.outcome, Outcome::Accepted { reference });

    let (head, body) = request_parts(&server, 0);
    assert!(head.starts_with("POST /v1/projects/demo/messages:send HTTP/1.1"), "{head}");
    assert!(head.contains("authorization: Bearer t1"), "{head}");
    let id = gateway_id(&push_message()).to_string();
    let expected = json!({"message": {
        "token": "fOo:APA91b",
        "notification": {"title": "Acme", "body": push_message().body},
        "data": {"gw_id": id, "kind": "otp"},
        "android": {"priority": "HIGH", "ttl": "600s", "collapse_key": "otp",
                    "notification": {"tag": id, "channel_id": "otp"}},
        "apns": {"headers": {"apns-priority": "10", "apns-expiration": "1784643185", "apns-collapse-id": id},
                 "payload": {"aps": {"sound": "default"}}},
        "webpush": {"headers": {"TTL": "600", "Urgency": "high"}},
    }});
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);

    let (head, body) = request_parts(&tokens, 0);
    assert!(head.starts_with("POST /token HTTP/1.1") && head.contains("application/x-www-form-urlencoded"));
    let form: Vec<_> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    assert_eq!(form[0].1, "urn:ietf:params:oauth:grant-type:jwt-bearer");
    expect_assertion(&form[1].1);
}

fn expect_assertion(assertion: &str) {
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let decode = |part: &str| serde_json::from_slice::<Value>(&BASE64.decode(part).unwrap()).unwrap();
    assert_eq!(decode(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let expected = json!({
        "iss": "sender@demo.iam.example", "scope": "https://www.googleapis.com/auth/firebase.messaging",
        "aud": "https://oauth2.example/token", "iat": NOW_SECONDS, "exp": NOW_SECONDS + 3_600,
    });
    assert_eq!(decode(claims), expected);
    let Ok(JwtKey::Rsa(key)) = JwtKey::from_rsa_pem(&keys::RSA_PRIVATE_KEY_PEM) else {
        panic!("not an RSA key");
    };
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref())
        .verify(signed.as_bytes(), &BASE64.decode(signature).unwrap())
        .unwrap();
}

#[tokio::test]
async fn every_documented_code_has_its_outcome() {
    for (status, google_status, error_code, message, outcome) in [
        (404, "NOT_FOUND", Some("UNREGISTERED"), "Requested entity was not found.", "invalid_recipient"),
        (
            400,
            "INVALID_ARGUMENT",
            Some("INVALID_ARGUMENT"),
            "The registration token is not a valid FCM \
          registration token",
            "invalid_recipient",
        ),
        (400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), "Message payload too large", "rejected"),
        (400, "INVALID_ARGUMENT", None, "Invalid value at 'message.android.ttl'", "rejected"),
        (403, "PERMISSION_DENIED", Some("SENDER_ID_MISMATCH"), "SenderId mismatch", "invalid_recipient"),
        (429, "RESOURCE_EXHAUSTED", Some("QUOTA_EXCEEDED"), "Quota exceeded", "throttled"),
        (429, "RESOURCE_EXHAUSTED", None, "Quota exceeded", "throttled"),
        (503, "UNAVAILABLE", Some("UNAVAILABLE"), "overloaded", "unavailable"),
        (500, "INTERNAL", Some("INTERNAL"), "Internal error", "unavailable"),
        (401, "UNAUTHENTICATED", Some("THIRD_PARTY_AUTH_ERROR"), "Auth error from APNS", "unavailable"),
        (401, "UNAUTHENTICATED", Some("APNS_AUTH_ERROR"), "Auth error from APNS", "unavailable"),
        (400, "UNKNOWN", Some("UNSPECIFIED_ERROR"), "", "unavailable"),
        (403, "PERMISSION_DENIED", None, "The caller does not have permission", "misconfigured"),
        (404, "NOT_FOUND", None, "Project not found", "unavailable"),
        (400, "FAILED_PRECONDITION", Some("BRAND_NEW"), "new error", "rejected"),
    ] {
        let server = HttpStub::start(vec![error_response(status, google_status, error_code, message)]).await;
        let result = fcm(&server, &token_server().await).send(&push_message()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{error_code:?} {google_status}: {result:?}");
        assert_eq!(result.code.as_deref(), Some(error_code.unwrap_or(google_status)));
        assert_eq!(server.requests().len(), 1, "{google_status} is not repeated");
    }
}

#[tokio::test]
async fn an_invalid_field_that_is_the_token_makes_the_recipient_invalid() {
    for (field, outcome) in [("message.token", "invalid_recipient"), ("message.data", "rejected")] {
        let body = json!({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "Invalid value", "details": [
            {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{"field": field}]},
        ]}});
        let server = HttpStub::start(vec![response(400, "", &body.to_string())]).await;
        let result = fcm(&server, &token_server().await).send(&push_message()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{field}");
    }
}

#[tokio::test]
async fn a_response_of_a_proxy_has_the_outcome_of_its_status() {
    for (act, outcome) in [
        (response(502, "", "<html>Bad Gateway</html>"), "unavailable"),
        (response(504, "", ""), "unavailable"),
        (response(200, "", "<html>Log in to the hotel</html>"), "unknown"),
        (response(429, "", ""), "throttled"),
        (response(404, "", "<html>"), "unavailable"),
        (
            StubAction::RespondAndClose(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{\"name\":".to_vec()),
            "unknown",
        ),
        (StubAction::RespondAndClose(Vec::new()), "unknown"),
    ] {
        let server = HttpStub::start(vec![act.clone()]).await;
        let result = fcm(&server, &token_server().await).send(&push_message()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{act:?}: {result:?}");
    }
}

#[tokio::test]
async fn a_requested_pause_is_kept_and_a_device_quota_does_not_pause_the_provider() {
    let device_quota = json!({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "Quota exceeded", "details": [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"subject": "device:abc"}]},
    ]}});
    let seven_seconds = Some(Duration::from_secs(7));
    let one_minute = Some(Duration::from_secs(60));
    let header = "retry-after: 7\r\n";
    for (act, outcome) in [
        (
            response(503, header, r#"{"error":{"status":"UNAVAILABLE"}}"#),
            Outcome::Throttled { retry_after: seven_seconds },
        ),
        (response(429, header, ""), Outcome::Throttled { retry_after: seven_seconds }),
        (response(429, "", ""), Outcome::Throttled { retry_after: one_minute }),
        (
            response(429, "", &device_quota.to_string()),
            Outcome::Deferred {
                reason: "too many messages to this device: Quota exceeded".to_owned(),
                retry_after: one_minute,
            },
        ),
    ] {
        let server = HttpStub::start(vec![act]).await;
        assert_eq!(fcm(&server, &token_server().await).send(&push_message()).await.outcome, outcome);
    }
}

#[tokio::test]
async fn the_app_acknowledges_messages_with_the_token() {
    let server = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let overrides = "receipts_token = \"0123456789abcdef\"";
    let tokens = token_server().await;
    let fcm = fcm_with(&server, &tokens, overrides, clock(), &conformance::sample_limits());
    let Outcome::Accepted { reference: Some(reference) } = fcm.send(&push_message()).await.outcome else {
        panic!("not accepted");
    };
    assert_eq!(reference, gateway_id(&push_message()).to_string());
    let callback = |token: &str, status: &str| CallbackRequest {
        query: format!("token={token}"),
        body: json!({"gw_id": reference, "status": status}).to_string().into(),
        ..conformance::sample_callback()
    };
    for status in ["delivered", "opened"] {
        let item = fcm.parse_callback(&callback("0123456789abcdef", status)).await.unwrap().remove(0);
        let CallbackItem::Receipt(receipt) = item else {
            panic!("expected a receipt");
        };
        assert_eq!((receipt.reference.as_str(), receipt.status.as_str()), (&*reference, status));
    }
    assert_eq!(
        fcm.parse_callback(&callback("0123456789abcdeF", "delivered")).await,
        Err(CallbackError::Unauthenticated)
    );
    assert_eq!(fcm.callback_mode(), CallbackMode::Authenticated);
}

#[tokio::test]
async fn the_adapter_conforms_and_checks_its_account() {
    let server = HttpStub::scripted(|_, request| {
        if request.contains("validate_only") {
            let message = "The registration token is not a valid FCM registration token";
            error_response(400, "INVALID_ARGUMENT", Some("INVALID_ARGUMENT"), message)
        } else {
            response(200, "", ACCEPTED_BODY)
        }
    })
    .await;
    let tokens = token_server().await;
    let fcm = fcm(&server, &tokens);
    conformance::check_provider(&fcm).await;
    assert_eq!(fcm.parse_callback(&conformance::sample_callback()).await, Err(CallbackError::NotSupported));
    assert_eq!(fcm.address_kind(), AddressKind::Push);
    assert!(matches!(fcm.check_account().await, AccountCheck::Passed(_)));
    let server = HttpStub::start(vec![error_response(403, "PERMISSION_DENIED", None, "no")]).await;
    let forbidden = self::fcm(&server, &tokens);
    assert!(
        matches!(forbidden.check_account().await, AccountCheck::Failed(reason) if reason.contains("the permission"))
    );
}

#[tokio::test]
async fn failures_have_the_outcomes_of_the_suite() {
    let tokens = token_server().await;
    let context = AdapterContext {
        limits: conformance::short_limits(),
        clock: clock(),
        ..conformance::sample_context()
    };
    let provider_at = |address| -> Arc<dyn Provider> {
        let settings =
            settings(&format!("http://{address}"), &format!("http://{}/token", tokens.address), "");
        Arc::new(Fcm::new(&context, &settings).unwrap())
    };
    conformance::check_failures(provider_at, &push_message(), &ExpectedOutcomes::default()).await;
}
