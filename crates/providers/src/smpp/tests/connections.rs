//! Tests of slow, full, silent, lost and malformed connections.

use std::sync::Arc;

use serde_json::json;

use super::*;
use postrider_core::testing::certificates::TestCertificate;

/// Sends `count` messages at once, numbered from 1, and returns their results in order.
async fn send_all(smpp: &Arc<Smpp>, count: usize) -> Vec<SendResult> {
    let mut tasks = Vec::new();
    for number in 1..=count {
        let smpp = Arc::clone(smpp);
        tasks.push(tokio::spawn(async move { smpp.send(&message(&number.to_string())).await }));
        // Lets the task start, so that the messages are sent in order.
        tokio::task::yield_now().await;
    }
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

fn outcome_words(results: &[SendResult]) -> Vec<&'static str> {
    results.iter().map(|result| result.outcome.as_str()).collect()
}

async fn bound_provider(peer: &SmscPeer, more: &str, limits: &CallLimits) -> Arc<Smpp> {
    let smpp = Arc::new(provider_with_limits(peer, more, limits));
    assert_eq!(smpp.send(&message("first")).await.outcome.as_str(), "accepted");
    smpp
}

#[tokio::test]
async fn throttled_messages_wait_and_keep_their_order() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "window = 1", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{}, { "status": 0x58 }, { "status": 0x14 }])).await;
    assert_eq!(outcome_words(&send_all(&smpp, 5).await), ["accepted"; 5]);
    let mut texts = Vec::new();
    for _ in 0..8 {
        texts.push(peer.next_event("submit").await["text"].as_str().unwrap().to_owned());
    }
    assert_eq!(texts[0], "first");
    let (refused, rest) = (texts[2].clone(), &texts[2..]);
    assert_eq!(
        rest[..3],
        [refused.clone(), refused.clone(), refused],
        "the same message until it is accepted"
    );
    let mut distinct = texts[1..3].to_vec();
    distinct.extend(texts[5..].to_vec());
    assert_eq!(distinct, ["1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn a_pause_longer_than_the_deadline_is_reported_with_its_length() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "throttle_delay = \"1h\"", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "status": 0x58 }])).await;
    let result = smpp.send(&message("a")).await;
    let Outcome::Throttled { retry_after: Some(retry_after) } = result.outcome else {
        panic!("not throttled: {result:?}");
    };
    assert!(retry_after > Duration::from_secs(3_000), "{retry_after:?}");
    assert_eq!(smpp.send(&message("b")).await.outcome.as_str(), "throttled");
    assert_eq!(peer.next_event("submit").await["text"], json!("first"));
    assert_eq!(peer.next_event("submit").await["text"], json!("a"));
    assert_eq!(peer.pending_count("submit"), 0, "nothing is sent during a pause");
}

#[tokio::test]
async fn the_window_is_never_exceeded_and_responses_arrive_in_any_order() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "window = 3", &conformance::sample_limits()).await;
    peer.next_event("submit").await;
    peer.plan_responses(json!([{ "after": 300, "id": "one" }, { "after": 200, "id": "two" }, { "after": 100, "id": "three" }]))
        .await;
    let results = send_all(&smpp, 4).await;
    for unanswered_max in [1, 2, 3, 3] {
        let unanswered = peer.next_event("submit").await["unanswered"].as_u64().unwrap();
        assert!(unanswered <= unanswered_max, "{unanswered}");
    }
    for (result, id) in results.iter().zip(["one", "two", "three", "4b2f10a8"]) {
        assert_eq!(*result, accepted_result(id));
    }
}

#[tokio::test]
async fn a_lost_connection_makes_unanswered_messages_unknown_and_is_opened_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "window = 2", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "silent": true }, { "drop": true }])).await;
    let results = send_all(&smpp, 4).await;
    assert_eq!(outcome_words(&results), ["unknown", "unknown", "accepted", "accepted"]);
    expect_reconnect(&smpp).await;
    assert_eq!(peer.next_event("bind").await["session"], json!(0));
    assert_eq!(peer.next_event("bind").await["session"], json!(1));
}

