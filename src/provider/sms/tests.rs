//! What the tests of the adapters for text messages share: an account at a stand-in, and ways to say what came of it.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::clock::from_millis;
use crate::domain::inbound::{InboundText, Incoming};
use crate::provider::stub::{Stub, answer};
use crate::provider::{self, Call, Outbound, Provider, contract};

/// Where the tests' gateway can be called.
pub const PUBLIC: &str = "https://gw.example.org";

/// An account of that kind under the name `blue`.
pub fn account(kind: &str, settings: &str) -> Arc<dyn Provider> {
    account_at(PUBLIC, kind, settings)
}

/// The same, of a gateway that is called elsewhere.
pub fn account_at(public_url: &str, kind: &str, settings: &str) -> Arc<dyn Provider> {
    let settings = provider::Settings::read(kind, settings.parse().unwrap()).unwrap();
    let limits = contract::limits();
    let outbound = Outbound::new().unwrap();
    provider::build(
        &"blue".parse().unwrap(),
        &settings,
        &limits,
        public_url,
        "t-1",
        &outbound,
    )
    .unwrap()
}

/// What wrong settings are answered with.
pub fn complaint(kind: &str, settings: &str) -> String {
    let read = provider::Settings::read(kind, settings.parse().unwrap());
    read.map(|_| ()).unwrap_err().to_string()
}

/// Sends one message to a stand-in that answers so; what came of it, and what the stand-in heard.
pub async fn sent(kind: &str, settings: &str, status: u16, body: &str) -> (Answer, String) {
    let stub = Stub::start(vec![answer(status, "", body)]).await;
    let settings = format!("{settings}\nbase_url = \"http://{}\"", stub.address);
    let answer = account(kind, &settings).send(&parcel()).await;
    (answer, stub.heard().remove(0))
}

/// The outcome's word and the code of each of these answers.
pub async fn expect_outcomes(kind: &str, settings: &str, cases: &[(u16, &str, &str, &str)]) {
    for (status, body, outcome, code) in cases {
        let (answer, _) = sent(kind, settings, *status, body).await;
        let found = (answer.outcome.word(), answer.code.as_deref().unwrap_or("none"));
        assert_eq!(found, (*outcome, *code), "{status} {body}");
    }
}

/// A message that is worth something for two hours.
pub fn parcel() -> Parcel {
    Parcel {
        body: "Your code is 4711".to_owned(),
        expires_at: crate::clock::Clock::System.now() + Duration::from_secs(7_200),
        ..contract::parcel()
    }
}

