//! Links that are slow, full, silent, cut or noisy.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use super::*;

/// Sends so many messages at once, numbered from 1; the answers in their order.
async fn send_all(blue: &Arc<Smpp>, count: usize) -> Vec<SendResult> {
    let mut sending = Vec::new();
    for number in 1..=count {
        let blue = Arc::clone(blue);
        sending.push(tokio::spawn(async move {
            blue.send(&message(&number.to_string())).await
        }));
        // The order in which tasks begin is theirs.
        tokio::task::yield_now().await;
    }
    let mut answers = Vec::new();
    for one in sending {
        answers.push(one.await.unwrap());
    }
    answers
}

fn outcome_words(answers: &[SendResult]) -> Vec<&'static str> {
    answers.iter().map(|answer| answer.outcome.as_str()).collect()
}

async fn bound_provider(peer: &SmscPeer, more: &str, limits: &CallLimits) -> Arc<Smpp> {
    let blue = Arc::new(provider_with_limits(peer, more, limits));
    assert_eq!(blue.send(&message("first")).await.outcome.as_str(), "accepted");
    blue
}

#[tokio::test]
async fn what_is_too_fast_waits_and_keeps_its_order() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "window = 1", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{}, { "status": 0x58 }, { "status": 0x14 }]))
        .await;
    assert_eq!(outcome_words(&send_all(&blue, 5).await), ["accepted"; 5]);
    let mut said = Vec::new();
    for _ in 0..8 {
        said.push(
            peer.next_event("submit").await["text"]
                .as_str()
                .unwrap()
                .to_owned(),
        );
    }
    assert_eq!(said[0], "first");
    let (refused, rest) = (said[2].clone(), &said[2..]);
    assert_eq!(
        rest[..3],
        [refused.clone(), refused.clone(), refused],
        "the same one, until it is taken"
    );
    let mut once = said[1..3].to_vec();
    once.extend(said[5..].to_vec());
    assert_eq!(once, ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn who_cannot_wait_out_a_pause_hears_how_long_it_is() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "throttle = \"1h\"", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "status": 0x58 }])).await;
    let answer = blue.send(&message("a")).await;
    let Outcome::Throttled {
        retry_after: Some(wait),
    } = answer.outcome
    else {
        panic!("it was too fast: {answer:?}");
    };
    assert!(wait > Duration::from_secs(3_000), "{wait:?}");
    assert_eq!(blue.send(&message("b")).await.outcome.as_str(), "throttled");
    assert_eq!(peer.next_event("submit").await["text"], json!("first"));
    assert_eq!(peer.next_event("submit").await["text"], json!("a"));
    assert_eq!(peer.pending_count("submit"), 0, "nothing leaves during a pause");
}

#[tokio::test]
async fn the_window_is_never_exceeded_and_answers_come_in_any_order() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "window = 3", &conformance::sample_limits()).await;
    peer.next_event("submit").await;
    peer.plan_responses(json!([{ "after": 300, "id": "one" }, { "after": 200, "id": "two" }, { "after": 100, "id": "three" }]))
        .await;
    let answers = send_all(&blue, 4).await;
    for most in [1, 2, 3, 3] {
        let unanswered = peer.next_event("submit").await["unanswered"].as_u64().unwrap();
        assert!(unanswered <= most, "{unanswered}");
    }
    for (answer, id) in answers.iter().zip(["one", "two", "three", "4b2f10a8"]) {
        assert_eq!(*answer, accepted_result(id));
    }
}

#[tokio::test]
async fn a_link_that_is_cut_leaves_unanswered_messages_unknown_and_is_made_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "window = 2", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "silent": true }, { "drop": true }]))
        .await;
    let answers = send_all(&blue, 4).await;
    assert_eq!(
        outcome_words(&answers),
        ["unknown", "unknown", "unavailable", "unavailable"]
    );
    expect_to_send_again(&blue).await;
    assert_eq!(peer.next_event("bind").await["session"], json!(0));
    assert_eq!(peer.next_event("bind").await["session"], json!(1));
}

async fn expect_to_send_again(blue: &Smpp) {
    for _ in 0..1_500 {
        match blue.send(&message("again")).await.outcome {
            Outcome::Accepted { .. } => return,
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                postrider_core::clock::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("a link that is down is unavailable: {other:?}"),
        }
    }
    panic!("the link was not made again");
}

