//! What the tests of the adapters for text messages share: an account at a stand-in, and ways to say what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::http_stub::{HttpStub, response};
use crate::{AdapterContext, CallbackRequest, Provider, conformance};
use postrider_core::clock::from_millis;
use postrider_core::inbound::{CallbackItem, InboundMessage};

/// Where the tests' gateway can be called.
pub const PUBLIC_URL: &str = "https://gw.example.org";

/// An account of that kind under the name `blue`.
pub fn sms_provider(kind: &str, settings: &str) -> Arc<dyn Provider> {
    sms_provider_at(PUBLIC_URL, kind, settings)
}

/// The same, of a gateway that is called elsewhere.
pub fn sms_provider_at(public_url: &str, kind: &str, settings: &str) -> Arc<dyn Provider> {
    let settings = crate::ProviderSettings::read(kind, settings.parse().unwrap()).unwrap();
    let context = AdapterContext {
        public_url: public_url.to_owned(),
        ..conformance::sample_context()
    };
    settings.build(&context).unwrap()
}

/// What wrong settings are answered with.
pub fn settings_error(kind: &str, settings: &str) -> String {
    let read = crate::ProviderSettings::read(kind, settings.parse().unwrap());
    read.map(|_| ()).unwrap_err().to_string()
}

/// Sends one message to a stand-in that answers so; what came of it, and what the stand-in heard.
pub async fn send_to_stub(kind: &str, settings: &str, status: u16, body: &str) -> (SendResult, String) {
    let stub = HttpStub::start(vec![response(status, "", body)]).await;
    let settings = format!("{settings}\nbase_url = \"http://{}\"", stub.address);
    let answer = sms_provider(kind, &settings).send(&sms_message()).await;
    (answer, stub.requests().remove(0))
}

/// The outcome's word and the code of each of these answers.
pub async fn expect_outcomes(kind: &str, settings: &str, cases: &[(u16, &str, &str, &str)]) {
    for (status, body, outcome, code) in cases {
        let (answer, _) = send_to_stub(kind, settings, *status, body).await;
        let found = (answer.outcome.as_str(), answer.code.as_deref().unwrap_or("none"));
        assert_eq!(found, (*outcome, *code), "{status} {body}");
    }
}

/// A message that is worth something for two hours.
pub fn sms_message() -> OutboundMessage {
    OutboundMessage {
        body: "Your code is 4711".to_owned(),
        expires_at: postrider_core::clock::Clock::System.now() + Duration::from_secs(7_200),
        ..conformance::sample_message()
    }
}

/// The form a stand-in was sent.
pub fn request_form(heard: &str) -> Vec<(String, String)> {
    let (_, body) = heard.split_once("\r\n\r\n").unwrap();
    let pairs = form_urlencoded::parse(body.as_bytes());
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// A call with a form to the receipt URL, with that query and those headers.
pub fn form_callback(query: &str, headers: &[(&str, &str)], body: &str) -> CallbackRequest {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mark = if query.is_empty() { "" } else { "?" };
    CallbackRequest {
        url: format!("{PUBLIC_URL}/v1/receipts/blue{mark}{query}"),
        query: query.to_owned(),
        headers: headers.collect(),
        body: body.into(),
        ..conformance::sample_callback()
    }
}

/// What was heard, each in a few words: `delivered a`, `bounced a: why`, `+98… writes STOP`, `+98… opted out: why`.
pub fn describe_incoming(incoming: Result<Vec<CallbackItem>, CallbackError>) -> Vec<String> {
    let one = |incoming| match incoming {
        CallbackItem::Receipt(receipt) => {
            let reason = receipt.status.reason().map(|reason| format!(": {reason}"));
            let (word, reference) = (receipt.status.as_str(), receipt.reference);
            format!("{word} {reference}{}", reason.unwrap_or_default())
        }
        CallbackItem::InboundMessage(text) => format!("{} writes {}", text.from, text.body),
        CallbackItem::OptedOut(out) => format!("{} opted out: {}", out.address, out.reason),
    };
    match incoming {
        Ok(incoming) => incoming.into_iter().map(one).collect(),
        Err(CallbackError::Unauthenticated) => vec!["forged".to_owned()],
        Err(CallbackError::Malformed(why)) => vec![format!("unreadable: {why}")],
        Err(CallbackError::NotSupported) => vec!["not expected".to_owned()],
        Err(CallbackError::Unavailable(why)) => vec![format!("not now: {why}")],
    }
}

/// The only text of what was heard.
pub fn only_inbound_message(incoming: Result<Vec<CallbackItem>, CallbackError>) -> InboundMessage {
    match incoming.unwrap().as_slice() {
        [CallbackItem::InboundMessage(text)] => text.clone(),
        other => panic!("no text: {other:?}"),
    }
}

/// Holds an account of that kind to the contract: at a stand-in that says yes, at one that says nonsense, at none.
pub async fn check_sms_provider(kind: &str, settings: &str, yes: &str) {
    for body in [yes, "{\"", ""] {
        let stub = HttpStub::start(vec![response(200, "", body)]).await;
        let settings = format!("{settings}\nbase_url = \"http://{}\"", stub.address);
        conformance::check_provider(&*sms_provider(kind, &settings)).await;
    }
    let nobody = format!("{settings}\nbase_url = \"http://127.0.0.1:1\"");
    conformance::check_provider(&*sms_provider(kind, &nobody)).await;
}

#[test]
fn fields_come_by_query_form_or_json() {
    let get = CallbackRequest {
        query: "a=1&b=%2B2".to_owned(),
        ..CallbackRequest::default()
    };
    let form = CallbackRequest {
        body: b"a=1&b=%2B2".to_vec(),
        ..CallbackRequest::default()
    };
    let json = CallbackRequest {
        body: br#" {"a": 1, "b": "+2", "c": null, "d": [1]}"#.to_vec(),
        ..CallbackRequest::default()
    };
    for call in [get, form, json] {
        let fields = CallbackFields::from_callback(&call).unwrap();
        assert_eq!(
            (fields.get("a"), fields.get("b"), fields.get("c")),
            (Some("1"), Some("+2"), None)
        );
        assert!(fields.require("d").is_err());
    }
}

#[test]
fn more_fields_than_anybody_sends_are_refused() {
    let call = CallbackRequest {
        body: "a=1&".repeat(100_000).into_bytes(),
        ..CallbackRequest::default()
    };
    assert!(CallbackFields::from_callback(&call).is_err());
}

#[test]
fn a_number_used_once_can_say_one_thing_only() {
    let seen = NonceCache::default();
    let at = |hours: i64| from_millis(hours * 3_600_000);
    assert!(seen.is_new_or_repeated("n", b"yes", at(0)) && seen.is_new_or_repeated("n", b"yes", at(1)));
    assert!(!seen.is_new_or_repeated("n", b"no", at(5)));
    assert!(
        seen.is_new_or_repeated("n", b"no", at(7)),
        "forgotten after some hours"
    );
}

#[test]
fn receipts_are_asked_for_where_a_provider_can_call() {
    for url in ["https://gw.example.org/v1", "http://gw.example.org:8080"] {
        assert!(is_publicly_reachable(url), "{url}");
    }
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]/",
        "http://my_gw.example.org",
        "x",
    ] {
        assert!(!is_publicly_reachable(url), "{url}");
    }
}

