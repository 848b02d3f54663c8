//! The adapter over real sockets: two systems' wires by configuration alone, and every kind of bad provider.

use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;
use crate::http_stub::{HttpStub, StubAction, response, response_bytes};
use crate::{CallLimits, conformance};
use postrider_core::receipt::{Receipt, ReceiptStatus};

fn http_provider(settings: &str, limits: &CallLimits) -> HttpProvider {
    let settings = HttpSettings::read(settings.parse().unwrap()).unwrap();
    let context = AdapterContext {
        limits: limits.clone(),
        public_url: "https://postrider.example".to_owned(),
        ..conformance::sample_context()
    };
    HttpProvider::new(&context, &settings).unwrap()
}

/// What a provider that acts so comes to, for a plain configuration.
async fn outcome_of(act: StubAction) -> Outcome {
    outcome_with("", act, &conformance::sample_limits()).await
}

async fn outcome_with(more: &str, act: StubAction, limits: &CallLimits) -> Outcome {
    let stub = HttpStub::start(vec![act]).await;
    let settings = format!(
        "url = \"http://{}/send\"\nform = {{ text = \"{{body}}\" }}\n{more}",
        stub.address
    );
    let outcome = http_provider(&settings, limits)
        .send(&conformance::sample_message())
        .await
        .outcome;
    assert_eq!(stub.requests().len(), 1, "nothing is ever repeated");
    outcome
}

fn short_limits() -> CallLimits {
    CallLimits {
        connect_timeout: Duration::from_millis(200),
        call_timeout: Duration::from_millis(300),
        ..conformance::sample_limits()
    }
}

#[tokio::test]
async fn system_a_is_spoken_by_configuration_alone() {
    let stub = HttpStub::start(vec![response(202, "", "done"), response(500, "", "no")]).await;
    let blue = http_provider(
        &format!(
            "url = \"http://{}/sms/send/?number={{spelling}}&body={{body}}\"",
            stub.address
        ),
        &conformance::sample_limits(),
    );
    let first = blue.send(&conformance::sample_message()).await;
    let second = blue.send(&conformance::sample_message()).await;
    assert_eq!(first.outcome, Outcome::Accepted { reference: None });
    assert_eq!(
        second.outcome,
        Outcome::Unavailable {
            reason: "no".to_owned()
        }
    );
    assert_eq!(second.code.as_deref(), Some("HTTP 500"));
    assert_eq!(blue.endpoint(), ("127.0.0.1".to_owned(), stub.address.port()));
    let heard = &stub.requests()[0];
    let target =
        "GET /sms/send/?number=0912%20222%202222&body=Hello%2C%20w%C3%B6rld%20%26%20100%25%20%22%D8%B3";
    assert!(heard.starts_with(target), "{heard}");
}

const SYSTEM_C: &str = r#"
    reference = "json:message_id"
    receipts = "texting"
    [json]
    to_number = "{spelling}"
    message = "{body}"
    callback_url = "{delivery_status_url}"
"#;

