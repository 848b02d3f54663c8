use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::CallbackRequest;
use crate::testing::conformance;
use crate::testing::sms::{
    PUBLIC_URL, check_sms_provider, describe_items, expect_outcomes, expect_status_table, form_callback,
    only_inbound_message, send_to_stub, settings_error, sms_message, sms_provider,
};

const ACCOUNT: &str = "auth_id = \"MA0123456789ABCDEFGH\"
auth_token = \"plivo-token-for-docs\"
from = \"+14155550100\"";

const ACCEPTED_BODY: &str = r#"{"message":"message(s) queued","message_uuid":["db3c"],"api_id":"db34"}"#;

#[tokio::test]
async fn a_message_is_sent_as_in_the_reference() {
    let (result, request) = send_to_stub("plivo", ACCOUNT, 202, ACCEPTED_BODY).await;
    assert_eq!(format!("{:?}", result.outcome), "Accepted { reference: Some(\"db3c\") }");
    assert!(request.starts_with("POST /v1/Account/MA0123456789ABCDEFGH/Message/ HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("authorization: Basic TUEwMTIzNDU2Nzg5QUJDREVGR0g6cGxpdm8tdG9rZW4tZm9yLWRvY3M=\r\n")
    );
    let mut document: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
    let expiry = document.as_object_mut().unwrap().remove("message_expiry").unwrap();
    assert!((7_000..=7_200).contains(&expiry.as_i64().unwrap()), "{expiry}");
    let expected = json!({
        "src": "14155550100", "dst": "989122222222", "text": "Your code is 4711", "type": "sms",
        "url": "https://gw.example.org/v1/receipts/blue", "method": "POST",
    });
    assert_eq!(document, expected);
}

#[tokio::test]
async fn responses_have_the_outcomes_of_the_reference() {
    expect_outcomes(
        "plivo",
        ACCOUNT,
        &[
            (202, ACCEPTED_BODY, "accepted", "HTTP 202"),
            (202, r#"{"message_uuid":[]}"#, "unknown", "HTTP 202"),
            (202, r#"{"message_uuid":[],"invalid_number":["98"]}"#, "invalid_recipient", "HTTP 202"),
            (202, "<html>", "unknown", "HTTP 202"),
            (400, r#"{"error":"invalid dst number"}"#, "invalid_recipient", "HTTP 400"),
            (400, r#"{"error":"src and dst cannot be the same"}"#, "rejected", "HTTP 400"),
            (400, r#"{"error":"text is missing"}"#, "rejected", "HTTP 400"),
            (401, "", "misconfigured", "HTTP 401"),
            (402, "", "misconfigured", "HTTP 402"),
            (403, "", "misconfigured", "HTTP 403"),
            (403, r#"{"error":"permission for the region is not enabled"}"#, "unavailable", "450"),
            (400, r#"{"error":"dst country is blocked for this account"}"#, "unavailable", "450"),
            (400, r#"{"error":"src is not allowed in this country"}"#, "rejected", "HTTP 400"),
            (404, "", "unavailable", "HTTP 404"),
            (405, "", "unavailable", "HTTP 405"),
            (409, "", "rejected", "HTTP 409"),
            (422, "", "rejected", "HTTP 422"),
            (429, "", "throttled", "HTTP 429"),
            (500, "", "unavailable", "HTTP 500"),
        ],
    )
    .await;
    let (result, _) = send_to_stub("plivo", ACCOUNT, 402, r#"{"error":"top up"}"#).await;
    assert_eq!(result.outcome.reason(), Some("not enough credit: top up"));
}

/// Returns a callback with a valid signature.
fn plivo_callback(nonce: &str, body: &str) -> CallbackRequest {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"plivo-token-for-docs").unwrap();
    mac.update(format!("{PUBLIC_URL}/v1/receipts/blue{nonce}").as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    let headers = [("x-plivo-signature-v2", signature.as_str()), ("x-plivo-signature-v2-nonce", nonce)];
    form_callback("", &headers, body)
}

#[tokio::test]
async fn statuses_have_the_receipts_of_the_reference() {
    let blue = sms_provider("plivo", ACCOUNT);
    let cases = [
        ("Status=queued", vec![]),
        ("Status=sent&ErrorCode=000", vec![]),
        ("Status=delivered&ErrorCode=000", vec!["delivered a"]),
        ("Status=delivered&PartInfo=1+of+1", vec!["delivered a"]),
        ("Status=delivered&PartInfo=1+of+3", vec![]),
        ("Status=delivered&PartInfo=3+of+3", vec!["delivered a"]),
        (
            "Status=undelivered&PartInfo=1+of+3&ErrorCode=80",
            vec!["bounced a: undelivered 80: the handset is off or out of coverage"],
        ),
        (
            "Status=failed&ErrorCode=70",
            vec!["invalid a: failed 70: the phone number does not exist any more"],
        ),
        ("Status=failed&ErrorCode=000", vec!["bounced a: failed 000: no error"]),
        ("Status=rejected&ErrorCode=50", vec!["bounced a: rejected 50: invalid phone number or landline"]),
        (
            "Status=undelivered&ErrorCode=200",
            vec![
                "bounced a: undelivered 200: the recipient sent STOP",
                "+989122222222 opted out: the recipient sent STOP (200)",
            ],
        ),
    ];
    for (index, (body, expected)) in cases.into_iter().enumerate() {
        let body = format!("MessageUUID=part&ParentMessageUUID=a&To=989122222222&{body}");
        assert_eq!(
            describe_items(blue.parse_callback(&plivo_callback(&index.to_string(), &body)).await),
            expected,
            "{body}"
        );
    }
}

#[tokio::test]
async fn only_signed_callbacks_are_accepted_and_a_signature_authenticates_one_content() {
    let blue = sms_provider("plivo", ACCOUNT);
    let signed = plivo_callback("1", "MessageUUID=a&Status=delivered");
    assert_eq!(describe_items(blue.parse_callback(&signed).await), ["delivered a"]);
    assert_eq!(describe_items(blue.parse_callback(&signed).await), ["delivered a"], "a repetition");
    let other = CallbackRequest { body: b"MessageUUID=b&Status=delivered".to_vec(), ..signed.clone() };
    assert_eq!(describe_items(blue.parse_callback(&other).await), ["unauthenticated"]);
    assert_eq!(
        describe_items(blue.parse_callback(&form_callback("", &[], "MessageUUID=a&Status=delivered")).await),
        ["unauthenticated"]
    );
    let with_token =
        sms_provider("plivo", &format!("{ACCOUNT}\nreceipts_token = \"a-token-nobody-guesses\""));
    assert_eq!(describe_items(with_token.parse_callback(&signed).await), ["unauthenticated"]);
    let request_with_token = CallbackRequest { query: "token=a-token-nobody-guesses".to_owned(), ..signed };
    assert_eq!(describe_items(with_token.parse_callback(&request_with_token).await), ["delivered a"]);
}

#[tokio::test]
async fn an_inbound_message_is_parsed() {
    let blue = sms_provider("plivo", ACCOUNT);
    let inbound = only_inbound_message(
        blue.parse_callback(&plivo_callback(
            "7",
            "From=989122222222&To=14155550100&Text=Stop&MessageUUID=u&Type=sms",
        ))
        .await,
    );
    assert_eq!(
        (inbound.from.as_str(), inbound.to.as_str(), inbound.body.as_str()),
        ("+989122222222", "14155550100", "Stop")
    );
    let picture =
        "From=989122222222&To=14155550100&MessageUUID=u&Type=mms&Media0=https%3A%2F%2Fa.example%2Fx";
    assert_eq!(only_inbound_message(blue.parse_callback(&plivo_callback("8", picture)).await).body, "");
    assert_eq!(blue.callback_response(&conformance::sample_callback()).unwrap().body, "");
}

#[tokio::test]
async fn conforms_to_the_suite() {
    check_sms_provider("plivo", ACCOUNT, ACCEPTED_BODY, &sms_message()).await;
}

#[tokio::test]
async fn every_status_has_the_shared_outcome_but_for_plivos_own() {
    let overrides = [(402, "misconfigured")];
    expect_status_table("plivo", ACCOUNT, &overrides).await;
}

#[test]
fn wrong_settings_are_refused_and_secrets_not_shown() {
    for settings in ["auth_id = \"a\"\nauth_token = \"b\"", &format!("{ACCOUNT}\npowerpack_uuid = \"p\"")] {
        let sender = settings_error("plivo", settings);
        assert!(sender.starts_with("from: write either"), "{sender}");
    }
    let settings = crate::ProviderSettings::read("plivo", ACCOUNT.parse().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("token-for-docs"), "{settings:?}");
}