#[tokio::test]
async fn a_goodbye_in_the_middle_of_a_window_is_answered_and_the_link_made_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "unbind": true }])).await;
    assert_eq!(outcome_words(&send_all(&blue, 1).await), ["unknown"]);
    peer.next_event("unbind_resp").await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn silence_is_unknown_and_holds_nobody_longer_than_a_call_may_take() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "", &limits_with_call_timeout(3_000)).await;
    peer.plan_responses(json!([{ "silent": true }])).await;
    let began = Instant::now();
    assert_eq!(outcome_words(&send_all(&blue, 1).await), ["unknown"]);
    assert!(began.elapsed() >= Duration::from_millis(3_000));
    assert_eq!(blue.send(&message("next")).await.outcome.as_str(), "accepted");
}

#[tokio::test]
async fn a_link_that_went_silent_is_found_out_and_made_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(
        &peer,
        "enquire_link = \"100ms\"",
        &limits_with_call_timeout(3_000),
    )
    .await;
    for _ in 0..2 {
        peer.next_event("enquire").await;
    }
    peer.run_command(json!({ "do": "quiet", "on": true })).await;
    peer.next_event("bind").await;
    assert_eq!(peer.next_event("bind").await["session"], json!(1));
    peer.run_command(json!({ "do": "quiet", "on": false })).await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn nobody_there_is_unavailable_at_once() {
    let blue = Smpp::new(&conformance::sample_context(), &settings("")).unwrap();
    let answer = blue.send(&message("a")).await;
    assert_eq!(answer.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn a_part_that_is_refused_ends_its_message() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "window = 1", &conformance::sample_limits()).await;
    peer.next_event("submit").await;
    let long = "a".repeat(400);
    peer.plan_responses(json!([{}, { "status": 0x66 }])).await;
    assert_eq!(blue.send(&message(&long)).await.outcome.as_str(), "rejected");
    peer.plan_responses(json!([{}, { "status": 0x08 }])).await;
    assert_eq!(blue.send(&message(&long)).await.outcome.as_str(), "unknown");
    peer.plan_responses(json!([{ "status": 0x08 }])).await;
    assert_eq!(blue.send(&message(&long)).await.outcome.as_str(), "unavailable");
    for _ in 0..5 {
        peer.next_event("submit").await;
    }
    assert_eq!(
        peer.pending_count("submit"),
        0,
        "no part follows one that was refused"
    );
}

#[tokio::test]
async fn strange_pdus_are_refused_and_impossible_ones_end_the_session() {
    let mut peer = SmscPeer::start(json!({})).await;
    let blue = bound_provider(&peer, "", &conformance::sample_limits()).await;
    // query_sm, which is none of our business.
    peer.run_command(json!({ "do": "raw", "hex": "00000013000000030000000000000007000000" }))
        .await;
    assert_eq!(peer.next_event("generic_nack").await["status"], json!(3));
    // An answer that nobody waits for, and a deliver_sm that ends before it begins.
    peer.run_command(
        json!({ "do": "raw", "hex": "000000108000000400000000000099990000001100000005000000000000000800" }),
    )
    .await;
    peer.next_event("deliver_sm_resp").await;
    assert_eq!(blue.send(&message("a")).await.outcome.as_str(), "accepted");
    peer.run_command(json!({ "do": "raw", "hex": "0000000f8000000400000000000099" }))
        .await;
    peer.next_event("bind").await;
    peer.next_event("bind").await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn a_link_nobody_needs_any_more_is_unbound() {
    let mut peer = SmscPeer::start(json!({})).await;
    drop(bound_provider(&peer, "", &conformance::sample_limits()).await);
    peer.next_event("unbind").await;
}

#[tokio::test]
async fn a_link_is_encrypted_and_its_certificate_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
        ])
        .args([
            "-addext",
            "subjectAltName=DNS:localhost",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &file("key.pem"), "-out", &file("cert.pem")])
        .output()
        .unwrap_or_else(|error| panic!("openssl: {error}; run `apt-get install openssl`"));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut peer = SmscPeer::start(json!({ "key": file("key.pem"), "cert": file("cert.pem") })).await;
    let pem = std::fs::read_to_string(file("cert.pem")).unwrap();
    let blue = bound_provider(&peer, &format!("ca = '''{pem}'''"), &conformance::sample_limits()).await;
    assert_eq!(outcome_words(&send_all(&blue, 20).await), ["accepted"; 20]);
    peer.send_receipt(0, "4B2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&blue.receive().await, "4b2f10a7");
}