/// The same callback, read at `/v1/receipts/NAME`.
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
async fn system_c_is_spoken_by_configuration_alone() {
    let taken = response(200, "", r#"{"message_id":"a09acfb6"}"#);
    let stub = HttpStub::start(vec![taken, response(500, "", "anything")]).await;
    let blue = http_provider(
        &format!("url = \"http://{}/texts\"\n{SYSTEM_C}", stub.address),
        &conformance::sample_limits(),
    );
    let parcel = conformance::sample_message();
    let first = blue.send(&parcel).await.outcome;
    let second = blue.send(&parcel).await.outcome;
    assert_eq!(
        first,
        Outcome::Accepted {
            reference: Some("a09acfb6".to_owned())
        }
    );
    assert!(second.is_about_provider());
    let (head, body) = stub.requests()[0]
        .split_once("\r\n\r\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    assert!(
        head.starts_with("POST /texts HTTP/1.1") && head.contains("content-type: application/json"),
        "{head}"
    );
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let wanted = serde_json::json!({
        "to_number": parcel.spelling, "message": parcel.body,
        "callback_url": "https://postrider.example/messages/delivery_status?token=t-1",
    });
    assert_eq!(body, wanted);
}

#[test]
fn receipts_over_http_are_closed_unless_the_configuration_says_how_they_come() {
    const TABLE: &str = "[receipts]\nreference = \"any:id\"\nstatus = \"any:s\"\ndelivered = [\"d\"]\n";
    for (more, callbacks) in [
        (String::new(), CallbackMode::Disabled),
        ("receipts = \"texting\"".to_owned(), CallbackMode::Texting),
        (format!("{TABLE}unsigned = true"), CallbackMode::Unsigned),
        (format!("{TABLE}token = \"s3 cret\""), CallbackMode::Authenticated),
        (
            format!("{TABLE}hmac = {{ header = \"x\", secret = \"s\" }}"),
            CallbackMode::Authenticated,
        ),
    ] {
        let blue = http_provider(
            &format!("url = \"http://127.0.0.1:9/texts\"\n{more}"),
            &conformance::sample_limits(),
        );
        assert_eq!(blue.callback_mode(), callbacks, "{more}");
        let takes_any = callbacks == CallbackMode::Unsigned || callbacks == CallbackMode::Authenticated;
        let refused =
            blue.parse_callback_sync(&conformance::sample_callback()) == Err(CallbackError::NotSupported);
        assert_eq!(refused, !takes_any, "{more}");
    }
}

#[test]
fn system_c_reports_back_in_json_and_in_a_form() {
    let blue = http_provider(
        &format!("url = \"http://127.0.0.1:9/texts\"\n{RECEIPTS_OF_SYSTEM_C}"),
        &conformance::sample_limits(),
    );
    for body in [
        r#"{"status":"delivered","message_id":"a09"}"#,
        "status=delivered&message_id=a09",
    ] {
        let receipts = blue
            .parse_callback_sync(&CallbackRequest {
                body: body.into(),
                ..conformance::sample_callback()
            })
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
async fn keeps_the_contract() {
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
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    for place in [free.to_string(), "nobody.invalid".to_owned()] {
        let blue = http_provider(&format!("url = \"http://{place}/\""), &short_limits());
        assert_eq!(
            blue.send(&conformance::sample_message()).await.outcome.as_str(),
            "unavailable",
            "{place}"
        );
    }
}

#[tokio::test]
async fn a_provider_that_takes_no_connection_is_unavailable() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let full = socket.listen(0).unwrap();
    let address = full.local_addr().unwrap();
    let _waiting: Vec<_> = (0..4)
        .map(|_| tokio::spawn(TcpStream::connect(address)))
        .collect();
    postrider_core::clock::sleep(Duration::from_millis(50)).await;
    let blue = http_provider(&format!("url = \"http://{address}/\""), &short_limits());
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "unavailable"
    );
}

#[tokio::test]
async fn silence_after_the_request_had_left_is_unknown() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"mess".to_vec();
    for act in [
        StubAction::RespondAndStall(Vec::new()),
        StubAction::RespondAndStall(b"HTTP/1.1 200".to_vec()),
        StubAction::RespondAndStall(cut.clone()),
        StubAction::RespondAndClose(Vec::new()),
        StubAction::RespondAndClose(b"HTTP/1.1 200".to_vec()),
        StubAction::RespondAndClose(cut),
        StubAction::RespondAndClose(b"220 mail.example ESMTP\r\n".to_vec()),
        StubAction::RespondAndClose(vec![0xff; 1_000]),
    ] {
        let outcome = outcome_with("", act.clone(), &short_limits()).await;
        assert_eq!(outcome.as_str(), "unknown", "{act:?}");
    }
}

