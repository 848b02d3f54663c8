//! The contract, and what is PostgreSQL's alone: several hosts at once, a server that goes away.

mod answers;
mod cluster;
mod due;
mod encryption;
mod failover;
mod leases;
mod locks;
mod months;
mod plans;
mod pooler;

use std::sync::Arc;
use std::time::Duration;

use super::PostgresStore;
use super::address::Use;
use crate::databases::database;
use crate::domain::id::DeliveryId;
use crate::domain::message::Acceptance;
use crate::domain::receipt::Verdict;
use crate::error::Kind;
use crate::store::contract::contract;
use crate::store::contract::world::*;
use crate::store::{Place, Store};

const PATIENCE: Duration = Duration::from_secs(30);

fn open(url: &str) -> crate::error::Result<PostgresStore> {
    PostgresStore::open(&Place::new(url, PATIENCE))
}

/// A database of its own.
fn fresh() -> Opener {
    let url = database();
    Box::new(move || Arc::new(open(&url).unwrap()) as Arc<dyn Store>)
}

contract!(super::fresh);

#[tokio::test]
async fn ten_hosts_may_start_at_once() {
    let url = database();
    let starts = (0..10).map(|_| {
        let url = url.clone();
        std::thread::spawn(move || super::migrate(&url, PATIENCE).unwrap())
    });
    let starts = starts.collect::<Vec<_>>();
    let applied = starts.into_iter().flat_map(|start| start.join().unwrap());
    let applied = applied.collect::<Vec<String>>();
    assert_eq!(applied.first().map(String::as_str), Some("0001_begin"));
    assert!(
        applied.is_sorted_by(|one, next| one < next),
        "each once: {applied:?}"
    );
}

#[tokio::test]
async fn connections_that_the_server_closed_are_replaced() {
    let store = open(&database()).unwrap();
    accepted(&store, text(1)).await;
    close_all_others(&store).await;
    accepted(&store, text(2)).await;
    close_all_others(&store).await;
    assert_eq!(message(&store, 1).await.id, id(1));
}

async fn close_all_others(store: &PostgresStore) {
    let desk = store.link.write().await.unwrap();
    let all = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let closed = desk.rows(all, &[]).await.map(drop);
    desk.end(closed).await.unwrap();
}

#[tokio::test]
async fn a_verb_that_is_given_up_half_way_leaves_nothing_behind() {
    let store = open(&database()).unwrap();
    let desk = store.link.write().await.unwrap();
    super::operate::ping(&desk).await.unwrap();
    drop(desk);
    tokio::time::timeout(PATIENCE, store.ping())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn messages_that_come_together_are_committed_together() {
    let store = Arc::new(open(&database()).unwrap());
    let mut callers = tokio::task::JoinSet::new();
    for which in 0..200 {
        let store = Arc::clone(&store);
        callers.spawn(async move { accepted(&*store, text(which)).await });
    }
    callers.join_all().await;
    let stats = store.commit_stats().unwrap();
    assert_eq!(stats.pieces(), 200);
    assert!(stats.commits() < 50, "{} commits", stats.commits());
}

#[tokio::test]
async fn no_statement_stays_in_a_session() {
    let store = open(&database()).unwrap();
    accepted(&store, text(1)).await;
    let desk = store.link.read().await.unwrap();
    let left = "SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name <> '') + \
                (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = \
                (SELECT oid FROM pg_database WHERE datname = current_database()))";
    let left = desk.one(left, &[]).await.unwrap().get::<_, i64>(0);
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_database_of_another_program_is_refused() {
    let url = database();
    let link = super::link::Link::new(&url, Use::Writing, 1).unwrap();
    let desk = link.write().await.unwrap();
    let made = desk.script("CREATE TABLE theirs (id INTEGER)").await;
    desk.end(made).await.unwrap();
    let refused = super::migrate(&url, PATIENCE).unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.to_string().contains("another program"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason() {
    let url = database();
    let nowhere = format!("postgres://127.0.0.1:{}/none", crate::peers::free_port());
    for (url, kind, words) in [
        (
            format!("{url}?sslmode=require"),
            Kind::Usage,
            "sslmode in the store's URL asks for",
        ),
        (
            "postgres://host:port/none".to_owned(),
            Kind::Usage,
            "cannot be read",
        ),
        (format!("{url}_not"), Kind::Usage, "no such database"),
        (nowhere, Kind::Unavailable, "cannot be reached"),
    ] {
        let refused = super::migrate(&url, PATIENCE).unwrap_err();
        assert_eq!(refused.kind(), kind, "{}", refused.chain());
        assert!(refused.to_string().contains(words), "{}", refused.chain());
    }
}

#[tokio::test]
async fn copies_are_left_to_the_servers_own_programs() {
    let store = open(&database()).unwrap();
    let refused = store
        .backup("copy".into(), Box::new(|_, _| {}))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), Kind::Usage);
    assert!(refused.to_string().contains("pg_dump"), "{refused}");
}

/// How many statements it takes to record so many sends, of which half have a receipt already, and to settle two
/// receipts for each: one that is known and one that is not.
async fn statements(server: &cluster::Server, store: &PostgresStore, first: u64, count: u64) -> usize {
    let ids = (first..first + count).map(text).collect();
    let ids = store.accept(ids).await.unwrap();
    let ids = ids.iter().map(|answer| match answer {
        Acceptance::Stored { number } => DeliveryId::of(*number, 0),
        other => panic!("not stored: {other:?}"),
    });
    let claims = store.claim(ids.collect(), at(1), LEASE).await.unwrap();
    let word = |which: usize, verdict| heard(Some("blue"), &format!("b-{first}-{which}"), verdict, at(3));
    let places = 0..claims.len();
    let early = places
        .clone()
        .step_by(2)
        .map(|which| word(which, Verdict::Delivered));
    store.settle(early.collect()).await.unwrap();
    let before = server.statements();
    let sends = claims.iter().zip(places.clone()).map(|(claim, which)| {
        let reference = format!("b-{first}-{which}");
        let calls = vec![call("blue", yes(&reference), at(2))];
        round(claim, calls, sent("blue", &reference, at(2)), at(2))
    });
    store.record(sends.collect()).await.unwrap();
    let receipts = places.flat_map(|which| [word(which, Verdict::Opened), word(which + 1_000, bounced())]);
    store.settle(receipts.collect()).await.unwrap();
    server.statements() - before
}

#[tokio::test]
async fn a_batch_takes_no_more_statements_than_one() {
    let server = cluster::Server::new(&["log_statement=all"]);
    let store = open(&server.url()).unwrap();
    let few = statements(&server, &store, 1, 2).await;
    let many = statements(&server, &store, 100, 300).await;
    assert!(few > 5, "{few} are in the log");
    assert_eq!(few, many);
}

#[tokio::test]
async fn throttles_that_count_nothing_any_more_are_pruned() {
    let store = open(&database()).unwrap();
    let mut question = text(1);
    question.throttles = vec![hourly(1, 300)];
    accepted(&store, question).await;
    let kept = async || {
        let desk = store.link.read().await.unwrap();
        let count = desk.one("SELECT count(*) FROM user_throttles", &[]).await;
        let count = count.map(|row| row.get::<_, i64>(0));
        desk.end(count).await.unwrap()
    };
    store.forget(at(0), at(7199), 10).await.unwrap();
    assert_eq!(kept().await, 1);
    store.forget(at(0), at(7200), 10).await.unwrap();
    assert_eq!(kept().await, 0);
}
