//! Statuses, redirects, broken connections and missing responses.

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::*;

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_unavailable() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for host in [free.to_string(), "unknown-host.invalid".to_owned()] {
        let provider = http_provider(&format!("url = \"http://{host}/\""), &conformance::short_limits());
        assert_eq!(
            provider.send(&conformance::sample_message()).await.outcome.as_str(),
            "unavailable",
            "{host}"
        );
    }
}

#[tokio::test]
async fn a_provider_that_accepts_no_connection_is_unavailable() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(0).unwrap();
    let address = listener.local_addr().unwrap();
    let _pending: Vec<_> = (0..4).map(|_| tokio::spawn(TcpStream::connect(address))).collect();
    postrider_core::clock::sleep(Duration::from_millis(50)).await;
    let provider = http_provider(&format!("url = \"http://{address}/\""), &conformance::short_limits());
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn no_response_after_the_request_had_left_is_unknown() {
    let incomplete = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"mess".to_vec();
    for action in [
        StubAction::RespondAndStall(Vec::new()),
        StubAction::RespondAndStall(b"HTTP/1.1 200".to_vec()),
        StubAction::RespondAndStall(incomplete.clone()),
        StubAction::RespondAndClose(Vec::new()),
        StubAction::RespondAndClose(b"HTTP/1.1 200".to_vec()),
        StubAction::RespondAndClose(incomplete),
        StubAction::RespondAndClose(b"220 mail.example ESMTP\r\n".to_vec()),
        StubAction::RespondAndClose(vec![0xff; 1_000]),
    ] {
        let outcome = outcome_with("", action.clone(), &conformance::short_limits()).await;
        assert_eq!(outcome.as_str(), "unknown", "{action:?}");
    }
}

#[tokio::test]
async fn an_incomplete_error_response_is_still_a_failure() {
    let incomplete = b"HTTP/1.1 500 Oh\r\ncontent-length: 100\r\n\r\nno".to_vec();
    assert_eq!(outcome_of(StubAction::RespondAndClose(incomplete)).await.as_str(), "unavailable");
}

#[tokio::test]
async fn a_response_is_read_up_to_the_limit() {
    let huge = "x".repeat(10_000_000);
    assert_eq!(outcome_of(response(500, "", &huge)).await.as_str(), "unavailable");
    assert_eq!(outcome_of(response(200, "", &huge)).await.as_str(), "accepted");
    let with_reference = "reference = \"json:id\"";
    assert_eq!(
        outcome_with(with_reference, response(200, "", &huge), &conformance::sample_limits()).await.as_str(),
        "unknown"
    );
}

#[tokio::test]
async fn every_status_has_the_shared_outcome_and_a_success_is_accepted() {
    for (status, outcome) in conformance::STATUS_OUTCOMES {
        let expected = match status {
            200..=299 => "accepted",
            403 => "unavailable",
            _ => outcome,
        };
        let outcome = outcome_of(response(status, "", "")).await;
        assert_eq!(outcome.as_str(), expected, "{status}");
    }
}

#[tokio::test]
async fn retry_after_sets_the_delay() {
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    for (status, headers, seconds) in [
        (429, "retry-after: 7\r\n", Some(7)),
        (503, "retry-after: 7\r\n", Some(7)),
        (429, date, Some(60)),
        (429, "retry-after: 999999999\r\n", Some(86_400)),
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
async fn a_redirect_to_another_host_is_not_followed() {
    let other = HttpStub::start(vec![response(200, "", "")]).await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("location: http://{}/x\r\n", other.address);
        let outcome = outcome_of(response(status, &location, "")).await;
        let expected = if status == 303 { "unknown" } else { "unavailable" };
        assert_eq!(outcome.as_str(), expected, "{status}");
        let reason = outcome.reason().unwrap();
        assert!(reason.contains(&other.address.to_string()), "{reason}");
    }
    assert_eq!(other.requests().len(), 0);
}

#[tokio::test]
async fn a_redirect_on_the_same_host_repeats_the_request_unchanged() {
    let stub = HttpStub::start(vec![response(307, "location: /there\r\n", ""), response(200, "", "")]).await;
    let settings = format!("url = \"http://{}/here\"\nform = {{ text = \"hello\" }}", stub.address);
    let provider = http_provider(&settings, &conformance::sample_limits());
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "accepted");
    let request = stub.requests();
    assert!(request[1].starts_with("POST /there") && request[1].ends_with("text=hello"), "{request:?}");
}