#[tokio::test]
async fn a_message_waits_for_a_connection_that_is_being_remade() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "", &conformance::sample_limits()).await;
    for _ in 0..3 {
        peer.plan_responses(json!([{ "drop": true }])).await;
        assert_eq!(smpp.send(&message("lost")).await.outcome.as_str(), "unknown");
        let next = smpp.send(&message("next")).await;
        assert_eq!(next.outcome.as_str(), "accepted", "{next:?}");
    }
}

async fn expect_reconnect(smpp: &Smpp) {
    for _ in 0..1_500 {
        match smpp.send(&message("again")).await.outcome {
            Outcome::Accepted { .. } => return,
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                postrider_core::clock::sleep(Duration::from_millis(20)).await;
            }
            other => panic!("unexpected outcome while disconnected: {other:?}"),
        }
    }
    panic!("the connection was not opened again");
}

#[tokio::test]
async fn an_unbind_during_a_submit_is_answered_and_the_connection_opened_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "", &conformance::sample_limits()).await;
    peer.plan_responses(json!([{ "unbind": true }])).await;
    assert_eq!(outcome_words(&send_all(&smpp, 1).await), ["unknown"]);
    peer.next_event("unbind_resp").await;
    expect_reconnect(&smpp).await;
}

#[tokio::test]
async fn no_response_is_unknown_after_the_call_timeout() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "", &limits_with_call_timeout(3_000)).await;
    peer.plan_responses(json!([{ "silent": true }])).await;
    let started = Instant::now();
    assert_eq!(outcome_words(&send_all(&smpp, 1).await), ["unknown"]);
    assert!(started.elapsed() >= Duration::from_millis(3_000));
    assert_eq!(smpp.send(&message("next")).await.outcome.as_str(), "accepted");
}

#[tokio::test]
async fn a_silent_connection_is_detected_and_opened_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp =
        bound_provider(&peer, "enquire_link_interval = \"100ms\"", &limits_with_call_timeout(3_000)).await;
    for _ in 0..2 {
        peer.next_event("enquire").await;
    }
    peer.run_command(json!({ "do": "quiet", "on": true })).await;
    peer.next_event("bind").await;
    assert_eq!(peer.next_event("bind").await["session"], json!(1));
    peer.run_command(json!({ "do": "quiet", "on": false })).await;
    expect_reconnect(&smpp).await;
}

#[tokio::test]
async fn an_unreachable_smsc_is_unavailable() {
    let smpp = Smpp::new(&conformance::sample_context(), &settings("")).unwrap();
    let result = smpp.send(&message("a")).await;
    assert_eq!(result.outcome.as_str(), "unavailable");
}

#[tokio::test]
async fn a_part_refused_for_good_ends_its_message() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "window = 1", &conformance::sample_limits()).await;
    peer.next_event("submit").await;
    let long = "a".repeat(400);
    peer.plan_responses(json!([{}, { "status": 0x66 }])).await;
    assert_eq!(smpp.send(&message(&long)).await.outcome.as_str(), "rejected");
    peer.plan_responses(json!([{ "status": 0x08 }])).await;
    assert_eq!(smpp.send(&message(&long)).await.outcome.as_str(), "unavailable");
    for _ in 0..3 {
        peer.next_event("submit").await;
    }
    assert_eq!(peer.pending_count("submit"), 0, "no part is sent after a refused one");
}