/// The form a stand-in was sent.
pub fn form_of(heard: &str) -> Vec<(String, String)> {
    let (_, body) = heard.split_once("\r\n\r\n").unwrap();
    let pairs = form_urlencoded::parse(body.as_bytes());
    pairs
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

/// A call with a form to the receipt URL, with that query and those headers.
pub fn call(query: &str, headers: &[(&str, &str)], body: &str) -> Call {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mark = if query.is_empty() { "" } else { "?" };
    Call {
        url: format!("{PUBLIC}/v1/receipts/blue{mark}{query}"),
        query: query.to_owned(),
        headers: headers.collect(),
        body: body.into(),
        ..contract::call()
    }
}

/// What was heard, each in a few words: `delivered a`, `bounced a: why`, `+98… writes STOP`, `+98… opted out: why`.
pub fn words_of(incoming: Result<Vec<Incoming>, Refusal>) -> Vec<String> {
    let one = |incoming| match incoming {
        Incoming::Receipt(receipt) => {
            let reason = receipt.verdict.reason().map(|reason| format!(": {reason}"));
            let (word, reference) = (receipt.verdict.word(), receipt.reference);
            format!("{word} {reference}{}", reason.unwrap_or_default())
        }
        Incoming::Text(text) => format!("{} writes {}", text.from, text.body),
        Incoming::OptedOut(out) => format!("{} opted out: {}", out.address, out.reason),
    };
    match incoming {
        Ok(incoming) => incoming.into_iter().map(one).collect(),
        Err(Refusal::Forged) => vec!["forged".to_owned()],
        Err(Refusal::Unreadable(why)) => vec![format!("unreadable: {why}")],
        Err(Refusal::NotExpected) => vec!["not expected".to_owned()],
        Err(Refusal::NotNow(why)) => vec![format!("not now: {why}")],
    }
}

/// The only text of what was heard.
pub fn text_of(incoming: Result<Vec<Incoming>, Refusal>) -> InboundText {
    match incoming.unwrap().as_slice() {
        [Incoming::Text(text)] => text.clone(),
        other => panic!("no text: {other:?}"),
    }
}

/// Holds an account of that kind to the contract: at a stand-in that says yes, at one that says nonsense, at none.
pub async fn keeps_the_contract(kind: &str, settings: &str, yes: &str) {
    for body in [yes, "{\"", ""] {
        let stub = Stub::start(vec![answer(200, "", body)]).await;
        let settings = format!("{settings}\nbase_url = \"http://{}\"", stub.address);
        contract::holds(&*account(kind, &settings)).await;
    }
    let nobody = format!("{settings}\nbase_url = \"http://127.0.0.1:1\"");
    contract::holds(&*account(kind, &nobody)).await;
}

#[test]
fn fields_come_by_query_form_or_json() {
    let get = Call {
        query: "a=1&b=%2B2".to_owned(),
        ..Call::default()
    };
    let form = Call {
        body: b"a=1&b=%2B2".to_vec(),
        ..Call::default()
    };
    let json = Call {
        body: br#" {"a": 1, "b": "+2", "c": null, "d": [1]}"#.to_vec(),
        ..Call::default()
    };
    for call in [get, form, json] {
        let fields = Fields::of(&call).unwrap();
        assert_eq!(
            (fields.get("a"), fields.get("b"), fields.get("c")),
            (Some("1"), Some("+2"), None)
        );
        assert!(fields.need("d").is_err());
    }
}

#[test]
fn more_fields_than_anybody_sends_are_refused() {
    let call = Call {
        body: "a=1&".repeat(100_000).into_bytes(),
        ..Call::default()
    };
    assert!(Fields::of(&call).is_err());
}

#[test]
fn a_number_used_once_can_say_one_thing_only() {
    let seen = Seen::default();
    let at = |hours: i64| from_millis(hours * 3_600_000);
    assert!(seen.fits("n", b"yes", at(0)) && seen.fits("n", b"yes", at(1)));
    assert!(!seen.fits("n", b"no", at(5)));
    assert!(seen.fits("n", b"no", at(7)), "forgotten after some hours");
}

#[test]
fn receipts_are_asked_for_where_a_provider_can_call() {
    for url in ["https://gw.example.org/v1", "http://gw.example.org:8080"] {
        assert!(is_public(url), "{url}");
    }
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost",
        "http://[::1]/",
        "http://my_gw.example.org",
        "x",
    ] {
        assert!(!is_public(url), "{url}");
    }
}

#[test]
fn numbers_are_written_as_providers_want_them() {
    assert_eq!(bare("+989122222222"), "989122222222");
    assert_eq!(international(" 989122222222"), "+989122222222");
    for other in ["AcmeInc", "12345", "+4915112345678"] {
        assert_eq!(international(other), other);
    }
}

#[test]
fn a_base_is_an_http_url_and_nothing_behind_it() {
    let base = Base::read("https://sms.example/api/").unwrap();
    assert_eq!(
        base.at(&["v1", "a/b", ""]).as_str(),
        "https://sms.example/api/v1/a%2Fb/"
    );
    assert_eq!(base.place(), ("sms.example".to_owned(), 443));
    for text in ["", "sms.example", "ftp://a", "https://a/?b=c", "https://user@a/"] {
        assert!(Base::read(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn what_a_send_learns_in_passing_comes_to_who_listens() {
    let mailbox = Mailbox::default();
    for _ in 0..3 {
        mailbox.put(opted_out("+98", "1", "stop", from_millis(0)));
    }
    assert_eq!(mailbox.fetch().await.len(), 3);
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
        let stub = Stub::start(vec![answer(201, "", "{}")]).await;
        let provider = account(
            kind,
            &format!("{settings}\nbase_url = \"http://{}\"", stub.address),
        );
        provider
            .send(&Parcel {
                body: mixed.clone(),
                ..parcel()
            })
            .await;
        let heard = stub.heard().remove(0);
        let json = heard
            .split_once("\r\n\r\n")
            .and_then(|(_, body)| serde_json::from_str::<serde_json::Value>(body).ok());
        let text = match json {
            Some(json) => json[field].as_str().map(ToOwned::to_owned),
            None => form_of(&heard)
                .into_iter()
                .find(|(name, _)| name == field)
                .map(|(_, text)| text),
        };
        assert_eq!(text.as_deref(), Some(mixed.as_str()), "{kind}");
    }
    let parts = crate::domain::text::split(&mixed);
    assert!(parts.len() > 20 && parts.concat() == mixed);
    let short = account("kavenegar", "api_key = \"k\"\nbase_url = \"http://127.0.0.1:1\"");
    let answer = short
        .send(&Parcel {
            body: mixed,
            ..parcel()
        })
        .await;
    assert_eq!(
        answer.outcome.word(),
        "rejected",
        "900 characters are the most there: {answer:?}"
    );
}
