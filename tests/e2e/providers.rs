//! Provider failures: each kind has its outcome, and the next provider sends the message where that is safe.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, free_address, wait_until};

const FAILOVER_CONFIG: &str = "[channels.sms]\nproviders = [\"red\", \"blue\"]\nstrategy = \"failover\"\n\
                        [retry]\nbase = \"100ms\"\ncap = \"200ms\"\n[work]\nlease = \"60s\"\n";

fn gateway_with_failover(red: &StubProvider, blue: &StubProvider) -> TestGateway {
    TestGateway::new(&format!(
        "{}{}{FAILOVER_CONFIG}",
        red.texting_config("red"),
        blue.texting_config("blue")
    ))
}

#[test]
fn the_second_provider_sends_what_the_first_cannot() {
    for (failure, outcome) in [
        (StubBehavior::Status(500), "red: unavailable"),
        (StubBehavior::Status(503), "red: unavailable"),
        (StubBehavior::Status(429), "red: throttled"),
        (StubBehavior::Status(401), "red: misconfigured"),
    ] {
        let (red, blue) = (StubProvider::new(failure), StubProvider::new(StubBehavior::Accept));
        let gateway = gateway_with_failover(&red, &blue);
        let _console = gateway.start_serve(&[]);
        let id = gateway.send("09122222222", "hello");
        gateway.wait_for_state(&id, &["sent"]);
        assert_eq!(gateway.attempts(&id), [outcome, "blue: accepted"], "{failure:?}");
    }
}

#[test]
fn a_provider_that_refuses_connections_is_skipped() {
    let blue = StubProvider::new(StubBehavior::Accept);
    let closed_address = free_address();
    let red = format!(
        "[providers.red]\nkind = \"http\"\nurl = \"http://{closed_address}/sms/send/?number={{to}}\"\n"
    );
    let gateway = TestGateway::new(&format!("{red}{}{FAILOVER_CONFIG}", blue.texting_config("blue")));
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "hello");
    gateway.wait_for_state(&id, &["sent"]);
    assert_eq!(gateway.attempts(&id), ["red: unavailable", "blue: accepted"]);
}

#[test]
fn a_call_without_an_answer_is_unknown_and_not_sent_through_another_provider() {
    for behavior in [StubBehavior::HangUp, StubBehavior::AcceptAfterMs(4_000)] {
        let (red, blue) = (StubProvider::new(behavior), StubProvider::new(StubBehavior::Accept));
        let channel = FAILOVER_CONFIG.replace("strategy", "unknown = \"hold\"\nstrategy");
        let gateway = TestGateway::new(&format!(
            "{}{}{channel}",
            red.texting_config("red"),
            blue.texting_config("blue")
        ));
        let _console = gateway.start_serve(&[]);
        let id = gateway.send("09122222222", "once");
        gateway.wait_for_state(&id, &["failed"]);
        assert_eq!(gateway.attempts(&id), ["red: unknown"], "{behavior:?}");
        assert_eq!(gateway.message(&id)["deliveries"][0]["failure"], "unknown");
        assert_eq!(blue.calls().len(), 0);
        assert_eq!(red.calls().len(), 1, "{behavior:?}");
    }
}

#[test]
fn when_all_fail_the_message_waits_and_is_sent_later() {
    let (red, blue) =
        (StubProvider::new(StubBehavior::Status(500)), StubProvider::new(StubBehavior::Status(500)));
    let gateway = gateway_with_failover(&red, &blue);
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "retried");
    wait_until("both providers have been tried", || gateway.attempts(&id).len() >= 2);
    assert_eq!(gateway.state(&id), "waiting");
    blue.set_behavior(StubBehavior::Accept);
    red.set_behavior(StubBehavior::Accept);
    gateway.wait_for_state(&id, &["sent"]);
}

