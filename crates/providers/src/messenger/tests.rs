//! Facebook as a script over real sockets, made from the reference: the Send API, and signed calls to us.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::conformance;
use crate::http_stub::{HttpStub, StubAction, response};
use postrider_core::clock::from_millis;

const NOW_MILLIS: i64 = 1_784_642_585_000;
const ACCEPTED_BODY: &str = r#"{"recipient_id":"7263","message_id":"m_AG5"}"#;

fn messenger(base: &str, more: &str) -> Messenger {
    let text = format!("access_token = \"hunter2\"\npage_id = \"111\"\nbase_url = \"{base}\"\n{more}");
    let settings = MessengerSettings::read(text.parse().unwrap()).unwrap();
    let context = AdapterContext {
        clock: Clock::manual(from_millis(NOW_MILLIS)),
        ..conformance::sample_context()
    };
    Messenger::new(&context, &settings).unwrap()
}

const SECRETS: &str = "app_secret = \"sesame\"\nverify_token = \"open\"";

fn message() -> OutboundMessage {
    OutboundMessage {
        to: "7263".to_owned(),
        ..conformance::sample_message()
    }
}

async fn send_result_for(act: StubAction) -> SendResult {
    let stub = HttpStub::start(vec![act]).await;
    messenger(&format!("http://{}", stub.address), "")
        .send(&message())
        .await
}

#[tokio::test]
async fn it_sends_as_the_reference_says() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let more = format!("messaging_type = \"MESSAGE_TAG\"\ntag = \"HUMAN_AGENT\"\n{SECRETS}");
    let answer = messenger(&format!("http://{}", stub.address), &more)
        .send(&message())
        .await;
    assert_eq!(
        answer.outcome,
        Outcome::Accepted {
            reference: Some("m_AG5".to_owned())
        }
    );
    let heard = stub.requests().remove(0);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    // printf hunter2 | openssl dgst -sha256 -hmac sesame
    let proof = crate::http_stub::openssl::hmac_sha256_hex("sesame", b"hunter2");
    let target = format!("POST /v24.0/111/messages?access_token=hunter2&appsecret_proof={proof} HTTP/1.1");
    assert!(head.starts_with(&target), "{head}");
    let wanted = json!({
        "recipient": {"id": "7263"}, "messaging_type": "MESSAGE_TAG", "tag": "HUMAN_AGENT",
        "message": {"text": conformance::sample_message().body},
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
        let answer = send_result_for(response(400, "", &body.to_string())).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{code}/{sub:?}: {answer:?}");
        let shown = sub.map_or_else(|| code.to_string(), |sub| format!("{code}/{sub}"));
        assert_eq!(answer.code, Some(shown));
        assert!(!format!("{answer:?}").contains("hunter2"));
    }
}

#[tokio::test]
async fn what_says_that_it_will_pass_is_believed_and_what_is_no_answer_is_not() {
    for (act, outcome) in [
        (
            response(400, "", r#"{"error":{"code":987654,"is_transient":true}}"#),
            "unavailable",
        ),
        (
            response(400, "", r#"{"error":{"code":190,"is_transient":true}}"#),
            "unavailable",
        ),
        (response(500, "", ""), "unavailable"),
        (response(429, "", ""), "throttled"),
        (response(200, "", "<html>Log in to the hotel</html>"), "unknown"),
        (StubAction::RespondAndClose(Vec::new()), "unknown"),
    ] {
        let answer = send_result_for(act.clone()).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{act:?}: {answer:?}");
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
        let outcome = send_result_for(response(400, &headers, body)).await.outcome;
        assert_eq!(
            outcome,
            Outcome::Throttled {
                retry_after: Some(Duration::from_secs(seconds))
            }
        );
    }
}

/// A call with a right signature.
fn signed_callback(body: &Value) -> CallbackRequest {
    let body = body.to_string().into_bytes();
    let digest = crate::http_stub::openssl::hmac_sha256_hex("sesame", &body);
    CallbackRequest {
        headers: BTreeMap::from([("x-hub-signature-256".to_owned(), format!("sha256={digest}"))]),
        body,
        received_at: from_millis(NOW_MILLIS + 60_000),
        ..conformance::sample_callback()
    }
}

fn event_json(what: &Value) -> Value {
    let mut event =
        json!({"sender": {"id": "7263"}, "recipient": {"id": "111"}, "timestamp": NOW_MILLIS + 5_000});
    event
        .as_object_mut()
        .unwrap()
        .extend(what.as_object().unwrap().clone());
    json!({"object": "page", "entry": [{"id": "111", "time": NOW_MILLIS, "messaging": [event]}]})
}

fn describe_incoming(incoming: &[CallbackItem]) -> Vec<String> {
    let word = |one: &CallbackItem| match one {
        CallbackItem::Receipt(receipt) => format!("{} {}", receipt.reference, receipt.status.as_str()),
        CallbackItem::InboundMessage(text) => format!("{} wrote {}", text.from, text.body),
        CallbackItem::OptedOut(opted) => format!("{opted:?}"),
    };
    incoming.iter().map(word).collect()
}

#[tokio::test]
async fn it_hears_that_a_message_was_delivered_read_or_answered() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let messenger = messenger(&format!("http://{}", stub.address), SECRETS);
    messenger.send(&message()).await;
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
        let incoming = messenger
            .parse_callback_sync(&signed_callback(&event_json(&what)))
            .unwrap();
        assert_eq!(describe_incoming(&incoming), heard, "{what}");
    }
}

