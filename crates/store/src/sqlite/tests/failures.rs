//! Failures around the write thread: locks, full and read-only disks, panics, closing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::{sync::Arc, task::Poll, time::Duration};

use tokio::sync::oneshot;

use super::TestStore;
use crate::sqlite::{SqliteStore, accept, recipients};
use crate::testing::fixtures::{accepted, at, claim_and_send, first_delivery, sms};
use crate::{
    AcceptStore, MaintenanceStore, MessageQuery, ReadStore, ReportStore, WorkStore,
    sqlite::write_transaction::WriteTransaction,
};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{clock::sleep_thread, delivery::DeliveryState, error::ErrorKind, message::Acceptance};

#[tokio::test]
async fn a_write_waits_for_the_lock_of_another_program() {
    let fixture = TestStore::new();
    let other_program = fixture.foreign_connection();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let lock_holder = std::thread::spawn(move || {
        sleep_thread(Duration::from_secs(2));
        other_program.execute_batch("COMMIT").unwrap();
    });
    accepted(&fixture.store, sms(1)).await;
    lock_holder.join().unwrap();
    assert_eq!(fixture.count().await, 1);
}

#[tokio::test]
async fn a_lease_begins_when_its_claim_is_written() {
    let fixture = TestStore::new();
    let delivery_id = accepted(&fixture.store, sms(1)).await;
    let other_program = fixture.foreign_connection();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let lock_holder = std::thread::spawn(move || {
        sleep_thread(Duration::from_secs(2));
        other_program.execute_batch("COMMIT").unwrap();
    });
    let lease = Duration::from_secs(10);
    let claims = fixture.store.claim(vec![delivery_id], at(100), lease).await.unwrap();
    lock_holder.join().unwrap();
    assert_eq!(claims.len(), 1);
    let DeliveryState::Waiting { due_at, .. } = first_delivery(&fixture.store, 1).await.state else {
        panic!("not waiting")
    };
    assert!(due_at > at(100) + lease, "{due_at}");
}

