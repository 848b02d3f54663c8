//! Moves that are abandoned, cannot start, or wait: at most one store is open, and no acknowledged message is lost.

use super::*;
use crate::copy::table_store::POLL_INTERVAL;

#[tokio::test]
async fn a_run_of_an_abandoned_move_cannot_open_the_new_store() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        store_move.close("there", Duration::ZERO, |_| {}).await.unwrap();
        StoreMove::abandon(pair.route(), 9).await.unwrap();
        let error = store_move.open_target().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        accepted(&*old_store, sms(50)).await;
        let open_error = open(&pair.to, TIMEOUT).err().unwrap().to_string();
        assert!(open_error.contains("not finished"), "{open_error}");
    }
}

#[tokio::test]
async fn a_run_of_an_abandoned_move_does_not_read_the_log_of_the_next_one() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let mut first_run = begin(&pair, 1).await;
        copy(&mut first_run).await;
        StoreMove::abandon(pair.route(), 9).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let other_url = format!("sqlite:{}", folder.path().join("other.db").display());
        let route = MoveOptions { to: &other_url, ..pair.route() };
        let mut second_run = StoreMove::open(route, [2, 2]).await.unwrap();
        second_run.copy(|_| {}).await.unwrap();
        let late_id = accepted(&*old_store, sms(60)).await;
        claim_and_send(&*old_store, late_id, "red", "late", at(100)).await;
        let error = first_run.catch_up().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        let error = first_run.close("there", Duration::ZERO, |_| {}).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        finish_move(second_run).await;
        let new_store = open(&other_url, TIMEOUT).unwrap();
        assert_eq!(find_message(&*new_store, 60).await, find_message(&*old_store, 60).await);
    }
}

#[tokio::test]
async fn a_move_can_be_abandoned_without_its_target() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        drop(begin(&pair, 1).await);
        let unreachable_url =
            format!("postgres://127.0.0.1:{}/none", postrider_core::testing::backend_server::free_port());
        let folder = tempfile::tempdir().unwrap();
        let missing_url = format!("sqlite:{}", folder.path().join("none.db").display());
        for to in [missing_url, unreachable_url] {
            let route = MoveOptions { to: &to, ..pair.route() };
            StoreMove::abandon(route, 9).await.unwrap();
            let error = StoreMove::abandon(route, 9).await.unwrap_err();
            assert!(error.to_string().contains("no move"), "{error}");
            let other_url = format!("sqlite:{}", folder.path().join("begun.db").display());
            drop(StoreMove::open(MoveOptions { to: &other_url, ..route }, [3, 3]).await);
            std::fs::remove_file(folder.path().join("begun.db")).unwrap();
        }
        assert!(!folder.path().join("none.db").exists());
    }
}

#[tokio::test]
async fn messages_that_the_new_store_accepted_are_never_deleted() {
    for pair in store_pairs() {
        fill_store(&*pair.open_old()).await;
        let new_store = pair.open_new();
        let (mut source, mut target) = open_stores(pair.route()).await.unwrap();
        let secret = source.store_secret().await.unwrap();
        target.require_empty(&secret).await.unwrap();
        accepted(&*new_store, sms(70)).await;
        let error = target.begin(1, 1).await.unwrap_err();
        assert!(error.to_string().contains("not empty"), "{error}");
        assert_eq!(find_message(&*new_store, 70).await.id, id(70));
        accepted(&*new_store, sms(71)).await;
    }
}

#[tokio::test]
async fn a_store_whose_move_could_not_start_logs_no_changes() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        fill_store(&*old_store).await;
        let (mut source, _) = open_stores(pair.route()).await.unwrap();
        source.begin(1).await.unwrap();
        source.abandon(false).await.unwrap();
        assert_eq!(source.marks().await.unwrap().id, None);
        let count_changes = "SELECT count(*) FROM copy_changes";
        assert!(source.store.select(count_changes, &[]).await.is_err());
        accepted(&*old_store, sms(80)).await;
    }
}

#[tokio::test]
async fn the_sequence_number_of_a_change_is_never_reused() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        let mut store_move = begin(&pair, 1).await;
        accepted(&*old_store, sms(1)).await;
        let first_changes = store_move.source.changed_rows(100).await.unwrap();
        store_move.source.delete_changes(&first_changes).await.unwrap();
        accepted(&*old_store, sms(2)).await;
        let next_changes = store_move.source.changed_rows(100).await.unwrap();
        assert!(next_changes.sequence_numbers.iter().min() > first_changes.sequence_numbers.iter().max());
    }
}

#[tokio::test]
async fn the_wait_for_open_rounds_lasts_as_long_as_requested() {
    for pair in store_pairs() {
        let old_store = pair.open_old();
        let delivery_id = accepted(&*old_store, sms(1)).await;
        old_store.claim(vec![delivery_id], Clock::System.now(), LEASE).await.unwrap();
        let mut store_move = begin(&pair, 1).await;
        copy(&mut store_move).await;
        let poll_count = std::cell::Cell::new(0);
        // Each poll takes as long as three poll intervals.
        let on_wait = |_| {
            poll_count.set(poll_count.get() + 1);
            postrider_core::clock::sleep_thread(3 * POLL_INTERVAL);
        };
        let closing = store_move.close("there", 8 * POLL_INTERVAL, on_wait);
        assert_eq!(closing.await.unwrap(), 1);
        assert!((1..=3).contains(&poll_count.get()), "{} looks", poll_count.get());
    }
}
