//! The adapter over real sockets, against node-smpp: its answers, its odd receipts, and every kind of broken link.

mod connections;
mod receipts;
mod smsc_peer;

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::{CallLimits, HttpClientPool, Transcript, conformance};
use smsc_peer::SmscPeer;

pub(super) fn settings_table(more: &str) -> toml::Table {
    let plain =
        "base_url = \"smpp://127.0.0.1:1\"\nsystem_id = \"gwuser\"\npassword = \"s3cret\"\nfrom = \"Acme\"";
    let mut table: toml::Table = plain.parse().unwrap();
    table.extend(more.parse::<toml::Table>().unwrap());
    table
}

pub(super) fn settings(more: &str) -> SmppSettings {
    SmppSettings::read(settings_table(more)).unwrap()
}

pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

/// An adapter for that peer, with waits that a test has time for.
fn provider_with_limits(peer: &SmscPeer, more: &str, limits: &CallLimits) -> Smpp {
    let mut table = settings_table("reconnect = \"20ms\"\nthrottle = \"50ms\"");
    table.insert("base_url".to_owned(), peer.url().into());
    table.extend(more.parse::<toml::Table>().unwrap());
    let settings = SmppSettings::read(table).unwrap();
    let context = AdapterContext {
        limits: limits.clone(),
        ..conformance::sample_context()
    };
    Smpp::new(&context, &settings).unwrap()
}

fn provider(peer: &SmscPeer, more: &str) -> Smpp {
    provider_with_limits(peer, more, &conformance::sample_limits())
}

/// Calls take no longer than this.
fn limits_with_call_timeout(millis: u64) -> CallLimits {
    CallLimits {
        call_timeout: Duration::from_millis(millis),
        ..conformance::sample_limits()
    }
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
    SendResult::from(Outcome::Accepted {
        reference: Some(reference.to_owned()),
    })
}

#[tokio::test]
async fn it_is_a_provider() {
    let peer = SmscPeer::start(json!({})).await;
    conformance::check_provider(&provider(&peer, "")).await;
}

#[tokio::test]
async fn a_text_arrives_as_another_implementation_reads_it() {
    let mut peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    let blue = provider(&peer, "");
    let text = "Hello {€} @ wörld";
    assert_eq!(blue.send(&message(text)).await, accepted_result("4b2f10a7"));
    let bind = peer.next_event("bind").await;
    assert_eq!(
        (&bind["system_id"], &bind["version"]),
        (&json!("gwuser"), &json!(0x34))
    );
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
    assert_eq!(blue.send(&message("سلام 😀")).await, accepted_result("4b2f10a8"));
    let submit = peer.next_event("submit").await;
    assert_eq!(
        (&submit["text"], &submit["data_coding"]),
        (&json!("سلام 😀"), &json!(8))
    );
}

#[tokio::test]
async fn a_long_message_goes_in_parts_and_comes_to_one_receipt() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = provider(&peer, "");
    let text = "ten chars ".repeat(40);
    assert_eq!(blue.send(&message(&text)).await, accepted_result("4b2f10a9"));
    let mut said = String::new();
    for part in 1..=3 {
        let submit = peer.next_event("submit").await;
        let header = submit["udh"].as_str().unwrap();
        assert!(header.ends_with(&format!("030{part}")), "{header}");
        assert_eq!(submit["esm_class"], json!(0x40));
        said.push_str(submit["text"].as_str().unwrap());
    }
    assert_eq!(said, text);
    for id in ["4B2F10A9", "4B2F10A7", "4B2F10A8"] {
        peer.send_receipt(0, id, "DELIVRD").await;
    }
    smsc_peer::expect_delivered(&blue.receive().await, "4b2f10a9");
    for answered in ["deliver_sm_resp", "deliver_sm_resp"] {
        assert_eq!(peer.next_event(answered).await["status"], json!(0));
    }
}

