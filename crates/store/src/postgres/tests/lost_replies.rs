//! A commit that happened and whose answer never came: nobody is told that it worked, and asking again is safe.
//!
//! The way to the server is carried by the test, which loses that answer. Opening a store blocks, so these tests have
//! threads to spare.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::ReceiptResult;
use crate::{AcceptStore, WorkStore};
use postrider_core::delivery::DeliveryState;
use postrider_core::message::{Acceptance, NewMessage, RecordResult};
use postrider_core::receipt::ReceiptStatus;

/// A way to the server that loses the answer of the next commit when it is told to.
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
        Self {
            url: format!("{front}@{own}/{name}?sslmode=disable"),
            is_armed,
        }
    }

    fn arm(&self) {
        self.is_armed.store(true, Ordering::SeqCst);
    }

    fn has_dropped(&self) -> bool {
        !self.is_armed.load(Ordering::SeqCst)
    }
}

/// Carries bytes both ways. The client sends a commit in a piece of its own and waits for the answer.
async fn relay(mut client: TcpStream, mut server: TcpStream, is_armed: Arc<AtomicBool>) {
    let (mut asked, mut answered) = ([0; 64 * 1024], [0; 64 * 1024]);
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                server.write_all(&asked[..read]).await.unwrap();
                let is_commit = asked[..read].windows(7).any(|bytes| bytes == b"COMMIT\0");
                if is_commit && is_armed.swap(false, Ordering::SeqCst) {
                    // It is on disk when the server answers.
                    assert!(server.read(&mut answered).await.unwrap() > 0);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                client.write_all(&answered[..read]).await.unwrap();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acceptance_whose_answer_was_lost_is_no_success_and_can_be_asked_again() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let mut new = sms(1);
    new.idempotency = idempotency_key(1, 1);
    proxy.arm();
    let lost = store.accept(vec![new.clone()]).await.unwrap_err();
    assert!(proxy.has_dropped());
    assert_eq!(lost.kind(), ErrorKind::Unavailable, "{}", lost.chain());
    let again = NewMessage { id: id(2), ..new };
    let answer = store.accept(vec![again]).await.unwrap().remove(0);
    assert!(
        matches!(answer, Acceptance::Replayed { id: first, .. } if first == id(1)),
        "{answer:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_whose_answer_was_lost_is_stored_when_it_is_brought_again() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    for (which, end) in [
        (1, sent_state("blue", "b-1", at(2))),
        (2, waiting_state(at(50), "down")),
    ] {
        let id = accepted(&store, sms(which)).await;
        let claim = claimed(&store, id, at(1)).await;
        let attempts = vec![
            attempt("red", unavailable_outcome(), at(1)),
            attempt("blue", accepted_outcome("b-1"), at(2)),
        ];
        let finished = finished_round(&claim, attempts, end.clone(), at(2));
        proxy.arm();
        let lost = store.record(vec![finished.clone()]).await.unwrap_err();
        assert!(proxy.has_dropped());
        assert_eq!(lost.kind(), ErrorKind::Unavailable, "{}", lost.chain());
        assert_eq!(record(&store, finished.clone()).await, RecordResult::Stored);
        let found = first_delivery(&store, which).await;
        assert_eq!((found.state, found.attempts.len()), (end, 2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_went_on_in_the_meantime_is_stored_all_the_same() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let new = accepted(&store, sms(1)).await;
    let claim = claimed(&store, new, at(1)).await;
    let finished = finished_round(
        &claim,
        vec![attempt("blue", accepted_outcome("b-1"), at(1))],
        sent_state("blue", "b-1", at(2)),
        at(2),
    );
    proxy.arm();
    store.record(vec![finished.clone()]).await.unwrap_err();
    apply_receipt(
        &store,
        received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(3)),
    )
    .await;
    assert_eq!(record(&store, finished).await, RecordResult::Stored);
    let found = first_delivery(&store, 1).await;
    assert_eq!(
        (found.state, found.attempts.len()),
        (DeliveryState::Delivered { at: at(3) }, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overtaken_round_that_is_brought_twice_keeps_its_attempts_once() {
    let store = open(&new_database()).unwrap();
    let new = accepted(&store, sms(1)).await;
    let slow = claimed(&store, new, at(1)).await;
    claimed(&store, new, at(100)).await;
    let late = finished_round(
        &slow,
        vec![attempt("red", unavailable_outcome(), at(2))],
        waiting_state(at(50), "down"),
        at(3),
    );
    for _ in 0..2 {
        assert_eq!(record(&store, late.clone()).await, RecordResult::Superseded);
    }
    assert_eq!(first_delivery(&store, 1).await.attempts.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_whose_answer_was_lost_change_nothing_the_second_time() {
    let proxy = CommitReplyDropper::in_front_of(&new_database()).await;
    let store = open(&proxy.url).unwrap();
    let new = accepted(&store, sms(1)).await;
    claim_and_send(&store, new, "blue", "b-1", at(1)).await;
    let receipt = || received_receipt(Some("blue"), "b-1", ReceiptStatus::Delivered, at(9));
    proxy.arm();
    store.apply_receipts(vec![receipt()]).await.unwrap_err();
    let again = apply_receipt(&store, receipt()).await;
    assert!(matches!(again, ReceiptResult::Unchanged(_)), "{again:?}");
}