#[tokio::test]
async fn a_failure_that_is_cut_off_is_still_a_failure() {
    let cut = b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nno".to_vec();
    assert_eq!(
        outcome_of(StubAction::RespondAndClose(cut)).await.as_str(),
        "unavailable"
    );
}

#[tokio::test]
async fn an_endless_answer_is_not_read_to_its_end() {
    let huge = "x".repeat(10_000_000);
    assert_eq!(outcome_of(response(500, "", &huge)).await.as_str(), "unavailable");
    assert_eq!(outcome_of(response(200, "", &huge)).await.as_str(), "accepted");
    let reads = "reference = \"json:id\"";
    assert_eq!(
        outcome_with(reads, response(200, "", &huge), &conformance::sample_limits())
            .await
            .as_str(),
        "unknown"
    );
}

#[tokio::test]
async fn every_status_has_its_usual_meaning() {
    for (status, word) in [
        (200, "accepted"),
        (204, "accepted"),
        (301, "misconfigured"),
        (400, "rejected"),
        (401, "misconfigured"),
        (403, "misconfigured"),
        (404, "misconfigured"),
        (405, "misconfigured"),
        (408, "unavailable"),
        (410, "misconfigured"),
        (422, "rejected"),
        (425, "unavailable"),
        (429, "throttled"),
        (500, "unavailable"),
        (501, "misconfigured"),
        (503, "unavailable"),
    ] {
        assert_eq!(
            outcome_of(response(status, "", "")).await.as_str(),
            word,
            "{status}"
        );
    }
}

#[tokio::test]
async fn a_provider_says_how_long_it_wants_to_be_left_alone() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    for (status, headers, seconds) in [
        (429, "retry-after: 7\r\n", Some(7)),
        (503, "retry-after: 7\r\n", Some(7)),
        (429, date, Some(60)),
        (429, "retry-after: 999999999\r\n", Some(3_600)),
        (429, "retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Some(0)),
        (429, "retry-after: soon\r\n", None),
        (429, "", None),
    ] {
        let retry_after = seconds.map(Duration::from_secs);
        let outcome = outcome_of(response(status, headers, "")).await;
        assert_eq!(outcome, Outcome::Throttled { retry_after }, "{headers}");
    }
}