#[tokio::test]
async fn answers_come_to_what_the_table_says() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = provider(&peer, "[statuses]\n\"0x0411\" = \"rejected\"");
    for (status, word, code) in [
        (0x0B, "invalid_recipient", "0x0000000B RINVDSTADR"),
        (0x0A, "misconfigured", "0x0000000A RINVSRCADR"),
        (0x08, "unavailable", "0x00000008 RSYSERR"),
        (0x45, "deferred", "0x00000045 RSUBMITFAIL"),
        (0x66, "rejected", "0x00000066 RX_R_APPN"),
        (0x411, "rejected", "0x00000411"),
        (0x412, "deferred", "0x00000412"),
    ] {
        peer.plan_responses(json!([{ "status": status }])).await;
        let answer = blue.send(&message("a")).await;
        assert_eq!(
            (answer.outcome.as_str(), answer.code.as_deref()),
            (word, Some(code))
        );
    }
}

#[tokio::test]
async fn a_refused_password_is_a_wrong_setting_and_is_shown_nowhere() {
    let peer = SmscPeer::start(json!({ "password": "another" })).await;
    let blue = provider(&peer, "");
    let answer = blue.send(&message("a")).await;
    assert_eq!(answer.outcome.as_str(), "misconfigured");
    assert_eq!(answer.code.as_deref(), Some("0x0000000E RINVPASWD"));
    let shown = format!("{answer:?} {:?}", settings(""));
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_by_name() {
    for (more, key) in [
        ("base_url = \"http://a:1\"", "base_url"),
        ("base_url = \"smpp://u:p@a:1\"", "base_url"),
        ("system_id = \"\"", "system_id"),
        ("system_id = \"sixteen-letters-\"", "system_id"),
        ("window = 0", "window"),
        ("binds = 17", "binds"),
        ("throttle = \"0s\"", "throttle"),
        ("validity = \"never\"", "validity"),
        ("statuses = { \"none\" = \"rejected\" }", "statuses"),
        ("colour = \"red\"", "colour"),
    ] {
        let error = SmppSettings::read(settings_table(more)).unwrap_err().to_string();
        assert!(error.contains(key) && !error.contains("u:p"), "{error}");
    }
    let secure = SmppSettings::read(settings_table("base_url = \"smpps://a\"\nca = \"none\"")).unwrap();
    let error = Smpp::new(&conformance::sample_context(), &secure);
    assert!(error.err().unwrap().to_string().contains("ca:"));
}

#[tokio::test]
async fn a_check_binds_and_says_what_is_wrong() {
    let mut peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    assert!(matches!(
        provider(&peer, "").check_account().await,
        AccountCheck::Passed(_)
    ));
    let stranger = provider(&peer, "password = \"guessed\"");
    let AccountCheck::Failed(words) = stranger.check_account().await else {
        panic!("the password is wrong");
    };
    assert!(
        words.contains("RINVPASWD") && !words.contains("guessed"),
        "{words}"
    );
    peer.run_command(json!({ "do": "refuse", "status": 5 })).await;
    assert!(matches!(
        provider(&peer, "").check_account().await,
        AccountCheck::Untested(_)
    ));
}

#[tokio::test]
async fn a_conversation_can_be_read_along_without_the_password() {
    let peer = SmscPeer::start(json!({ "password": "s3cret" })).await;
    let mut table = settings_table("");
    table.insert("base_url".to_owned(), peer.url().into());
    let settings = SmppSettings::read(table).unwrap();
    let tape = Transcript::default();
    let context = AdapterContext {
        http_clients: HttpClientPool::default().with_transcript(tape.clone()),
        ..conformance::sample_context()
    };
    let blue = Smpp::new(&context, &settings).unwrap();
    assert_eq!(blue.send(&message("Hello")).await.outcome.as_str(), "accepted");
    let said = tape.lines().join("\n");
    for words in [
        "> BindTransceiver",
        "< BindTransceiverResp",
        "> SubmitSm",
        "Hello",
        "< SubmitSmResp",
        "4B2F10A7",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(
        !said.contains("s3cret") && !said.contains("733363726574"),
        "{said}"
    );
}