#[tokio::test]
async fn only_the_missing_parts_are_sent_again() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "window = 1", &conformance::sample_limits()).await;
    peer.next_event("submit").await;
    let long = "a".repeat(400);
    peer.plan_responses(json!([{ "id": "A" }, { "status": 0x08 }, { "id": "B" }, { "id": "C" }])).await;
    let result = smpp.send(&message(&long)).await;
    assert_eq!(result.outcome.as_str(), "deferred", "{result:?}");
    assert_eq!(smpp.send(&message(&long)).await, accepted_result("c"));
    let mut headers = Vec::new();
    for _ in 0..4 {
        headers.push(peer.next_event("submit").await["udh"].as_str().unwrap().to_owned());
    }
    let numbers: Vec<&str> = headers.iter().map(|header| &header[header.len() - 2..]).collect();
    assert_eq!(numbers, ["01", "02", "02", "03"]);
    let references: std::collections::BTreeSet<&str> =
        headers.iter().map(|header| &header[header.len() - 6..header.len() - 4]).collect();
    assert_eq!(references.len(), 1, "the phone joins the parts by their reference: {headers:?}");
    for id in ["A", "B", "C"] {
        peer.send_receipt(0, id, "DELIVRD").await;
    }
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "c");
}

#[tokio::test]
async fn a_late_answer_settles_its_message() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "", &limits_with_call_timeout(1_000)).await;
    peer.plan_responses(json!([{ "after": 2_000, "id": "late1" }])).await;
    assert_eq!(smpp.send(&message("a")).await.outcome.as_str(), "unknown");
    let items = smsc_peer::receive(&smpp).await;
    let [CallbackItem::LateAcceptance(late)] = &items[..] else {
        panic!("expected a late acceptance: {items:?}");
    };
    assert_eq!((late.delivery, late.reference.as_deref()), (message("a").delivery_id, Some("late1")));
}

#[tokio::test]
async fn unsupported_pdus_are_refused_and_malformed_ones_end_the_session() {
    let mut peer = SmscPeer::start(json!({})).await;
    let smpp = bound_provider(&peer, "", &conformance::sample_limits()).await;
    // query_sm, which the client does not support.
    peer.run_command(json!({ "do": "raw", "hex": "00000013000000030000000000000007000000" })).await;
    assert_eq!(peer.next_event("generic_nack").await["status"], json!(3));
    // A response to no request, and a deliver_sm that ends after its first field.
    peer.run_command(
        json!({ "do": "raw", "hex": "000000108000000400000000000099990000001100000005000000000000000800" }),
    )
    .await;
    peer.next_event("deliver_sm_resp").await;
    assert_eq!(smpp.send(&message("a")).await.outcome.as_str(), "accepted");
    peer.run_command(json!({ "do": "raw", "hex": "0000000f8000000400000000000099" })).await;
    peer.next_event("bind").await;
    peer.next_event("bind").await;
    expect_reconnect(&smpp).await;
}

#[tokio::test]
async fn a_dropped_provider_unbinds() {
    let mut peer = SmscPeer::start(json!({})).await;
    drop(bound_provider(&peer, "", &conformance::sample_limits()).await);
    peer.next_event("unbind").await;
}

#[tokio::test]
async fn a_connection_is_encrypted_and_its_certificate_verified() {
    let ca = TestCertificate::authority();
    let certificate = ca.sign(&["localhost"]);
    let (key, cert) = (certificate.key_path(), certificate.certificate_path());
    let mut peer = SmscPeer::start(json!({ "key": key, "cert": cert })).await;
    let untrusting = provider(&peer, "");
    let result = untrusting.send(&message("a")).await;
    assert_eq!(result.outcome.as_str(), "unavailable", "the certificate is not signed by a root");
    let pem = std::fs::read_to_string(ca.certificate_path()).unwrap();
    let smpp = bound_provider(&peer, &format!("ca = '''{pem}'''"), &conformance::sample_limits()).await;
    assert_eq!(outcome_words(&send_all(&smpp, 20).await), ["accepted"; 20]);
    peer.send_receipt(0, "4B2F10A7", "DELIVRD").await;
    smsc_peer::expect_delivered(&smsc_peer::receive(&smpp).await, "4b2f10a7");
}
