//! Facebook as a script over real sockets, made from the reference: the Send API, and signed calls to us.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::clock::from_millis;
use crate::provider::contract;
use crate::provider::stub::{Act, Stub, answer};

const NOW_MILLIS: i64 = 1_784_642_585_000;
const TAKEN: &str = r#"{"recipient_id":"7263","message_id":"m_AG5"}"#;

fn messenger(base: &str, more: &str) -> Messenger {
    let text = format!("access_token = \"hunter2\"\npage_id = \"111\"\nbase_url = \"{base}\"\n{more}");
    let settings = Settings::read(text.parse().unwrap()).unwrap();
    let clock = Clock::manual(from_millis(NOW_MILLIS));
    Messenger::new(&settings, &contract::limits(), &Outbound::new().unwrap(), clock).unwrap()
}

const SECRETS: &str = "app_secret = \"sesame\"\nverify_token = \"open\"";

fn parcel() -> Parcel {
    Parcel {
        to: "7263".to_owned(),
        ..contract::parcel()
    }
}

async fn answer_to(act: Act) -> Answer {
    let stub = Stub::start(vec![act]).await;
    messenger(&format!("http://{}", stub.address), "")
        .send(&parcel())
        .await
}

#[tokio::test]
async fn it_sends_as_the_reference_says() {
    let stub = Stub::start(vec![answer(200, "", TAKEN)]).await;
    let more = format!("messaging_type = \"MESSAGE_TAG\"\ntag = \"HUMAN_AGENT\"\n{SECRETS}");
    let answer = messenger(&format!("http://{}", stub.address), &more)
        .send(&parcel())
        .await;
    assert_eq!(
        answer.outcome,
        Outcome::Accepted {
            reference: Some("m_AG5".to_owned())
        }
    );
    let heard = stub.heard().remove(0);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    // printf hunter2 | openssl dgst -sha256 -hmac sesame
    let proof = crate::provider::stub::keys::digest("sesame", b"hunter2");
    let target = format!("POST /v24.0/111/messages?access_token=hunter2&appsecret_proof={proof} HTTP/1.1");
    assert!(head.starts_with(&target), "{head}");
    let wanted = json!({
        "recipient": {"id": "7263"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT",
        "message": {"text": contract::parcel().body},
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), wanted);
}

#[tokio::test]
async fn every_documented_code_comes_to_its_outcome() {
    for (code, sub, outcome) in [
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
        if let Some(sub) = sub {
            body["error"]["error_subcode"] = json!(sub);
        }
        let answer = answer_to(answer(400, "", &body.to_string())).await;
        assert_eq!(answer.outcome.word(), outcome, "{code}/{sub:?}: {answer:?}");
        let shown = sub.map_or_else(|| code.to_string(), |sub| format!("{code}/{sub}"));
        assert_eq!(answer.code, Some(shown));
        assert!(!format!("{answer:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_says_that_it_will_pass_is_believed_and_what_is_no_answer_is_not() {
    for (act, outcome) in [
        (
            answer(400, "", r#"{"error":{"code":987654,"is_transient":true}}"#),
            "unavailable",
        ),
        (
            answer(400, "", r#"{"error":{"code":190,"is_transient":true}}"#),
            "unavailable",
        ),
        (answer(500, "", ""), "unavailable"),
        (answer(429, "", ""), "throttled"),
        (answer(200, "", "<html>Log in to the hotel</html>"), "unknown"),
        (Act::Break(Vec::new()), "unknown"),
    ] {
        let answer = answer_to(act.clone()).await;
        assert_eq!(answer.outcome.word(), outcome, "{act:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_time_it_asks_for_is_kept() {
    let body = r#"{"error":{"code":613}}"#;
    let usage = |minutes: u32| {
        format!(
            "x-business-use-case-usage: {{\"1\":[{{\"estimated_time_to_regain_access\":{minutes}}}]}}\r\n"
        )
    };
    for (headers, seconds) in [
        (String::new(), 60),
        (usage(0), 60),
        (usage(5), 300),
        (usage(999), 3_600),
    ] {
        let outcome = answer_to(answer(400, &headers, body)).await.outcome;
        assert_eq!(
            outcome,
            Outcome::Throttled {
                retry_after: Some(Duration::from_secs(seconds))
            }
        );
    }
}

/// A call with a right signature.
fn signed(body: &Value) -> Call {
    let body = body.to_string().into_bytes();
    let digest = crate::provider::stub::keys::digest("sesame", &body);
    Call {
        headers: BTreeMap::from([("x-hub-signature-256".to_owned(), format!("sha256={digest}"))]),
        body,
        heard_at: from_millis(NOW_MILLIS + 60_000),
        ..contract::call()
    }
}

fn event(what: &Value) -> Value {
    let mut event =
        json!({"sender": {"id": "7263"}, "recipient": {"id": "111"}, "timestamp": NOW_MILLIS + 5_000});
    event
        .as_object_mut()
        .unwrap()
        .extend(what.as_object().unwrap().clone());
    json!({"object": "page", "entry": [{"id": "111", "time": NOW_MILLIS, "messaging": [event]}]})
}

fn words(incoming: &[Incoming]) -> Vec<String> {
    let word = |one: &Incoming| match one {
        Incoming::Receipt(receipt) => format!("{} {}", receipt.reference, receipt.verdict.word()),
        Incoming::Text(text) => format!("{} wrote {}", text.from, text.body),
        Incoming::OptedOut(opted) => format!("{opted:?}"),
    };
    incoming.iter().map(word).collect()
}

#[tokio::test]
async fn it_hears_that_a_message_was_delivered_read_or_answered() {
    let stub = Stub::start(vec![answer(200, "", TAKEN)]).await;
    let messenger = messenger(&format!("http://{}", stub.address), SECRETS);
    messenger.send(&parcel()).await;
    let (before, after) = (NOW_MILLIS - 1, NOW_MILLIS + 1);
    for (what, heard) in [
        (
            json!({"delivery": {"mids": ["m_X", "m_AG5"], "watermark": before}}),
            vec!["m_AG5 delivered", "m_X delivered"],
        ),
        (json!({"delivery": {"watermark": after}}), vec!["m_AG5 delivered"]),
        (json!({"read": {"watermark": after}}), vec!["m_AG5 opened"]),
        (json!({"read": {"watermark": before}}), vec![]),
        (
            json!({"message": {"mid": "m_1", "text": "STOP"}}),
            vec!["7263 wrote STOP"],
        ),
        (
            json!({"message": {"mid": "m_1", "text": "hello", "is_echo": true}}),
            vec![],
        ),
        (json!({"postback": {"payload": "x"}}), vec![]),
    ] {
        let incoming = messenger.receipts(&signed(&event(&what))).unwrap();
        assert_eq!(words(&incoming), heard, "{what}");
    }
}

#[test]
fn only_what_is_signed_with_the_apps_secret_is_heard() {
    let facebook = messenger("http://127.0.0.1:9", SECRETS);
    let right = signed(&event(&json!({"delivery": {"mids": ["m_AG5"]}})));
    assert_eq!(words(&facebook.receipts(&right).unwrap()), ["m_AG5 delivered"]);
    let signature = right.headers["x-hub-signature-256"].clone();
    for wrong in [
        "",
        "sha256=",
        "sha256=zz",
        &signature[7..],
        &signature[..69],
        &signature.replace("sha256", "sha1"),
    ] {
        let headers = BTreeMap::from([("x-hub-signature-256".to_owned(), wrong.to_owned())]);
        let call = Call {
            headers,
            ..right.clone()
        };
        assert_eq!(facebook.receipts(&call), Err(Refusal::Forged), "{wrong}");
    }
    let longer = [right.body.as_slice(), b" "].concat();
    assert_eq!(
        facebook.receipts(&Call {
            body: longer,
            ..right.clone()
        }),
        Err(Refusal::Forged)
    );
    let deaf = messenger("http://127.0.0.1:9", "");
    assert_eq!(deaf.receipts(&right), Err(Refusal::NotExpected));
}

#[test]
fn the_question_of_the_set_up_is_answered_when_it_shows_the_right_word() {
    let facebook = messenger("http://127.0.0.1:9", SECRETS);
    let question = |word: &str| Call {
        method: "GET".to_owned(),
        query: format!("hub.mode=subscribe&hub.verify_token={word}&hub.challenge=11%2B58"),
        ..contract::call()
    };
    assert_eq!(facebook.receipts(&question("open")), Ok(Vec::new()));
    let wanted = facebook.acknowledgement(&question("open")).unwrap();
    assert_eq!(wanted.body, "11+58");
    assert_eq!(facebook.receipts(&question("shut")), Err(Refusal::Forged));
    assert!(facebook.acknowledgement(&contract::call()).is_none());
}

#[tokio::test]
async fn it_is_held_to_the_contract_and_checks_its_token() {
    let stub = Stub::playing(
        |_, request| match request.starts_with("GET /v24.0/111?access_token=hunter2") {
            true => answer(200, "", r#"{"id":"111"}"#),
            false => answer(200, "", TAKEN),
        },
    )
    .await;
    let right = messenger(&format!("http://{}", stub.address), SECRETS);
    contract::holds(&right).await;
    assert!(matches!(right.check().await, Checked::Well(_)));
    let stub = Stub::start(vec![answer(400, "", r#"{"error":{"code":190}}"#)]).await;
    let checked = messenger(&format!("http://{}", stub.address), "").check().await;
    assert!(
        matches!(&checked, Checked::Wrong(words) if words.contains("190")),
        "{checked:?}"
    );
}

#[test]
fn wrong_settings_are_refused_with_the_remedy_and_no_secret_is_shown() {
    for (text, words) in [
        ("", "access_token"),
        ("access_token = \"\"", "access_token: is empty"),
        ("access_token = \"a\"\napp_secret = \"\"", "app_secret: is empty"),
        (
            "access_token = \"a\"\nmessaging_type = \"PROMO\"",
            "messaging_type: write RESPONSE",
        ),
        (
            "access_token = \"a\"\nmessaging_type = \"MESSAGE_TAG\"",
            "tag: is missing",
        ),
        ("access_token = \"a\"\ntag = \"HUMAN_AGENT\"", "tag: belongs to"),
        ("access_token = \"a\"\npage = \"b\"", "page"),
    ] {
        let fault = Settings::read(text.parse().unwrap()).err().unwrap().to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let text = format!("access_token = \"hunter2\"\n{SECRETS}");
    let shown = format!("{:?}", Settings::read(text.parse().unwrap()).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}
