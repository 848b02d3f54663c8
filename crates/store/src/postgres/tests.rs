//! The conformance suite, and tests for several processes, failures of the server, and the plans of statements.

mod due;
mod failover;
mod held_snapshot;
mod leases;
mod locks;
mod lost_replies;
mod partitions;
mod plans;
mod pooler;
mod server;
mod tls;

use std::{sync::Arc, time::Duration};

use super::{PostgresStore, connection_config::ServerRole};
use crate::conformance_tests;
use crate::testing::fixtures::*;
use crate::{AcceptStore, MaintenanceStore, Store, StoreOptions, WorkStore};
use postrider_core::{
    error::ErrorKind, id::DeliveryId, message::Acceptance, receipt::ReceiptStatus,
    testing::postgres_server::new_database,
};

const TIMEOUT: Duration = Duration::from_secs(30);

fn open(url: &str) -> postrider_core::error::Result<PostgresStore> {
    PostgresStore::open(&StoreOptions::new(url, TIMEOUT))
}

/// Returns an opener for a new database.
fn fresh_database() -> StoreOpener {
    let url = new_database();
    Box::new(move || Arc::new(open(&url).unwrap()) as Arc<dyn Store>)
}

conformance_tests!(super::fresh_database);

#[tokio::test]
async fn ten_processes_can_start_at_once() {
    let url = new_database();
    let starts = (0..10).map(|_| {
        let url = url.clone();
        std::thread::spawn(move || super::migrate(&url, TIMEOUT).unwrap())
    });
    let starts = starts.collect::<Vec<_>>();
    let applied = starts.into_iter().flat_map(|start| start.join().unwrap());
    let applied = applied.collect::<Vec<String>>();
    assert_eq!(applied.first().map(String::as_str), Some("0001_schema"));
    assert!(
        applied.is_sorted_by(|earlier, later| earlier < later),
        "each migration is applied once: {applied:?}"
    );
}

#[tokio::test]
async fn closed_connections_are_replaced() {
    let store = open(&new_database()).unwrap();
    accepted(&store, sms(1)).await;
    terminate_other_connections(&store).await;
    accepted(&store, sms(2)).await;
    terminate_other_connections(&store).await;
    assert_eq!(find_message(&store, 1).await.id, id(1));
}

async fn terminate_other_connections(store: &PostgresStore) {
    let transaction = store.pool.begin_write().await.unwrap();
    let terminate_others = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let closed = transaction.query(terminate_others, &[]).await.map(drop);
    transaction.finish(closed).await.unwrap();
}

#[tokio::test]
async fn a_dropped_transaction_is_rolled_back() {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    super::maintenance::ping(&transaction).await.unwrap();
    drop(transaction);
    tokio::time::timeout(TIMEOUT, store.ping()).await.unwrap().unwrap();
}