#[tokio::test]
async fn a_lock_timeout_fails_writes_until_the_lock_is_free() {
    let fixture = TestStore::with_lock_timeout(Duration::from_millis(50));
    let other_program = fixture.foreign_connection();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = fixture.store.accept(vec![sms(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(fixture.store.ping().await.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(fixture.count().await, 0, "reads still work");
    other_program.execute_batch("COMMIT").unwrap();
    accepted(&fixture.store, sms(1)).await;
}

#[tokio::test]
async fn a_write_fails_after_five_seconds_of_a_foreign_lock_however_long_the_start_may_wait() {
    let fixture = TestStore::new();
    let other_program = fixture.foreign_connection();
    other_program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started_at = std::time::Instant::now();
    let error = fixture.store.accept(vec![sms(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(started_at.elapsed() < Duration::from_secs(10), "{:?}", started_at.elapsed());
}

#[tokio::test]
async fn a_rebuild_writes_no_delivery_that_did_not_change() {
    let fixture = TestStore::new();
    let delivery_id = accepted(&fixture.store, sms(1)).await;
    claim_and_send(&fixture.store, delivery_id, "blue", "b-1", at(1)).await;
    accepted(&fixture.store, sms(2)).await;
    fixture.store.apply_changes(10).await.unwrap();
    let refuse_updates =
        "CREATE TRIGGER refuse BEFORE UPDATE ON deliveries BEGIN SELECT RAISE(ABORT, 'written'); END";
    fixture.foreign_connection().execute_batch(refuse_updates).unwrap();
    let report = fixture.store.report(at(9)).await.unwrap();
    fixture.store.begin_rebuild().await.unwrap();
    assert_eq!(fixture.store.apply_changes(10).await.unwrap(), 2);
    assert_eq!(fixture.store.report(at(9)).await.unwrap(), report);
}

#[tokio::test]
async fn a_full_disk_fails_single_writes_as_a_whole() {
    let fixture = TestStore::new();
    fixture.pragma("PRAGMA max_page_count = 1").await;
    let mut rejected_count = 0;
    for number in 0..500 {
        let mut large_message = sms(number);
        large_message.body = "x".repeat(10_000);
        match fixture.store.accept(vec![large_message]).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                assert!(error.to_string().contains("the disk is full"), "{error}");
                rejected_count += 1;
            }
        }
    }
    assert!(rejected_count > 0);
    assert_eq!(fixture.count().await, 500 - rejected_count, "all or nothing");
    // The connection is opened again after a disk error, without the page limit.
    accepted(&fixture.store, sms(1_000)).await;
}

#[tokio::test]
async fn a_read_only_database_fails_writes_until_it_is_reopened() {
    let fixture = TestStore::new();
    fixture.pragma("PRAGMA query_only = 1").await;
    let error = fixture.store.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
    accepted(&fixture.store, sms(1)).await;
}

#[tokio::test]
async fn a_panic_in_one_operation_affects_no_other_of_its_batch() {
    let fixture = TestStore::new();
    let (start_sender, start) = oneshot::channel();
    let (open_gate, gate) = std::sync::mpsc::channel();
    let mut start_sender = Some(start_sender);
    // Occupies the write thread until the three operations below are queued, so that they share a batch.
    let blocking_write = fixture.store.write("block", move |_| {
        if let Some(start_sender) = start_sender.take() {
            start_sender.send(()).unwrap();
        }
        gate.recv().unwrap();
        Ok(())
    });
    let run_count = Arc::new(AtomicUsize::new(0));
    let counted_runs = Arc::clone(&run_count);
    let panicking_write = fixture.store.write("panic", move |transaction| -> rusqlite::Result<()> {
        counted_runs.fetch_add(1, Ordering::SeqCst);
        accept::accept(transaction, &[sms(99)])?;
        panic!("a defect");
    });
    let batch_writes = async {
        start.await.unwrap();
        let open_gate = async { open_gate.send(()).unwrap() };
        let (first_accept, second_accept) =
            (fixture.store.accept(vec![sms(1)]), fixture.store.accept(vec![sms(2)]));
        tokio::join!(first_accept, panicking_write, second_accept, open_gate)
    };
    let (blocking_result, (first_accept, panicking_write, second_accept, ())) =
        tokio::join!(blocking_write, batch_writes);
    blocking_result.unwrap();
    assert_eq!(panicking_write.unwrap_err().kind(), ErrorKind::Internal);
    assert!(first_accept.is_ok() && second_accept.is_ok());
    assert_eq!(fixture.count().await, 2);
    assert_eq!(run_count.load(Ordering::SeqCst), 3, "in batches of three, two and one");
}

#[tokio::test]
async fn closing_finishes_queued_operations() {
    let TestStore { folder, store } = TestStore::new();
    let file = folder.path().join("postrider.db");
    for number in 0..50 {
        let mut accepting = Box::pin(store.accept(vec![sms(number)]));
        // The first poll queues the operation; its result is not awaited.
        let first_poll = std::future::poll_fn(|context| Poll::Ready(accepting.as_mut().poll(context))).await;
        assert!(!matches!(first_poll, Poll::Ready(Err(_))), "{first_poll:?}");
    }
    drop(store);
    assert!(!folder.path().join("postrider.db-wal").exists(), "the write-ahead log is deleted");
    let store = SqliteStore::open(&file, Duration::from_secs(30)).unwrap();
    let query = MessageQuery { limit: 100, ..MessageQuery::default() };
    assert_eq!(store.search(query).await.unwrap().messages.len(), 50);
}

#[tokio::test]
async fn a_recipient_status_applies_to_the_rest_of_the_transaction() {
    let fixture = TestStore::new();
    let (messages_before, messages_after) = ([sms(1)], [sms(2)]);
    let opted_out = Recipient {
        channel: messages_before[0].deliveries[0].channel.clone(),
        address: messages_before[0].deliveries[0].address.clone(),
        status: RecipientStatus::OptedOut,
        reason: String::new(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    };
    let accept_around_opt_out = move |transaction: &mut WriteTransaction<'_>| {
        let mut acceptances = accept::accept(transaction, &messages_before)?;
        recipients::set_recipient(transaction, &opted_out)?;
        acceptances.extend(accept::accept(transaction, &messages_after)?);
        Ok(acceptances)
    };
    let acceptances = fixture.store.write("accept around an opt-out", accept_around_opt_out).await;
    assert!(matches!(
        acceptances.unwrap()[..],
        [Acceptance::Stored { .. }, Acceptance::Suppressed(RecipientStatus::OptedOut)]
    ));
}