#[tokio::test]
async fn another_host_never_gets_the_message() {
    let other = HttpStub::start(vec![response(200, "", "")]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: http://{}/x\r\n", other.address);
        let Outcome::Misconfigured { reason } = outcome_of(response(status, &location, "")).await else {
            panic!("a redirect elsewhere needs the operator");
        };
        assert!(reason.contains(&other.address.to_string()), "{reason}");
    }
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_redirect_on_the_same_host_repeats_the_whole_request() {
    let stub = HttpStub::start(vec![
        response(307, "location: /there\r\n", ""),
        response(200, "", ""),
    ])
    .await;
    let settings = format!(
        "url = \"http://{}/here\"\nform = {{ text = \"hello\" }}",
        stub.address
    );
    let blue = http_provider(&settings, &conformance::sample_limits());
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "accepted"
    );
    let heard = stub.requests();
    assert!(
        heard[1].starts_with("POST /there") && heard[1].ends_with("text=hello"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let stub = HttpStub::start(vec![response(308, "location: /again\r\n", "")]).await;
    let blue = http_provider(
        &format!("url = \"http://{}/\"", stub.address),
        &conformance::sample_limits(),
    );
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "misconfigured"
    );
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn a_kept_connection_that_breaks_under_a_request_is_unknown_and_not_repeated() {
    let stub = HttpStub::start(vec![
        response(200, "", ""),
        StubAction::RespondAndClose(Vec::new()),
    ])
    .await;
    let settings = format!(
        "url = \"http://{}/\"\nform = {{ text = \"{{body}}\" }}",
        stub.address
    );
    let blue = http_provider(&settings, &conformance::sample_limits());
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "accepted"
    );
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "unknown"
    );
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn a_provider_that_came_too_late_does_not_answer_the_next_message() {
    let stub = HttpStub::start(vec![
        StubAction::RespondAndStall(Vec::new()),
        response(200, "", "second"),
    ])
    .await;
    let settings = format!("url = \"http://{}/\"\nreference = \"body\"", stub.address);
    let blue = http_provider(&settings, &short_limits());
    assert_eq!(
        blue.send(&conformance::sample_message()).await.outcome.as_str(),
        "unknown"
    );
    let second = blue.send(&conformance::sample_message()).await.outcome;
    assert_eq!(
        second,
        Outcome::Accepted {
            reference: Some("second".to_owned())
        }
    );
}

#[tokio::test]
async fn what_fits_no_url_or_header_is_rejected_and_nothing_leaves() {
    let stub = HttpStub::start(vec![response(200, "", "")]).await;
    let body = |body: &str| OutboundMessage {
        body: body.to_owned(),
        ..conformance::sample_message()
    };
    for (settings, body) in [
        ("url = \"http://{}/?b={body}\"", body(&"x".repeat(100_000))),
        ("url = \"http://{}/{body}/x\"", body("..")),
        (
            "url = \"http://{}/\"\nheaders = { X-Text = \"{body}\" }",
            body("a\r\nX-Other: b"),
        ),
    ] {
        let blue = http_provider(
            &settings.replace("{}", &stub.address.to_string()),
            &conformance::sample_limits(),
        );
        assert_eq!(blue.send(&body).await.outcome.as_str(), "rejected", "{settings}");
    }
    assert_eq!(stub.requests().len(), 0);
}

#[tokio::test]
async fn a_rule_says_what_a_providers_answer_means() {
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
    let deferred = Outcome::Deferred {
        reason: "handset off".to_owned(),
        retry_after: Some(Duration::from_secs(300)),
    };
    for (bytes, outcome) in [
        (
            message("0"),
            Outcome::Accepted {
                reference: Some("m-1".to_owned()),
            },
        ),
        (message("6"), Outcome::InvalidRecipient { reason: reason() }),
        (message("9"), Outcome::Rejected { reason: reason() }),
        (response_bytes(404, "", ""), deferred),
        (
            response_bytes(403, "", "please slow down!"),
            Outcome::Throttled { retry_after: None },
        ),
    ] {
        assert_eq!(
            outcome_with(rules, StubAction::Respond(bytes), &limits).await,
            outcome
        );
    }
    let garbage = outcome_with(rules, response(200, "", "<html>"), &limits).await;
    assert_eq!(
        garbage.as_str(),
        "unknown",
        "a success that should be JSON and is not may be none"
    );
}

#[tokio::test]
async fn a_success_without_a_word_is_one_where_it_may_be() {
    let reads = "reference = \"json:id\"";
    let ruled = "reference = \"json:id\"\n[[rules]]\nstatus = \"202\"\noutcome = \"accepted\"";
    for (settings, status, word) in [
        (reads, 204, "accepted"),
        (reads, 202, "unknown"),
        (ruled, 202, "accepted"),
    ] {
        let outcome = outcome_with(settings, response(status, "", ""), &conformance::sample_limits()).await;
        assert_eq!(outcome.as_str(), word, "{status}");
    }
}

#[tokio::test]
async fn a_reference_is_found_wherever_it_stands() {
    for (place, headers, body) in [
        ("header:X-Id", "x-id: m-1\r\n", ""),
        ("body", "", " m-1\n"),
        ("regex:id=([a-z0-9-]+)", "", "ok id=m-1;"),
        ("json:id", "", r#"{"id":"m-1"}"#),
    ] {
        let settings = format!("reference = \"{place}\"");
        let outcome = outcome_with(
            &settings,
            response(200, headers, body),
            &conformance::sample_limits(),
        )
        .await;
        assert_eq!(
            outcome,
            Outcome::Accepted {
                reference: Some("m-1".to_owned())
            },
            "{place}"
        );
    }
}
