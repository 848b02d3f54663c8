//! The order of locks: advisory locks are taken before rows, and no transaction waits long for a locked table.

use std::{collections::HashSet, time::Instant};

use super::*;
use crate::postgres::advisory_locks::{AdvisoryLock, lock_exclusive, lock_shared};
use crate::postgres::pool::{PgPool, PgTransaction};
use crate::{
    CoordinationStore, MessageQuery, ReadStore, ReportStore, UsageQuery,
    postgres::group_commit::BatchOperation, postgres::rate_permits::RateOperation,
    postgres::receipts::ReceiptOperation,
};
use postrider_core::rate_limit::RateLimitRequest;

async fn hold_lock(store: &PostgresStore, lock: AdvisoryLock) -> PgTransaction {
    let transaction = store.pool.begin_write().await.unwrap();
    lock_exclusive(&transaction, lock).await.unwrap();
    transaction
}

/// Waits until another session waits for an advisory lock. Returns whether the row is not locked by it.
async fn is_row_free_while_blocked(transaction: &PgTransaction, row: &str) -> bool {
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted \
                   AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let deadline = Instant::now() + TIMEOUT;
    while transaction.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) == 0 {
        assert!(Instant::now() < deadline, "no session waits");
        tokio::task::yield_now().await;
    }
    transaction.query(&format!("{row} FOR UPDATE NOWAIT"), &[]).await.is_ok()
}

fn rate_operation(provider: &str) -> RateOperation {
    let request = RateLimitRequest {
        provider: name(provider),
        rate: 10.0,
        burst: 10.0,
        parts: vec![1],
        cooldown_until: None,
    };
    RateOperation { request, now: at(1), requested_at: Instant::now() }
}

#[tokio::test]
async fn a_session_that_waits_for_the_coordination_lock_holds_no_rate_limiter() {
    let store = open(&new_database()).unwrap();
    store.acquire_rate_permits(rate_operation("a").request, at(1)).await.unwrap();
    let transaction = hold_lock(&store, AdvisoryLock::Coordination).await;
    let other = store.pool.begin_write().await.unwrap();
    let (mut stored_providers, operations) =
        (HashSet::from([name("a")]), [rate_operation("a"), rate_operation("b")]);
    let acquiring = async {
        let outcome = RateOperation::run(&other, &mut stored_providers, &operations).await.map(drop);
        other.finish(outcome).await.unwrap();
    };
    let checking = async {
        let row = "SELECT 1 FROM rate_limiters WHERE provider = 'a'";
        let is_free = is_row_free_while_blocked(&transaction, row).await;
        drop(transaction);
        is_free
    };
    let ((), is_free) = tokio::join!(acquiring, checking);
    assert!(is_free);
}

#[tokio::test]
async fn a_session_that_waits_to_store_a_receipt_holds_no_delivery() {
    let store = open(&new_database()).unwrap();
    let delivery_id = accepted(&store, sms(1)).await;
    claim_and_send(&store, delivery_id, "blue", "b-1", at(1)).await;
    let transaction = hold_lock(&store, AdvisoryLock::References).await;
    let other = store.pool.begin_write().await.unwrap();
    let receipt_of = |reference| received_receipt(Some("blue"), reference, ReceiptStatus::Delivered, at(2));
    let operations = [ReceiptOperation(vec![receipt_of("b-1"), receipt_of("unknown")])];
    let applying = async {
        let outcome = ReceiptOperation::run(&other, &mut (), &operations).await.map(drop);
        other.finish(outcome).await.unwrap();
    };
    let checking = async {
        let row = format!("SELECT 1 FROM deliveries WHERE id = {}", delivery_id.0);
        let is_free = is_row_free_while_blocked(&transaction, &row).await;
        drop(transaction);
        is_free
    };
    let ((), is_free) = tokio::join!(applying, checking);
    assert!(is_free);
}

#[tokio::test]
async fn a_migration_waits_for_a_locked_table_without_blocking_other_sessions() {
    let url = new_database();
    let pool = PgPool::new(&url, ServerRole::Primary, 2).unwrap();
    let setup = pool.begin_write().await.unwrap();
    let created = setup.batch_execute(sql!("postgres/migrations/create_table")).await;
    setup.finish(created).await.unwrap();
    let reader = pool.begin_write().await.unwrap();
    reader.batch_execute("LOCK TABLE migrations IN SHARE MODE").await.unwrap();
    let migration = std::thread::spawn(move || super::super::migrate(&url, TIMEOUT));
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'migrations'::regclass";
    let deadline = Instant::now() + TIMEOUT;
    // The migration first waits for the table, then gives up its position in the lock queue.
    for expected in [true, false] {
        while (reader.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0) != expected {
            assert!(Instant::now() < deadline, "waiting did not become {expected} in time");
            tokio::task::yield_now().await;
        }
    }
    drop(reader);
    let applied = migration.join().unwrap().unwrap();
    assert_eq!(applied, ["0001_schema"]);
}

#[tokio::test]
async fn a_list_waits_for_a_message_that_commits_after_one_with_a_greater_number() {
    let store = open(&new_database()).unwrap();
    let late = store.pool.begin_write().await.unwrap();
    lock_shared(&late, AdvisoryLock::MessageNumbers).await.unwrap();
    let allocated = late.query_one("SELECT nextval('message_numbers') AS number", &[]).await.unwrap();
    accepted(&store, sms(2)).await;
    let list = || store.search(MessageQuery { limit: 10, ..MessageQuery::default() });
    let usage = || store.usage(UsageQuery { limit: 10, ..UsageQuery::default() });
    let early = tokio::time::timeout(Duration::from_millis(200), list()).await;
    assert!(early.is_err(), "listed beside the uncommitted number {}", allocated.get::<_, i64>(0));
    let committing = async {
        tokio::task::yield_now().await;
        late.finish(Ok(())).await.unwrap();
    };
    let (listed, ()) = tokio::join!(list(), committing);
    assert_eq!(listed.unwrap().messages.len(), 1);
    assert_eq!(usage().await.unwrap().messages.len(), 1);
}

#[tokio::test]
async fn a_rebuild_writes_no_delivery_that_did_not_change() {
    let store = open(&new_database()).unwrap();
    let delivery_id = accepted(&store, sms(1)).await;
    claim_and_send(&store, delivery_id, "blue", "b-1", at(1)).await;
    store.apply_changes(10).await.unwrap();
    let versions = async || {
        let transaction = store.pool.begin_read().await.unwrap();
        let row =
            transaction.query_one("SELECT string_agg(xmin::TEXT, ' ') FROM deliveries", &[]).await.unwrap();
        row.get::<_, String>(0)
    };
    let before = versions().await;
    store.begin_rebuild().await.unwrap();
    assert_eq!(store.apply_changes(10).await.unwrap(), 1);
    assert_eq!(versions().await, before);
}