#[tokio::test]
async fn concurrent_messages_are_committed_together() {
    let store = Arc::new(open(&new_database()).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..200 {
        let store = Arc::clone(&store);
        callers.spawn(async move { accepted(&*store, sms(number)).await });
    }
    callers.join_all().await;
    let (commit_count, operation_count) = commit_counts(&*store);
    assert_eq!(operation_count, 200);
    assert!(commit_count < 50, "{commit_count} commits");
}

#[tokio::test]
async fn no_statement_or_lock_stays_in_a_session() {
    let store = open(&new_database()).unwrap();
    accepted(&store, sms(1)).await;
    let transaction = store.pool.begin_read().await.unwrap();
    let leftovers = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') + \
                (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let leftovers = transaction.query_one(leftovers, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(leftovers, 0);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let url = new_database();
    let pool = super::pool::PgPool::new(&url, ServerRole::Primary, 1).unwrap();
    let transaction = pool.begin_write().await.unwrap();
    let created = transaction.batch_execute("CREATE TABLE theirs (id INTEGER)").await;
    transaction.finish(created).await.unwrap();
    let refused = super::migrate(&url, TIMEOUT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(refused.to_string().contains("another program"), "{refused}");
}

#[tokio::test]
async fn an_unusable_url_is_refused_with_the_reason() {
    let url = new_database();
    let nowhere =
        format!("postgres://127.0.0.1:{}/none", postrider_core::testing::backend_server::free_port());
    for (url, kind, words) in [
        (format!("{url}?sslmode=require"), ErrorKind::Usage, "sslmode in the store's URL requires"),
        ("postgres://host:port/none".to_owned(), ErrorKind::Usage, "not a valid PostgreSQL URL"),
        (format!("{url}_not"), ErrorKind::Usage, "the database does not exist"),
        (nowhere.clone(), ErrorKind::Unavailable, "cannot be reached; server=127.0.0.1:"),
        (nowhere, ErrorKind::Unavailable, "cause=error connecting to server"),
    ] {
        let refused = super::migrate(&url, TIMEOUT).unwrap_err();
        assert_eq!(refused.kind(), kind, "{}", refused.chain());
        assert!(refused.to_string().contains(words), "{}", refused.chain());
    }
}

#[tokio::test]
async fn a_backup_is_refused_and_pg_dump_is_named() {
    let store = open(&new_database()).unwrap();
    let refused = store.backup("copy".into(), Box::new(|_, _| {})).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}

/// Returns the number of statements that recording `count` sends and applying their receipts takes. Half of the sends
/// have an unmatched receipt; each gets one receipt with a known reference and one with an unknown reference.
async fn count_statements(
    server: &server::PostgresServer,
    store: &PostgresStore,
    first: u64,
    count: u64,
) -> usize {
    let messages = (first..first + count).map(sms).collect();
    let acceptances = store.accept(messages).await.unwrap();
    let ids = acceptances.iter().map(|acceptance| match acceptance {
        Acceptance::Stored { number } => DeliveryId::from_position(*number, 0),
        other => panic!("not stored: {other:?}"),
    });
    let claims = store.claim(ids.collect(), at(1), LEASE).await.unwrap();
    let receipt =
        |number: usize, status| received_receipt(Some("blue"), &format!("b-{first}-{number}"), status, at(3));
    let numbers = 0..claims.len();
    let early_receipts = numbers.clone().step_by(2).map(|number| receipt(number, ReceiptStatus::Delivered));
    store.apply_receipts(early_receipts.collect()).await.unwrap();
    let statements_before = server.statements();
    let sends = claims.iter().zip(numbers.clone()).map(|(claim, number)| {
        let reference = format!("b-{first}-{number}");
        let attempts = vec![attempt("blue", accepted_outcome(&reference), at(2))];
        finished_round(claim, attempts, sent_state("blue", &reference, at(2)), at(2))
    });
    store.record(sends.collect()).await.unwrap();
    let receipts = numbers.flat_map(|number| {
        [receipt(number, ReceiptStatus::Opened), receipt(number + 1_000, bounced_status())]
    });
    store.apply_receipts(receipts.collect()).await.unwrap();
    server.statements() - statements_before
}

#[tokio::test]
async fn a_large_batch_runs_no_more_statements_than_a_small_one() {
    let server = server::PostgresServer::new(&["log_statement=all"]);
    let store = open(&server.url()).unwrap();
    let small_batch = count_statements(&server, &store, 1, 2).await;
    let large_batch = count_statements(&server, &store, 100, 300).await;
    assert!(small_batch > 5, "{small_batch} statements in the log");
    assert_eq!(small_batch, large_batch);
}

#[tokio::test]
async fn expired_user_throttles_are_deleted() {
    let store = open(&new_database()).unwrap();
    let mut question = sms(1);
    question.throttles = vec![hourly(1, 300)];
    accepted(&store, question).await;
    let count = async || {
        let transaction = store.pool.begin_read().await.unwrap();
        let row = transaction.query_one("SELECT count(*) FROM user_throttles", &[]).await;
        let row = row.map(|row| row.get::<_, i64>(0));
        transaction.finish(row).await.unwrap()
    };
    store.delete_expired(at(0), at(7199), 10).await.unwrap();
    assert_eq!(count().await, 1);
    store.delete_expired(at(0), at(7200), 10).await.unwrap();
    assert_eq!(count().await, 0);
}
