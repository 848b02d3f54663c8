//! Tests of the adapter over real sockets, against node-smpp.

mod connections;
mod incomplete_texts;
mod receipts;
mod smsc_peer;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::testing::conformance;
use crate::{CallLimits, HttpClientPool, Transcript};
use smsc_peer::SmscPeer;

fn settings_table(overrides: &str) -> toml::Table {
    let base =
        "base_url = \"smpp://127.0.0.1:1\"\nsystem_id = \"gwuser\"\npassword = \"s3cret\"\nfrom = \"Acme\"";
    let mut table: toml::Table = base.parse().unwrap();
    table.extend(overrides.parse::<toml::Table>().unwrap());
    table
}

fn settings(overrides: &str) -> SmppSettings {
    SmppSettings::read(settings_table(overrides)).unwrap()
}

/// Returns an adapter for the peer with delays that are short enough for a test.
fn provider_with_limits(peer: &SmscPeer, overrides: &str, limits: &CallLimits) -> Smpp {
    let mut table = settings_table("reconnect_delay = \"20ms\"\nthrottle_delay = \"50ms\"");
    table.insert("base_url".to_owned(), peer.url().into());
    table.extend(overrides.parse::<toml::Table>().unwrap());
    let settings = SmppSettings::read(table).unwrap();
    let context = AdapterContext { limits: limits.clone(), ..conformance::sample_context() };
    Smpp::new(&context, &settings).unwrap()
}

fn provider(peer: &SmscPeer, overrides: &str) -> Smpp {
    provider_with_limits(peer, overrides, &conformance::sample_limits())
}

fn limits_with_call_timeout(millis: u64) -> CallLimits {
    CallLimits { call_timeout: Duration::from_millis(millis), ..conformance::sample_limits() }
}

fn message(body: &str) -> OutboundMessage {
    OutboundMessage {
        to: "+989121234567".to_owned(),
        body: body.to_owned(),
        expires_at: Clock::System.now() + chrono::TimeDelta::minutes(10),
        ..conformance::sample_message()
    }
}

fn accepted_result(reference: &str) -> SendResult {
    SendResult::from(Outcome::Accepted { reference: Some(reference.to_owned()) })
}

#[tokio::test]
async fn the_adapter_conforms() {
    let peer = SmscPeer::start(json!({})).await;
    conformance::check_provider(&provider(&peer, "")).await;
}

#[tokio::test]
async fn a_text_arrives_as_another_implementation_reads_it() {
    let mut peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    let smpp = provider(&peer, "");
    let text = "Hello {€} @ wörld";
    assert_eq!(smpp.send(&message(text)).await, accepted_result("4b2f10a7"));
    let bind = peer.next_event("bind").await;
    assert_eq!((&bind["system_id"], &bind["version"]), (&json!("gwuser"), &json!(0x34)));
    let submit = peer.next_event("submit").await;
    for (field, value) in [
        ("text", json!(text)),
        ("from", json!("Acme")),
        ("from_ton", json!(5)),
        ("to", json!("989121234567")),
        ("to_ton", json!(1)),
        ("data_coding", json!(0)),
        ("registered", json!(1)),
    ] {
        assert_eq!(submit[field], value, "{field}");
    }
    let validity = submit["validity"].as_i64().unwrap();
    assert!((500_000..=605_000).contains(&validity), "{validity} ms");
    assert_eq!(smpp.send(&message("سلام 😀")).await, accepted_result("4b2f10a8"));
    let submit = peer.next_event("submit").await;
    assert_eq!((&submit["text"], &submit["data_coding"]), (&json!("سلام 😀"), &json!(8)));
}

#[tokio::test]
async fn a_long_message_is_sent_in_parts_and_gets_one_receipt() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = provider(&peer, "");
    let text = "ten chars ".repeat(40);
    assert_eq!(smpp.send(&message(&text)).await, accepted_result("4b2f10a9"));
    let mut received = String::new();
    for part in 1..=3 {
        let submit = peer.next_event("submit").await;
        let header = submit["udh"].as_str().unwrap();
        assert!(header.ends_with(&format!("030{part}")), "{header}");
        assert_eq!(submit["esm_class"], json!(0x40));
        received.push_str(submit["text"].as_str().unwrap());
    }
    assert_eq!(received, text);
    for id in ["4B2F10A9", "4B2F10A7", "4B2F10A8"] {
        peer.send_receipt(0, id, "DELIVRD").await;
    }
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a9");
    for response in ["deliver_sm_resp", "deliver_sm_resp"] {
        assert_eq!(peer.next_event(response).await["status"], json!(0));
    }
}

#[tokio::test]
async fn a_status_of_submit_sm_resp_becomes_its_outcome() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = provider(&peer, "[statuses]\n\"0x0411\" = \"rejected\"");
    for (status, outcome, code) in [
        (0x0B, "invalid_recipient", "0x0000000B RINVDSTADR"),
        (0x0A, "rejected", "0x0000000A RINVSRCADR"),
        (0x08, "unavailable", "0x00000008 RSYSERR"),
        (0x45, "deferred", "0x00000045 RSUBMITFAIL"),
        (0x66, "rejected", "0x00000066 RX_R_APPN"),
        (0x411, "rejected", "0x00000411"),
        (0x412, "deferred", "0x00000412"),
    ] {
        peer.plan_responses(json!([{ "status": status }])).await;
        let result = smpp.send(&message("a")).await;
        assert_eq!((result.outcome.as_str(), result.code.as_deref()), (outcome, Some(code)));
    }
}