#[tokio::test]
async fn a_loop_of_redirects_ends() {
    let stub = HttpStub::start(vec![response(308, "location: /again\r\n", "")]).await;
    let provider =
        http_provider(&format!("url = \"http://{}/\"", stub.address), &conformance::sample_limits());
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "unavailable");
    assert_eq!(stub.requests().len(), 4);
}

#[tokio::test]
async fn an_idle_connection_that_breaks_during_a_request_is_unknown_and_not_repeated() {
    let stub = HttpStub::start(vec![response(200, "", ""), StubAction::RespondAndClose(Vec::new())]).await;
    let settings = format!("url = \"http://{}/\"\nform = {{ text = \"{{body}}\" }}", stub.address);
    let provider = http_provider(&settings, &conformance::sample_limits());
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "accepted");
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "unknown");
    assert_eq!(stub.requests().len(), 2);
}

#[tokio::test]
async fn a_late_response_is_not_taken_for_that_of_the_next_message() {
    let stub =
        HttpStub::start(vec![StubAction::RespondAndStall(Vec::new()), response(200, "", "second")]).await;
    let settings = format!("url = \"http://{}/\"\nreference = \"body\"", stub.address);
    let provider = http_provider(&settings, &conformance::short_limits());
    assert_eq!(provider.send(&conformance::sample_message()).await.outcome.as_str(), "unknown");
    let second = provider.send(&conformance::sample_message()).await.outcome;
    assert_eq!(second, Outcome::Accepted { reference: Some("second".to_owned()) });
}

#[tokio::test]
async fn a_page_an_error_or_an_empty_document_is_unknown_without_a_reference() {
    let with_json = "json = { text = \"{body}\" }";
    for (more, body, outcome) in [
        ("form = { text = \"{body}\" }", r#"{"error":101,"message":"Authorization failed"}"#, "unknown"),
        ("form = { text = \"{body}\" }", "<html><body>Sign in</body></html>", "unknown"),
        ("form = { text = \"{body}\" }", "", "accepted"),
        (with_json, "<!doctype html>", "unknown"),
        (with_json, "", "unknown"),
        (with_json, r#"{"id":"1"}"#, "accepted"),
        ("form = { text = \"{body}\" }\nreference = \"json:id\"", r#"{"error":101}"#, "unknown"),
        (
            "form = { text = \"{body}\" }\nreference = \"json:id\"",
            r#"{"id":"1","error":"minor"}"#,
            "accepted",
        ),
        (
            "form = { text = \"{body}\" }\nrules = [{ status = \"2xx\", outcome = \"accepted\" }]",
            r#"{"error":101}"#,
            "accepted",
        ),
    ] {
        let stub = HttpStub::start(vec![response(200, "", body)]).await;
        let settings = format!("url = \"http://{}/send\"\n{more}", stub.address);
        let provider = http_provider(&settings, &conformance::sample_limits());
        let result = provider.send(&conformance::sample_message()).await;
        assert_eq!(result.outcome.as_str(), outcome, "{more} {body}");
    }
}

#[test]
fn settings_that_cannot_tell_success_from_failure_are_warned_of() {
    for (more, is_warned) in [
        ("", true),
        ("rules = [{ status = \"500\", outcome = \"rejected\" }]", true),
        ("reference = \"json:id\"", false),
        ("rules = [{ body = \"OK\", outcome = \"accepted\" }]", false),
    ] {
        let settings = format!("url = \"http://127.0.0.1:9/\"\n{more}");
        let provider = http_provider(&settings, &conformance::sample_limits());
        assert_eq!(!provider.warnings().is_empty(), is_warned, "{more}");
    }
}
