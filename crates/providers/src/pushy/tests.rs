//! Pushy as a script over real sockets, made from the reference: sends, codes, and what it says when it is asked.

use std::time::Duration;

use super::*;
use crate::conformance;
use crate::http_stub::{HttpStub, StubAction, response};
use postrider_core::clock::from_millis;

const NOW_SECONDS: i64 = 1_784_642_585;
const TOKEN: &str = "a6345d0278adc55d3474f5";
const ACCEPTED_BODY: &str = r#"{"success":true,"id":"5ea9b214","info":{"devices":1,"failed":[]}}"#;

fn clock() -> Clock {
    Clock::manual(from_millis(NOW_SECONDS * 1_000))
}

fn pushy_with(stub: &HttpStub, more: &str, clock: Clock) -> Pushy {
    let text = format!(
        "api_key = \"hunter2\"\nbase_url = \"http://{}\"\n{more}",
        stub.address
    );
    let settings = PushySettings::read(text.parse().unwrap()).unwrap();
    let context = AdapterContext {
        clock,
        ..conformance::sample_context()
    };
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
async fn it_sends_as_the_reference_says() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let pushy = pushy_with(
        &stub,
        "title = \"Acme\"\nsound = \"ping.aiff\"\n[data]\nkind = \"otp\"",
        clock(),
    );
    let answer = pushy
        .send(&OutboundMessage {
            subject: None,
            ..push_message()
        })
        .await;
    assert_eq!(
        answer.outcome,
        Outcome::Accepted {
            reference: Some("5ea9b214".to_owned())
        }
    );
    let heard = stub.requests().remove(0);
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /push?api_key=hunter2 HTTP/1.1"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    let said = conformance::sample_message().body;
    let wanted = json!({
        "to": TOKEN,
        "data": {"message": said, "title": "Acme", "gw_id": gateway_id(&push_message()).to_string(), "kind": "otp"},
        "notification": {"title": "Acme", "body": said, "sound": "ping.aiff"},
        "time_to_live": 600,
    });
    assert_eq!(body, wanted);
}

