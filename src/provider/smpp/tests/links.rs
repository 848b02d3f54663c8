//! Links that are slow, full, silent, cut or noisy.

use std::process::Command;
use std::sync::Arc;

use serde_json::json;

use super::*;

/// Sends so many messages at once, numbered from 1; the answers in their order.
async fn send_all(blue: &Arc<Smpp>, count: usize) -> Vec<Answer> {
    let mut sending = Vec::new();
    for number in 1..=count {
        let blue = Arc::clone(blue);
        sending.push(tokio::spawn(async move {
            blue.send(&parcel(&number.to_string())).await
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

fn words(answers: &[Answer]) -> Vec<&'static str> {
    answers.iter().map(|answer| answer.outcome.word()).collect()
}

async fn bound(peer: &Peer, more: &str, limits: &CallLimits) -> Arc<Smpp> {
    let blue = Arc::new(provider_with(peer, more, limits));
    assert_eq!(blue.send(&parcel("first")).await.outcome.word(), "accepted");
    blue
}

#[tokio::test]
async fn what_is_too_fast_waits_and_keeps_its_order() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "window = 1", &contract::limits()).await;
    peer.plan(json!([{}, { "status": 0x58 }, { "status": 0x14 }]))
        .await;
    assert_eq!(words(&send_all(&blue, 5).await), ["accepted"; 5]);
    let mut said = Vec::new();
    for _ in 0..8 {
        said.push(peer.hears("submit").await["text"].as_str().unwrap().to_owned());
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
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "throttle = \"1h\"", &contract::limits()).await;
    peer.plan(json!([{ "status": 0x58 }])).await;
    let answer = blue.send(&parcel("a")).await;
    let Outcome::Throttled {
        retry_after: Some(wait),
    } = answer.outcome
    else {
        panic!("it was too fast: {answer:?}");
    };
    assert!(wait > Duration::from_secs(3_000), "{wait:?}");
    assert_eq!(blue.send(&parcel("b")).await.outcome.word(), "throttled");
    assert_eq!(peer.hears("submit").await["text"], json!("first"));
    assert_eq!(peer.hears("submit").await["text"], json!("a"));
    assert_eq!(peer.left("submit"), 0, "nothing leaves during a pause");
}

#[tokio::test]
async fn the_window_is_never_exceeded_and_answers_come_in_any_order() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "window = 3", &contract::limits()).await;
    peer.hears("submit").await;
    peer.plan(json!([{ "after": 300, "id": "one" }, { "after": 200, "id": "two" }, { "after": 100, "id": "three" }]))
        .await;
    let answers = send_all(&blue, 4).await;
    for most in [1, 2, 3, 3] {
        let unanswered = peer.hears("submit").await["unanswered"].as_u64().unwrap();
        assert!(unanswered <= most, "{unanswered}");
    }
    for (answer, id) in answers.iter().zip(["one", "two", "three", "4b2f10a8"]) {
        assert_eq!(*answer, accepted(id));
    }
}

#[tokio::test]
async fn a_link_that_is_cut_leaves_unanswered_messages_unknown_and_is_made_again() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "window = 2", &contract::limits()).await;
    peer.plan(json!([{ "silent": true }, { "drop": true }])).await;
    let answers = send_all(&blue, 4).await;
    assert_eq!(
        words(&answers),
        ["unknown", "unknown", "unavailable", "unavailable"]
    );
    expect_to_send_again(&blue).await;
    assert_eq!(peer.hears("bind").await["session"], json!(0));
    assert_eq!(peer.hears("bind").await["session"], json!(1));
}

async fn expect_to_send_again(blue: &Smpp) {
    for _ in 0..1_500 {
        match blue.send(&parcel("again")).await.outcome {
            Outcome::Accepted { .. } => return,
            Outcome::Unavailable { .. } | Outcome::Unknown { .. } => {
                crate::clock::pause(Duration::from_millis(20)).await;
            }
            other => panic!("a link that is down is unavailable: {other:?}"),
        }
    }
    panic!("the link was not made again");
}

