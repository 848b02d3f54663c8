//! What may go wrong around the writer: locks, full and read-only disks, panics, the end.

use std::time::Duration;

use super::TestStore;
use crate::sqlite::write_transaction::WriteTransaction;
use crate::sqlite::{SqliteStore, accept, admin};
use crate::testing::fixtures::{accepted, at, first_delivery, sms};
use crate::{AcceptStore, MaintenanceStore, MessageQuery, ReadStore, WorkStore};
use postrider_core::clock::sleep_thread;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::ErrorKind;
use postrider_core::message::Acceptance;
use postrider_core::recipient::{Recipient, RecipientStatus};

#[tokio::test]
async fn a_lock_held_by_another_program_is_waited_for() {
    let bench = TestStore::new();
    let stranger = bench.foreign_connection();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let holder = std::thread::spawn(move || {
        sleep_thread(Duration::from_secs(2));
        stranger.execute_batch("COMMIT").unwrap();
    });
    accepted(&bench.store, sms(1)).await;
    holder.join().unwrap();
    assert_eq!(bench.count().await, 1);
}

#[tokio::test]
async fn a_lease_begins_when_the_lock_is_free() {
    let bench = TestStore::new();
    let id = accepted(&bench.store, sms(1)).await;
    let stranger = bench.foreign_connection();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let holder = std::thread::spawn(move || {
        sleep_thread(Duration::from_secs(2));
        stranger.execute_batch("COMMIT").unwrap();
    });
    let lease = Duration::from_secs(10);
    let claimed = bench.store.claim(vec![id], at(100), lease).await.unwrap();
    holder.join().unwrap();
    assert_eq!(claimed.len(), 1);
    let DeliveryState::Waiting { due_at, .. } = first_delivery(&bench.store, 1).await.state else {
        panic!("it waits for its worker")
    };
    assert!(due_at > at(100) + lease, "{due_at}");
}

#[tokio::test]
async fn a_lock_held_too_long_fails_whole_and_for_a_while() {
    let bench = TestStore::with_lock_timeout(Duration::from_millis(50));
    let stranger = bench.foreign_connection();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = bench.store.accept(vec![sms(1)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        bench.store.ping().await.unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    assert_eq!(bench.count().await, 0, "reading goes on");
    stranger.execute_batch("COMMIT").unwrap();
    accepted(&bench.store, sms(1)).await;
}

#[tokio::test]
async fn a_full_disk_fails_whole_and_for_a_while() {
    let bench = TestStore::new();
    bench.pragma("PRAGMA max_page_count = 1").await;
    let mut refused = 0;
    for which in 0..500 {
        let mut new = sms(which);
        new.body = "x".repeat(10_000);
        match bench.store.accept(vec![new]).await {
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                assert!(error.to_string().contains("the disk is full"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    assert_eq!(bench.count().await, 500 - refused, "all or nothing");
    // After the trouble the connection was made anew, which is as good as a new disk.
    accepted(&bench.store, sms(1_000)).await;
}

#[tokio::test]
async fn a_read_only_database_fails_whole_and_for_a_while() {
    let bench = TestStore::new();
    bench.pragma("PRAGMA query_only = 1").await;
    let error = bench.store.ping().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
    accepted(&bench.store, sms(1)).await;
}

#[tokio::test]
async fn a_panic_in_one_piece_harms_no_other() {
    let bench = TestStore::new();
    let stranger = bench.foreign_connection();
    stranger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let release = async {
        // While the lock is held all of them gather in one batch or two.
        tokio::task::yield_now().await;
        stranger.execute_batch("COMMIT").unwrap();
    };
    let broken = bench
        .store
        .write_thread
        .run("do harm", |desk| -> rusqlite::Result<()> {
            crate::sqlite::accept::accept(desk, &[sms(99)])?;
            panic!("a defect");
        });
    let (one, broken, two, ()) = tokio::join!(
        bench.store.accept(vec![sms(1)]),
        broken,
        bench.store.accept(vec![sms(2)]),
        release
    );
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Internal);
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(bench.count().await, 2);
}

#[tokio::test]
async fn closing_finishes_what_waits() {
    let TestStore { folder, store } = TestStore::new();
    let file = folder.path().join("postrider.db");
    for which in 0..50 {
        let mut call = Box::pin(store.accept(vec![sms(which)]));
        // Polled once, the piece is with the writer; nobody waits for the answer.
        assert!(poll_once(&mut call).await);
    }
    drop(store);
    assert!(
        !folder.path().join("postrider.db-wal").exists(),
        "the log is tidied away"
    );
    let store = SqliteStore::open(&file, Duration::from_secs(30)).unwrap();
    let query = MessageQuery {
        limit: 100,
        ..MessageQuery::default()
    };
    assert_eq!(store.search(query).await.unwrap().messages.len(), 50);
}

/// Polls a future once; whether it is still pending or has just succeeded, which is all one to the caller.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::future::poll_fn(|context| {
        let _ = std::pin::Pin::new(&mut *future).poll(context);
        std::task::Poll::Ready(true)
    })
    .await
}

#[tokio::test]
async fn what_is_said_of_a_recipient_holds_for_the_rest_of_the_transaction() {
    let bench = TestStore::new();
    let (before, after) = ([sms(1)], [sms(2)]);
    let silenced = Recipient {
        channel: before[0].deliveries[0].channel.clone(),
        address: before[0].deliveries[0].address.clone(),
        status: RecipientStatus::OptedOut,
        reason: String::new(),
        changed_by: "operator".to_owned(),
        changed_at: at(0),
    };
    let work = move |desk: &mut WriteTransaction<'_>| {
        let mut answers = accept::accept(desk, &before)?;
        admin::set_recipient(desk, &silenced)?;
        answers.extend(accept::accept(desk, &after)?);
        Ok(answers)
    };
    let answers = bench
        .store
        .write_thread
        .run("accept around an opt-out", work)
        .await;
    assert!(matches!(
        answers.unwrap()[..],
        [Acceptance::Stored { .. }, Acceptance::Suppressed]
    ));
}