#[test]
fn numbers_are_written_as_providers_want_them() {
    assert_eq!(without_plus("+989122222222"), "989122222222");
    assert_eq!(with_plus(" 989122222222"), "+989122222222");
    for other in ["AcmeInc", "12345", "+4915112345678"] {
        assert_eq!(with_plus(other), other);
    }
}

#[test]
fn a_base_is_an_http_url_and_nothing_behind_it() {
    let base = BaseUrl::parse("https://sms.example/api/").unwrap();
    assert_eq!(
        base.resource_url(&["v1", "a/b", ""]).as_str(),
        "https://sms.example/api/v1/a%2Fb/"
    );
    assert_eq!(base.endpoint(), ("sms.example".to_owned(), 443));
    for text in ["", "sms.example", "ftp://a", "https://a/?b=c", "https://user@a/"] {
        assert!(BaseUrl::parse(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn what_a_send_learns_in_passing_comes_to_who_listens() {
    let mailbox = OptOutNotices::default();
    for _ in 0..3 {
        mailbox.push(opt_out_notice("+98", "1", "stop", from_millis(0)));
    }
    assert_eq!(mailbox.receive().await.len(), 3);
}

#[tokio::test]
async fn a_text_of_1600_characters_of_mixed_alphabets_arrives_as_it_was_written() {
    let mixed = "Hello سلام Grüße Привет 你好 😀 €[]\n"
        .chars()
        .cycle()
        .take(1_600)
        .collect::<String>();
    let keys = "account_sid = \"AC1\"\nauth_token = \"t\"\nfrom = \"+15005550006\"";
    let vonage = "api_key = \"k\"\napi_secret = \"s\"\nfrom = \"Acme\"";
    let plivo = "auth_id = \"MA1\"\nauth_token = \"t\"\nfrom = \"Acme\"";
    for (kind, settings, field) in [
        ("twilio", keys, "Body"),
        ("vonage", vonage, "text"),
        ("plivo", plivo, "text"),
    ] {
        let stub = HttpStub::start(vec![response(201, "", "{}")]).await;
        let provider = sms_provider(
            kind,
            &format!("{settings}\nbase_url = \"http://{}\"", stub.address),
        );
        provider
            .send(&OutboundMessage {
                body: mixed.clone(),
                ..sms_message()
            })
            .await;
        let heard = stub.requests().remove(0);
        let json = heard
            .split_once("\r\n\r\n")
            .and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(body).ok());
        let text = match json {
            Some(json) => json[field].as_str().map(ToOwned::to_owned),
            None => request_form(&heard)
                .into_iter()
                .find(|(name, _)| name == field)
                .map(|(_, text)| text),
        };
        assert_eq!(text.as_deref(), Some(mixed.as_str()), "{kind}");
    }
    let parts = postrider_core::text_parts::split_parts(&mixed);
    assert!(parts.len() > 20 && parts.concat() == mixed);
    let short = sms_provider("kavenegar", "api_key = \"k\"\nbase_url = \"http://127.0.0.1:1\"");
    let answer = short
        .send(&OutboundMessage {
            body: mixed,
            ..sms_message()
        })
        .await;
    assert_eq!(
        answer.outcome.as_str(),
        "rejected",
        "900 characters are the most there: {answer:?}"
    );
}