#[test]
fn a_receipt_updates_a_message_and_an_invalid_number_gets_no_more_messages() {
    let red = StubProvider::new(StubBehavior::Accept);
    let gateway =
        TestGateway::new(&format!("{}[channels.sms]\nproviders = [\"red\"]\n", red.texting_config("red")));
    let _console = gateway.start_serve(&[]);
    let response =
        gateway.post("/messages", "{\"phone_number\":\"1231233211\",\"message_body\":\"Hello World\"}");
    let response = response.unwrap().json();
    assert_eq!(response["status"], "ok", "{response}");
    let id = response["message_id"].as_str().unwrap().to_owned();
    gateway.wait_for_state(&id, &["sent"]);
    let call: serde_json::Value = serde_json::from_str(&red.calls()[0]).unwrap();
    assert_eq!(call["to_number"], "1231233211");
    assert!(call["callback_url"].as_str().unwrap().contains("/messages/delivery_status?token="), "{call}");
    let reference = gateway.message(&id)["deliveries"][0]["reference"].as_str().unwrap().to_owned();
    let callback = |status: &str| {
        let body = format!("{{\"status\":\"{status}\",\"message_id\":\"{reference}\"}}");
        gateway.post(&red.last_callback_path(), &body).unwrap().json()
    };
    let forged = format!("{{\"status\":\"invalid\",\"message_id\":\"{reference}\"}}");
    for path in ["/messages/delivery_status", "/messages/delivery_status?token=guessed"] {
        let refused = gateway.post(path, &forged).unwrap();
        assert_eq!(refused.status, 401, "{refused:?}");
    }
    assert_eq!(gateway.state(&id), "sent", "without the token nothing changes");
    assert_eq!(callback("lost").to_string(), "{\"message\":\"Invalid status\",\"status\":\"error\"}");
    let applied = callback("invalid");
    assert_eq!(applied.to_string(), "{\"status\":\"ok\"}");
    assert_eq!(gateway.state(&id), "failed");
    assert_eq!(callback("delivered")["status"], "ok", "a later delivery corrects a failure");
    let metrics = gateway.get("/metrics").unwrap().body;
    assert!(
        metrics.contains("postrider_state_changes_total{channel=\"sms\",state=\"failed\"} 1"),
        "{metrics}"
    );
    assert_eq!(gateway.state(&id), "delivered");
    let again =
        gateway.post("/messages", "{\"phone_number\":\"1231233211\",\"message_body\":\"Hello\"}").unwrap();
    assert_eq!(again.json()["message"], "Phone number is inactive");
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages"), 1);
    assert!(gateway.run_ok(&["recipient", "1231233211"]).contains("is inactive"));
    gateway.run_ok(&["recipient", "1231233211", "--set", "active"]);
    let active = gateway.post("/messages", "{\"phone_number\":\"1231233211\",\"message_body\":\"Hello\"}");
    assert_eq!(active.unwrap().json()["status"], "ok");
}

#[test]
fn a_misconfigured_provider_is_logged_once_for_all_workers() {
    let (red, blue) = (StubProvider::new(StubBehavior::Status(401)), StubProvider::new(StubBehavior::Accept));
    let gateway = gateway_with_failover(&red, &blue);
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    let _workers = [(); 3].map(|()| gateway.start(&["work"]));
    // A worker that started after the provider was marked as misconfigured may have a corrected configuration and tries
    // once more; so each worker may call the provider once.
    let mut waves = 0;
    let mut calls = usize::MAX;
    while red.calls().len() != calls {
        waves += 1;
        assert!(waves <= 4, "the provider is still called after a call from each worker");
        calls = red.calls().len();
        let ids: Vec<String> =
            (0..20).map(|n| gateway.send("09122222222", &format!("message {n}"))).collect();
        for id in &ids {
            gateway.wait_for_state(id, &["sent"]);
        }
    }
    let error_lines = || {
        let log = gateway.log();
        let lines = log
            .lines()
            .filter(|line| line.contains("provider misconfigured") && line.contains("provider=red"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    wait_until("the error is logged", || !error_lines().is_empty());
    let errors = error_lines();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert!(errors[0].contains("ERROR") && errors[0].contains("HTTP 401"), "{errors:?}");
    assert_eq!(blue.calls().len(), waves * 20, "no message is lost or sent twice");
    let status = gateway.run_ok(&["status"]);
    let red = status.lines().find(|line| line.starts_with("red "));
    assert!(red.is_some_and(|line| line.contains("misconfigured")), "{status}");
}

#[test]
fn a_message_without_a_receipt_stays_sent_and_is_shown() {
    let red = StubProvider::new(StubBehavior::Accept);
    let channel = "[channels.sms]\nproviders = [\"red\"]\n";
    let gateway = TestGateway::new(&format!("{}{channel}", red.texting_config("red")));
    let _console = gateway.start_serve(&[]);
    let ids: Vec<String> = (0..5).map(|n| gateway.send("09122222222", &format!("message {n}"))).collect();
    for id in &ids {
        gateway.wait_for_state(id, &["sent"]);
    }
    gateway.run_ok(&["resend:msg"]);
    gateway.run_ok(&["sync:report"]);
    let status = gateway.run_ok(&["status"]);
    let sent = status.lines().find(|line| line.contains("without a receipt"));
    assert!(sent.is_some_and(|line| line.contains('5')), "{status}");
    let report = gateway.get("/v1/report").unwrap().json();
    assert_eq!(report["totals"]["sent"], 5, "{report}");
    assert_eq!(red.calls().len(), 5, "no message is sent again");
    for id in &ids {
        assert_eq!(gateway.state(id), "sent");
    }
}
