//! Commits whose reply is lost: the call fails, and repeating it is safe.
//!
//! A proxy in front of the server drops the reply. Opening a store blocks its thread, so these tests use a
//! multi-threaded runtime.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ReceiptResult;
use crate::{AcceptStore, WorkStore};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::{delivery::DeliveryState, receipt::ReceiptStatus, round::RecordResult};

/// A proxy that drops the reply of the next commit after it is armed.
struct CommitReplyDropper {
    url: String,
    is_armed: Arc<AtomicBool>,
}

impl CommitReplyDropper {
    async fn in_front_of(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (front, back) = url.split_once('@').unwrap();
        let (server, name) = back.split_once('/').unwrap();
        let is_armed = Arc::new(AtomicBool::new(false));
        let (server, armed) = (server.to_owned(), Arc::clone(&is_armed));
        let own = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(relay(client, server, Arc::clone(&armed)));
            }
        });
        Self { url: format!("{front}@{own}/{name}?sslmode=disable"), is_armed }
    }

    fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    fn has_dropped(&self) -> bool {
        !self.is_armed.load(Ordering::SeqCst)
    }
}

/// Forwards bytes in both directions. The client sends a commit on its own and waits for the reply.
async fn relay(mut client: TcpStream, mut server: TcpStream, is_armed: Arc<AtomicBool>) {
    let (mut request, mut reply) = ([0; 64 * 1024], [0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(read @ 1..) = read else { return };
                server.write_all(&request[..read]).await.unwrap();
                let is_commit = request[..read].windows(7).any(|bytes| bytes == b"COMMIT\0");
                if is_commit && is_armed.swap(false, Ordering::SeqCst) {
                    // The commit is on disk when the server replies.
                    assert!(server.read(&mut reply).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut reply) => {
                let Ok(read @ 1..) = read else { return };
                client.write_all(&reply[..read]).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accept_whose_reply_was_lost_fails_and_can_be_repeated() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let mut message = sms(1);
    message.idempotency = idempotency_key(1, 1);
    proxy.arm();
    let lost_reply = store.accept(vec![message.clone()]).await.unwrap_err();
    assert!(proxy.has_dropped());
    assert_eq!(lost_reply.kind(), ErrorKind::Unavailable, "{}", lost_reply.chain());
    let repeated = NewMessage { id: id(2), ..message };
    let acceptance = store.accept(vec![repeated]).await.unwrap().remove(0);
    assert!(
        matches!(acceptance, Acceptance::Replayed { id: first_id, .. } if first_id == id(1)),
        "{acceptance:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_whose_reply_was_lost_can_be_recorded_again() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    for (number, end_state) in [(1, sent_state("blue", "b-1", at(2))), (2, waiting_state(at(50), "down"))] {
        let delivery_id = accepted(&store, sms(number)).await;
        let claim = claimed(&store, delivery_id, at(1)).await;
        let attempts = vec![
            attempt("red", unavailable_outcome(), at(1)),
            attempt("blue", accepted_outcome("b-1"), at(2)),
        ];
        let completed_round = finished_round(&claim, attempts, end_state.clone(), at(2));
        proxy.arm();
        let lost_reply = store.record(vec![completed_round.clone()]).await.unwrap_err();
        assert!(proxy.has_dropped());
        assert_eq!(lost_reply.kind(), ErrorKind::Unavailable, "{}", lost_reply.chain());
        assert_eq!(record(&store, completed_round.clone()).await, RecordResult::Stored);
        let delivery = first_delivery(&store, number).await;
        assert_eq!((delivery.state, delivery.attempts.len()), (end_state, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_round_that_a_receipt_has_changed_can_be_recorded_again() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let delivery_id = accepted(&store, sms(1)).await;
    let claim = claimed(&store, delivery_id, at(1)).await;
    let completed_round = finished_round(
        &claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(1))],
        sent_state("blue", "b-1", at(2)),
        at(2),
    );
    proxy.arm();
    store.record(vec![completed_round.clone()]).await.unwrap_err();
    apply_receipt(&store, received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(3))).await;
    assert_eq!(record(&store, completed_round).await, RecordResult::Stored);
    let delivery = first_delivery(&store, 1).await;
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered { at: at(3) }, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_round_that_is_recorded_twice_stores_its_attempts_once() {
    let store = open(&new_database()).unwrap();
    let delivery_id = accepted(&store, sms(1)).await;
    let slow_claim = claimed(&store, delivery_id, at(1)).await;
    claimed(&store, delivery_id, at(100)).await;
    let late_round = finished_round(
        &slow_claim,
        vec![attempt("red", unavailable_outcome(), at(2))],
        waiting_state(at(50), "down"),
        at(3),
    );
    for _ in 0..2 {
        assert_eq!(record(&store, late_round.clone()).await, RecordResult::Superseded);
    }
    assert_eq!(first_delivery(&store, 1).await.attempts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_whose_reply_was_lost_change_nothing_the_second_time() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let delivery_id = accepted(&store, sms(1)).await;
    claim_and_send(&store, delivery_id, "blue", "b-1", at(1)).await;
    let receipt = || received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9));
    proxy.arm();
    store.apply_receipts(vec![receipt()]).await.unwrap_err();
    let repeated = apply_receipt(&store, receipt()).await;
    assert!(matches!(repeated, ReceiptResult::Unchanged(_)), "{repeated:?}");
}
