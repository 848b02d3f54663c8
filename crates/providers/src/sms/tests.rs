use super::*;
use crate::callback::CallbackRequest;
use crate::outcome_code::outcome_code;
use crate::outcome_kind::OutcomeKind;
use crate::testing::http_stub::{HttpStub, response};
use crate::testing::sms::{request_form, sms_message, sms_provider, sms_provider_at};
use postrider_core::clock::from_millis;

#[test]
fn fields_are_parsed_from_a_query_a_form_or_json() {
    let get = CallbackRequest { query: "a=1&b=%2B2".to_owned(), ..CallbackRequest::default() };
    let form = CallbackRequest { body: b"a=1&b=%2B2".to_vec(), ..CallbackRequest::default() };
    let json = CallbackRequest {
        body: br#" {"a": 1, "b": "+2", "c": null, "d": [1]}"#.to_vec(),
        ..CallbackRequest::default()
    };
    for request in [get, form, json] {
        let fields = CallbackFields::from_callback(&request).unwrap();
        assert_eq!((fields.get("a"), fields.get("b"), fields.get("c")), (Some("1"), Some("+2"), None));
        assert!(fields.require("d").is_err());
    }
}

#[test]
fn too_many_fields_are_refused() {
    let request = CallbackRequest { body: "a=1&".repeat(100_000).into_bytes(), ..CallbackRequest::default() };
    assert!(CallbackFields::from_callback(&request).is_err());
}

#[test]
fn a_nonce_authenticates_one_content_only() {
    let nonces = NonceCache::default();
    let at = |hours: i64| from_millis(hours * 3_600_000);
    assert!(nonces.is_new_or_repeated("n", b"one", at(0)) && nonces.is_new_or_repeated("n", b"one", at(1)));
    assert!(!nonces.is_new_or_repeated("n", b"other", at(5)));
    assert!(nonces.is_new_or_repeated("n", b"other", at(7)), "a nonce is remembered for six hours");
}

#[test]
fn only_a_public_host_name_is_reachable() {
    for url in ["https://gw.example.org/v1", "http://gw.example.org:8080"] {
        assert!(is_publicly_reachable(url), "{url}");
    }
    for url in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]/", "http://my_gw.example.org", "x"]
    {
        assert!(!is_publicly_reachable(url), "{url}");
    }
}

#[test]
fn phone_numbers_are_converted_between_notations() {
    assert_eq!(without_plus("+989122222222"), "989122222222");
    assert_eq!(with_plus(" 989122222222"), "+989122222222");
    for other in ["AcmeInc", "12345", "+4915112345678"] {
        assert_eq!(with_plus(other), other);
    }
}

#[tokio::test]
async fn pending_opt_out_notices_are_received_together() {
    let notices = OptOutNotices::default();
    let stop = outcome_code("1", OutcomeKind::Rejected, "stop");
    for _ in 0..3 {
        notices.push(opt_out_notice("+98", &stop, from_millis(0)));
    }
    assert_eq!(notices.receive().await.len(), 3);
}

#[tokio::test]
async fn a_text_of_1600_characters_in_mixed_alphabets_is_sent_unchanged() {
    let mixed = "Hello سلام Grüße Привет 你好 😀 €[]\n".chars().cycle().take(1_600).collect::<String>();
    let twilio = "account_sid = \"AC1\"\nauth_token = \"t\"\nfrom = \"+15005550006\"";
    let vonage = "api_key = \"k\"\napi_secret = \"s\"\nfrom = \"Acme\"";
    let plivo = "auth_id = \"MA1\"\nauth_token = \"t\"\nfrom = \"Acme\"";
    for (kind, settings, field) in
        [("twilio", twilio, "Body"), ("vonage", vonage, "text"), ("plivo", plivo, "text")]
    {
        let stub = HttpStub::start(vec![response(201, "", "{}")]).await;
        let provider = sms_provider_at(&stub, kind, settings);
        provider.send(&OutboundMessage { body: mixed.clone(), ..sms_message() }).await;
        let request = stub.requests().remove(0);
        let json = request
            .split_once("\r\n\r\n")
            .and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(body).ok());
        let text = match json {
            Some(json) => json[field].as_str().map(ToOwned::to_owned),
            None => request_form(&request).into_iter().find(|(name, _)| name == field).map(|(_, text)| text),
        };
        assert_eq!(text.as_deref(), Some(mixed.as_str()), "{kind}");
    }
    let parts = postrider_core::text_parts::split_parts(&mixed);
    assert!(parts.len() > 20 && parts.concat() == mixed);
    let short = sms_provider("kavenegar", "api_key = \"k\"\nbase_url = \"http://127.0.0.1:1\"");
    let result = short.send(&OutboundMessage { body: mixed, ..sms_message() }).await;
    assert_eq!(result.outcome.as_str(), "rejected", "Kavenegar accepts 900 characters: {result:?}");
}