#[tokio::test]
async fn a_status_about_the_sender_is_misconfigured_after_several_in_a_row() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = provider(&peer, "");
    let mut outcomes = Vec::new();
    for status in [0x0A, 0x0A, 0, 0x0A, 0x0A, 0x48, 0x0A, 0x0A] {
        peer.plan_responses(json!([{ "status": status }])).await;
        outcomes.push(smpp.send(&message("a")).await.outcome.as_str());
    }
    let expected =
        ["rejected", "rejected", "accepted", "rejected", "rejected", "rejected", "rejected", "misconfigured"];
    assert_eq!(outcomes, expected);
}

#[tokio::test]
async fn a_password_that_is_refused_twice_is_misconfigured() {
    let peer = SmscPeer::start(json!({ "password": "another" })).await;
    let smpp = provider(&peer, "");
    for _ in 0..1_000 {
        match smpp.send(&message("a")).await.outcome {
            Outcome::Misconfigured { .. } => return,
            Outcome::Unavailable { .. } => postrider_core::clock::sleep(Duration::from_millis(20)).await,
            other => panic!("unexpected outcome of a refused bind: {other:?}"),
        }
    }
    panic!("the second refusal does not count");
}

#[tokio::test]
async fn a_refused_password_is_never_shown() {
    let peer = SmscPeer::start(json!({ "password": "another" })).await;
    let transcript = Transcript::default();
    let smpp = provider_with_transcript(&peer, &transcript);
    let result = smpp.send(&message("a")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "one refused bind is no evidence");
    assert_eq!(result.code.as_deref(), Some("bind 0x0000000E RINVPASWD"));
    let check = smpp.check_account().await;
    let shown = format!("{result:?} {check:?} {:?}", transcript.lines());
    assert!(shown.contains("RINVPASWD"), "{shown}");
    for password in ["s3cret", "733363726574"] {
        assert!(!shown.contains(password), "{shown}");
    }
}

#[tokio::test]
async fn invalid_settings_are_rejected_with_the_name_of_their_key() {
    for (overrides, key) in [
        ("base_url = \"http://a:1\"", "base_url"),
        ("base_url = \"smpp://u:p@a:1\"", "base_url"),
        ("system_id = \"\"", "system_id"),
        ("system_id = \"sixteen-letters-\"", "system_id"),
        ("window = 0", "window"),
        ("binds = 17", "binds"),
        ("throttle_delay = \"0s\"", "throttle_delay"),
        ("validity_period = \"never\"", "validity_period"),
        ("statuses = { \"none\" = \"rejected\" }", "statuses"),
        ("colour = \"red\"", "colour"),
        ("from = \"\"", "from:"),
        ("from = \"TwelveLetter\"", "from:"),
        ("from = \"Gr\u{fc}n\"", "from:"),
        ("from = \"a\\u0000b\"", "from:"),
        ("from = \"123456789012345678901\"", "from:"),
    ] {
        let error = SmppSettings::read(settings_table(overrides)).err().unwrap().to_string();
        assert!(error.contains(key) && !error.contains("u:p"), "{error}");
    }
    let secure = settings("base_url = \"smpps://a\"\nca = \"none\"");
    let error = Smpp::new(&conformance::sample_context(), &secure);
    assert!(error.err().unwrap().to_string().contains("ca:"));
}

#[tokio::test]
async fn an_account_check_binds_and_reports_what_is_wrong() {
    let mut peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    assert!(matches!(provider(&peer, "").check_account().await, AccountCheck::Passed(_)));
    let wrong_password = provider(&peer, "password = \"guessed\"");
    let AccountCheck::Failed(reason) = wrong_password.check_account().await else {
        panic!("the password is wrong");
    };
    assert!(reason.contains("RINVPASWD") && !reason.contains("guessed"), "{reason}");
    peer.run_command(json!({ "do": "refuse", "status": 5 })).await;
    assert!(matches!(provider(&peer, "").check_account().await, AccountCheck::Untested(_)));
}

fn provider_with_transcript(peer: &SmscPeer, transcript: &Transcript) -> Smpp {
    let mut table = settings_table("");
    table.insert("base_url".to_owned(), peer.url().into());
    let context = AdapterContext {
        http_clients: HttpClientPool::default().with_transcript(transcript.clone()),
        ..conformance::sample_context()
    };
    Smpp::new(&context, &SmppSettings::read(table).unwrap()).unwrap()
}

#[tokio::test]
async fn a_transcript_holds_the_pdus_without_the_password() {
    let peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    let transcript = Transcript::default();
    let smpp = provider_with_transcript(&peer, &transcript);
    assert_eq!(smpp.send(&message("Hello")).await.outcome.as_str(), "accepted");
    let lines = transcript.lines().join("\n");
    for text in
        ["> BindTransceiver", "< BindTransceiverResp", "> SubmitSm", "Hello", "< SubmitSmResp", "4B2F10A7"]
    {
        assert!(lines.contains(text), "{text}: {lines}");
    }
    assert!(!lines.contains("s3cret") && !lines.contains("733363726574"), "{lines}");
}