#[test]
fn only_what_is_signed_with_the_apps_secret_is_heard() {
    let facebook = messenger("http://127.0.0.1:9", SECRETS);
    let right = signed_callback(&event_json(&json!({"delivery": {"mids": ["m_AG5"]}})));
    assert_eq!(
        describe_incoming(&facebook.parse_callback_sync(&right).unwrap()),
        ["m_AG5 delivered"]
    );
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
        let call = CallbackRequest {
            headers,
            ..right.clone()
        };
        assert_eq!(
            facebook.parse_callback_sync(&call),
            Err(CallbackError::Unauthenticated),
            "{wrong}"
        );
    }
    let longer = [right.body.as_slice(), b" "].concat();
    assert_eq!(
        facebook.parse_callback_sync(&CallbackRequest {
            body: longer,
            ..right.clone()
        }),
        Err(CallbackError::Unauthenticated)
    );
    let deaf = messenger("http://127.0.0.1:9", "");
    assert_eq!(deaf.parse_callback_sync(&right), Err(CallbackError::NotSupported));
}

#[test]
fn the_question_of_the_set_up_is_answered_when_it_shows_the_right_word() {
    let facebook = messenger("http://127.0.0.1:9", SECRETS);
    let question = |word: &str| CallbackRequest {
        method: "GET".to_owned(),
        query: format!("hub.mode=subscribe&hub.verify_token={word}&hub.challenge=11%2B58"),
        ..conformance::sample_callback()
    };
    assert_eq!(facebook.parse_callback_sync(&question("open")), Ok(Vec::new()));
    let wanted = facebook.callback_response(&question("open")).unwrap();
    assert_eq!(wanted.body, "11+58");
    assert_eq!(
        facebook.parse_callback_sync(&question("shut")),
        Err(CallbackError::Unauthenticated)
    );
    assert!(
        facebook
            .callback_response(&conformance::sample_callback())
            .is_none()
    );
}

#[tokio::test]
async fn it_is_held_to_the_contract_and_checks_its_token() {
    let stub =
        HttpStub::scripted(
            |_, request| match request.starts_with("GET /v24.0/111?access_token=hunter2") {
                true => response(200, "", r#"{"id":"111"}"#),
                false => response(200, "", ACCEPTED_BODY),
            },
        )
        .await;
    let right = messenger(&format!("http://{}", stub.address), SECRETS);
    conformance::check_provider(&right).await;
    assert!(matches!(right.check_account().await, AccountCheck::Passed(_)));
    let stub = HttpStub::start(vec![response(400, "", r#"{"error":{"code":190}}"#)]).await;
    let checked = messenger(&format!("http://{}", stub.address), "")
        .check_account()
        .await;
    assert!(
        matches!(&checked, AccountCheck::Failed(words) if words.contains("190")),
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
        let fault = MessengerSettings::read(text.parse().unwrap())
            .err()
            .unwrap()
            .to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let text = format!("access_token = \"hunter2\"\n{SECRETS}");
    let shown = format!("{:?}", MessengerSettings::read(text.parse().unwrap()).unwrap());
    assert!(!shown.contains("hunter2") && !shown.contains("sesame"), "{shown}");
}