#[tokio::test]
async fn a_goodbye_in_the_middle_of_a_window_is_answered_and_the_link_made_again() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "", &contract::limits()).await;
    peer.plan(json!([{ "unbind": true }])).await;
    assert_eq!(words(&send_all(&blue, 1).await), ["unknown"]);
    peer.hears("unbind_resp").await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn silence_is_unknown_and_holds_nobody_longer_than_a_call_may_take() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "", &hasty(3_000)).await;
    peer.plan(json!([{ "silent": true }])).await;
    let began = Instant::now();
    assert_eq!(words(&send_all(&blue, 1).await), ["unknown"]);
    assert!(began.elapsed() >= Duration::from_millis(3_000));
    assert_eq!(blue.send(&parcel("next")).await.outcome.word(), "accepted");
}

#[tokio::test]
async fn a_link_that_went_silent_is_found_out_and_made_again() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "enquire_link = \"100ms\"", &hasty(3_000)).await;
    for _ in 0..2 {
        peer.hears("enquire").await;
    }
    peer.told(json!({ "do": "quiet", "on": true })).await;
    peer.hears("bind").await;
    assert_eq!(peer.hears("bind").await["session"], json!(1));
    peer.told(json!({ "do": "quiet", "on": false })).await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn nobody_there_is_unavailable_at_once() {
    let blue = Smpp::new(&"blue".parse().unwrap(), &settings(""), &contract::limits(), None).unwrap();
    let answer = blue.send(&parcel("a")).await;
    assert_eq!(answer.outcome.word(), "unavailable");
}

#[tokio::test]
async fn a_part_that_is_refused_ends_its_message() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "window = 1", &contract::limits()).await;
    peer.hears("submit").await;
    let long = "a".repeat(400);
    peer.plan(json!([{}, { "status": 0x66 }])).await;
    assert_eq!(blue.send(&parcel(&long)).await.outcome.word(), "rejected");
    peer.plan(json!([{}, { "status": 0x08 }])).await;
    assert_eq!(blue.send(&parcel(&long)).await.outcome.word(), "unknown");
    peer.plan(json!([{ "status": 0x08 }])).await;
    assert_eq!(blue.send(&parcel(&long)).await.outcome.word(), "unavailable");
    for _ in 0..5 {
        peer.hears("submit").await;
    }
    assert_eq!(peer.left("submit"), 0, "no part follows one that was refused");
}

#[tokio::test]
async fn strange_pdus_are_refused_and_impossible_ones_end_the_session() {
    let mut peer = Peer::start(json!({})).await;
    let blue = bound(&peer, "", &contract::limits()).await;
    // query_sm, which is none of our business.
    peer.told(json!({ "do": "raw", "hex": "00000013000000030000000000000007000000" }))
        .await;
    assert_eq!(peer.hears("generic_nack").await["status"], json!(3));
    // An answer that nobody waits for, and a deliver_sm that ends before it begins.
    peer.told(
        json!({ "do": "raw", "hex": "000000108000000400000000000099990000001100000005000000000000000800" }),
    )
    .await;
    peer.hears("deliver_sm_resp").await;
    assert_eq!(blue.send(&parcel("a")).await.outcome.word(), "accepted");
    peer.told(json!({ "do": "raw", "hex": "0000000f8000000400000000000099" }))
        .await;
    peer.hears("bind").await;
    peer.hears("bind").await;
    expect_to_send_again(&blue).await;
}

#[tokio::test]
async fn a_link_nobody_needs_any_more_is_unbound() {
    let mut peer = Peer::start(json!({})).await;
    drop(bound(&peer, "", &contract::limits()).await);
    peer.hears("unbind").await;
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
    let mut peer = Peer::start(json!({ "key": file("key.pem"), "cert": file("cert.pem") })).await;
    let pem = std::fs::read_to_string(file("cert.pem")).unwrap();
    let blue = bound(&peer, &format!("ca = '''{pem}'''"), &contract::limits()).await;
    assert_eq!(words(&send_all(&blue, 20).await), ["accepted"; 20]);
    peer.receipt(0, "4B2F10A7", "DELIVRD").await;
    peer::expect_delivered(&blue.incoming().await, "4b2f10a7");
}
