//! The contract, and what is PostgreSQL's alone: several hosts at once, a server that goes away.

mod due;
mod failover;
mod leases;
mod locks;
mod lost_replies;
mod partitions;
mod plans;
mod pooler;
mod server;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use super::PostgresStore;
use super::connection_config::ServerRole;
use crate::conformance_tests;
use crate::testing::fixtures::*;
use crate::{AcceptStore, MaintenanceStore, Store, StoreOptions, WorkStore};
use postrider_core::error::ErrorKind;
use postrider_core::id::DeliveryId;
use postrider_core::message::Acceptance;
use postrider_core::receipt::ReceiptStatus;
use postrider_core::testing::postgres_server::new_database;

const TIMEOUT: Duration = Duration::from_secs(30);

fn open(url: &str) -> postrider_core::error::Result<PostgresStore> {
    PostgresStore::open(&StoreOptions::new(url, TIMEOUT))
}

/// A database of its own.
fn fresh_database() -> StoreOpener {
    let url = new_database();
    Box::new(move || Arc::new(open(&url).unwrap()) as Arc<dyn Store>)
}

conformance_tests!(super::fresh_database);

#[tokio::test]
async fn ten_hosts_may_start_at_once() {
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
        applied.is_sorted_by(|one, next| one < next),
        "each once: {applied:?}"
    );
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    let store = open(&new_database()).unwrap();
    accepted(&store, sms(1)).await;
    terminate_other_connections(&store).await;
    accepted(&store, sms(2)).await;
    terminate_other_connections(&store).await;
    assert_eq!(find_message(&store, 1).await.id, id(1));
}

async fn terminate_other_connections(store: &PostgresStore) {
    let transaction = store.pool.begin_write().await.unwrap();
    let all = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let closed = transaction.query(all, &[]).await.map(drop);
    transaction.finish(closed).await.unwrap();
}

#[tokio::test]
async fn a_verb_that_is_given_up_half_way_leaves_nothing_behind() {
    let store = open(&new_database()).unwrap();
    let transaction = store.pool.begin_write().await.unwrap();
    super::maintenance::ping(&transaction).await.unwrap();
    drop(transaction);
    tokio::time::timeout(TIMEOUT, store.ping())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn messages_that_come_together_are_committed_together() {
    let store = Arc::new(open(&new_database()).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for which in 0..200 {
        let store = Arc::clone(&store);
        callers.spawn(async move { accepted(&*store, sms(which)).await });
    }
    callers.join_all().await;
    let stats = store.commit_stats().unwrap();
    assert_eq!(stats.operations(), 200);
    assert!(stats.commits() < 50, "{} commits", stats.commits());
}

#[tokio::test]
async fn no_statement_stays_in_a_session() {
    let store = open(&new_database()).unwrap();
    accepted(&store, sms(1)).await;
    let transaction = store.pool.begin_read().await.unwrap();
    let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') + \
                (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let left = transaction.query_one(left, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let url = new_database();
    let link = super::pool::PgPool::new(&url, ServerRole::Primary, 1).unwrap();
    let transaction = link.begin_write().await.unwrap();
    let made = transaction
        .batch_execute("CREATE TABLE theirs (id INTEGER)")
        .await;
    transaction.finish(made).await.unwrap();
    let refused = super::migrate(&url, TIMEOUT).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(refused.to_string().contains("another program"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let url = new_database();
    let nowhere = format!(
        "postgres://127.0.0.1:{}/none",
        postrider_core::testing::backend_server::free_port()
    );
    for (url, kind, words) in [
        (
            format!("{url}?sslmode=require"),
            ErrorKind::Usage,
            "sslmode in the store's URL asks for",
        ),
        (
            "postgres://host:port/none".to_owned(),
            ErrorKind::Usage,
            "cannot be read",
        ),
        (format!("{url}_not"), ErrorKind::Usage, "no such database"),
        (nowhere, ErrorKind::Unavailable, "cannot be reached"),
    ] {
        let refused = super::migrate(&url, TIMEOUT).unwrap_err();
        assert_eq!(refused.kind(), kind, "{}", refused.chain());
        assert!(refused.to_string().contains(words), "{}", refused.chain());
    }
}

#[tokio::test]
async fn copies_are_left_to_the_servers_own_programs() {
    let store = open(&new_database()).unwrap();
    let refused = store
        .backup("copy".into(), Box::new(|_, _| {}))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Usage);
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}

/// How many statements it takes to record so many sends, of which half have a receipt already, and to settle two
/// receipts for each: one that is known and one that is not.
async fn count_statements(
    server: &server::PostgresServer,
    store: &PostgresStore,
    first: u64,
    count: u64,
) -> usize {
    let ids = (first..first + count).map(sms).collect();
    let ids = store.accept(ids).await.unwrap();
    let ids = ids.iter().map(|answer| match answer {
        Acceptance::Stored { number } => DeliveryId::from_position(*number, 0),
        other => panic!("not stored: {other:?}"),
    });
    let claims = store.claim(ids.collect(), at(1), LEASE).await.unwrap();
    let word =
        |which: usize, status| received_receipt(Some("blue"), &format!("b-{first}-{which}"), status, at(3));
    let places = 0..claims.len();
    let early = places
        .clone()
        .step_by(2)
        .map(|which| word(which, ReceiptStatus::Delivered));
    store.apply_receipts(early.collect()).await.unwrap();
    let before = server.statements();
    let sends = claims.iter().zip(places.clone()).map(|(claim, which)| {
        let reference = format!("b-{first}-{which}");
        let calls = vec![attempt("blue", accepted_outcome(&reference), at(2))];
        finished_round(claim, calls, sent_state("blue", &reference, at(2)), at(2))
    });
    store.record(sends.collect()).await.unwrap();
    let receipts = places.flat_map(|which| {
        [
            word(which, ReceiptStatus::Opened),
            word(which + 1_000, bounced_verdict()),
        ]
    });
    store.apply_receipts(receipts.collect()).await.unwrap();
    server.statements() - before
}

#[tokio::test]
async fn a_batch_takes_no_more_statements_than_one() {
    let server = server::PostgresServer::new(&["log_statement=all"]);
    let store = open(&server.url()).unwrap();
    let few = count_statements(&server, &store, 1, 2).await;
    let many = count_statements(&server, &store, 100, 300).await;
    assert!(few > 5, "{few} are in the log");
    assert_eq!(few, many);
}

#[tokio::test]
async fn throttles_that_count_nothing_any_more_are_pruned() {
    let store = open(&new_database()).unwrap();
    let mut question = sms(1);
    question.throttles = vec![hourly(1, 300)];
    accepted(&store, question).await;
    let kept = async || {
        let transaction = store.pool.begin_read().await.unwrap();
        let count = transaction
            .query_one("SELECT count(*) FROM user_throttles", &[])
            .await;
        let count = count.map(|row| row.get::<_, i64>(0));
        transaction.finish(count).await.unwrap()
    };
    store.delete_expired(at(0), at(7199), 10).await.unwrap();
    assert_eq!(kept().await, 1);
    store.delete_expired(at(0), at(7200), 10).await.unwrap();
    assert_eq!(kept().await, 0);
}