#[tokio::test]
async fn every_documented_code_comes_to_its_outcome() {
    for (status, code, error, outcome) in [
        (
            400,
            "NO_RECIPIENTS",
            "We could not find any devices",
            "invalid_recipient",
        ),
        (400, "INVALID_PARAM", "The data parameter is invalid", "rejected"),
        (
            400,
            "INVALID_PARAM",
            "The device token is invalid",
            "invalid_recipient",
        ),
        (400, "PAYLOAD_LIMIT_EXCEEDED", "too long", "rejected"),
        (400, "NO_APNS_AUTH", "Please configure APNs", "misconfigured"),
        (401, "INVALID_API_KEY", "no such key", "misconfigured"),
        (403, "AUTH_LIMIT_EXCEEDED", "upgrade", "misconfigured"),
        (403, "ACCOUNT_SUSPENDED", "suspended", "misconfigured"),
        (429, "RATE_LIMIT_EXCEEDED", "slow down", "throttled"),
        (500, "INTERNAL_SERVER_ERROR", "oops", "unavailable"),
        (500, "INTERNAL_ERROR", "oops", "unavailable"),
        (401, "BRAND_NEW", "who knows", "misconfigured"),
        (418, "BRAND_NEW", "who knows", "rejected"),
        (502, "BRAND_NEW", "who knows", "unavailable"),
    ] {
        let body = json!({"code": code, "error": error}).to_string();
        let answer = send_result_for(response(status, "", &body)).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{code}: {answer:?}");
        assert_eq!(answer.code.as_deref(), Some(code));
        let shown = format!("{answer:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("http:"), "{shown}");
    }
}

#[tokio::test]
async fn a_yes_for_nobody_is_a_dead_token() {
    for (body, outcome) in [
        (r#"{"success":true,"id":"5ea9b214"}"#, "accepted"),
        (
            r#"{"success":true,"id":"5","info":{"devices":0,"failed":[]}}"#,
            "invalid_recipient",
        ),
        (
            r#"{"success":true,"id":"5","info":{"devices":1,"failed":["a6345d0278adc55d3474f5"]}}"#,
            "invalid_recipient",
        ),
        (
            r#"{"success":true,"id":"5","info":{"devices":1,"failed":["another"]}}"#,
            "accepted",
        ),
        (r#"{"success":false}"#, "unknown"),
        ("<html>Log in to the hotel</html>", "unknown"),
    ] {
        let answer = send_result_for(response(200, "", body)).await;
        assert_eq!(answer.outcome.as_str(), outcome, "{body}: {answer:?}");
    }
    assert_eq!(
        send_result_for(StubAction::RespondAndClose(Vec::new()))
            .await
            .outcome
            .as_str(),
        "unknown"
    );
}

#[tokio::test]
async fn a_topic_is_no_token() {
    let stub = HttpStub::start(vec![response(200, "", ACCEPTED_BODY)]).await;
    let parcel = OutboundMessage {
        to: "/topics/everybody".to_owned(),
        ..push_message()
    };
    assert_eq!(
        pushy(&stub).send(&parcel).await.outcome.as_str(),
        "invalid_recipient"
    );
    assert_eq!(stub.requests(), Vec::<String>::new());
}

/// Sends once, and hears what Pushy says when it is asked: `pending` for the first so many questions.
async fn provider_after_send(pending: usize) -> (HttpStub, Clock, Pushy) {
    let stub = HttpStub::scripted(move |count, request| {
        if request.starts_with("POST") {
            return response(200, "", ACCEPTED_BODY);
        }
        let waiting = if count - 1 <= pending {
            vec![TOKEN]
        } else {
            Vec::new()
        };
        response(
            200,
            "",
            &json!({"push": {"pending_devices": waiting}}).to_string(),
        )
    })
    .await;
    let clock = clock();
    let pushy = pushy_with(&stub, "", clock.clone());
    pushy.send(&push_message()).await;
    (stub, clock, pushy)
}

fn only_receipt(incoming: &[CallbackItem]) -> (&str, &'static str) {
    match incoming {
        [CallbackItem::Receipt(receipt)] => (&receipt.reference, receipt.status.as_str()),
        other => panic!("not one receipt: {other:?}"),
    }
}

/// Asks until so many questions were asked; what comes of them is not waited for.
async fn poll_without_receipts(pushy: &Pushy, stub: &HttpStub, questions: usize) {
    let asked = async {
        while stub.requests().len() < questions + 1 {
            postrider_core::clock::sleep(Duration::from_millis(2)).await;
        }
        postrider_core::clock::sleep(Duration::from_millis(50)).await;
    };
    tokio::select! {
        receipts = pushy.receive() => panic!("too early: {receipts:?}"),
        () = asked => {}
    }
}

#[tokio::test]
async fn it_asks_later_and_later_until_the_device_has_it() {
    let (stub, clock, pushy) = provider_after_send(2).await;
    for (wait, questions) in [(5, 1), (25, 2)] {
        clock.advance(Duration::from_secs(wait));
        poll_without_receipts(&pushy, &stub, questions).await;
        assert_eq!(stub.requests().len(), questions + 1);
    }
    clock.advance(Duration::from_secs(270));
    assert_eq!(only_receipt(&pushy.receive().await), ("5ea9b214", "delivered"));
    let question = stub.requests().pop().unwrap();
    assert!(
        question.starts_with("GET /pushes/5ea9b214?api_key=hunter2"),
        "{question}"
    );
}

#[tokio::test]
async fn what_no_device_has_fetched_in_time_has_bounced() {
    let (stub, clock, pushy) = provider_after_send(99).await;
    for (wait, questions) in [(5, 1), (25, 2), (270, 3)] {
        clock.advance(Duration::from_secs(wait));
        poll_without_receipts(&pushy, &stub, questions).await;
    }
    clock.advance(Duration::from_secs(305));
    assert_eq!(only_receipt(&pushy.receive().await), ("5ea9b214", "bounced"));
}

#[tokio::test]
async fn it_is_held_to_the_contract_and_checks_its_key() {
    let stub = HttpStub::scripted(
        |_, request| match request.starts_with("GET /topics?api_key=hunter2 ") {
            true => response(200, "", r#"{"topics":[]}"#),
            false => response(200, "", ACCEPTED_BODY),
        },
    )
    .await;
    let right = pushy(&stub);
    conformance::check_provider(&right).await;
    assert_eq!(
        right.parse_callback_sync(&conformance::sample_callback()),
        Err(CallbackError::NotSupported)
    );
    assert!(matches!(right.check_account().await, AccountCheck::Passed(_)));
    let stub = HttpStub::start(vec![response(
        401,
        "",
        r#"{"code":"INVALID_API_KEY","error":"no"}"#,
    )])
    .await;
    let checked = pushy(&stub).check_account().await;
    assert!(
        matches!(&checked, AccountCheck::Failed(words) if words.contains("api_key")),
        "{checked:?}"
    );
}

#[test]
fn wrong_settings_are_refused_with_the_remedy_and_no_secret_is_shown() {
    for (text, words) in [
        ("", "api_key"),
        ("api_key = \" \"", "api_key: is empty"),
        ("api_key = \"a\"\n[data]\nmessage = \"b\"", "data.message"),
        ("api_key = \"a\"\nreceipt_token = \"b\"", "receipt_token"),
    ] {
        let fault = PushySettings::read(text.parse().unwrap())
            .err()
            .unwrap()
            .to_string();
        assert!(fault.contains(words), "{fault}");
    }
    let settings = PushySettings::read("api_key = \"hunter2\"".parse().unwrap()).unwrap();
    assert!(!format!("{settings:?}").contains("hunter2"));
}
