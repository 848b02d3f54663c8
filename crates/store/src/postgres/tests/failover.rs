//! A primary that is lost and a replica that takes its place; reads that go to a replica.

use std::time::Instant;

use super::server::{PostgresServer, wait_until};
use super::*;
use crate::MessageQuery;
use crate::{AcceptStore, MaintenanceStore, ReadStore, ReportStore};
use postrider_core::id::MessageId;

/// How soon a store must take messages again once there is a new primary.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// The same when the old one keeps its connections and says nothing: a transaction has to run out of time first.
const HUNG_RECOVERY_TIMEOUT: Duration = Duration::from_secs(40);

fn url_of_both(first: &PostgresServer, second: &PostgresServer) -> String {
    format!(
        "postgres://postgres@{},{}/postgres",
        first.host_and_port(),
        second.host_and_port()
    )
}

/// Accepts messages from now on until one is taken that was begun after `turned` said so; the acknowledged ones,
/// and how long it took from then on.
async fn accept_until_back(
    store: Arc<PostgresStore>,
    first: u64,
    turned: tokio::sync::oneshot::Receiver<Instant>,
) -> (Vec<MessageId>, Duration) {
    let mut acknowledged = Vec::new();
    let mut turned = std::pin::pin!(turned);
    let mut back = None;
    for which in first.. {
        if back.is_none() {
            back = turned.as_mut().get_mut().try_recv().ok();
        }
        let accepted = store.accept(vec![sms(which)]).await;
        match (accepted, back) {
            (Ok(_), Some(turned)) => {
                acknowledged.push(id(which));
                return (acknowledged, turned.elapsed());
            }
            (Ok(_), None) => acknowledged.push(id(which)),
            (Err(error), _) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                postrider_core::clock::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    unreachable!("there is always another message")
}

async fn lose_and_promote(lose: impl FnOnce(&mut PostgresServer), limit: Duration) {
    let mut primary = PostgresServer::new(&[]);
    let replica = PostgresServer::replica_of(&primary);
    primary.require_synchronous_replica();
    let store = Arc::new(open(&url_of_both(&primary, &replica)).unwrap());
    accepted(&*store, sms(1)).await;
    // Several connections lie idle in the pool.
    let ping = |_| {
        let store = Arc::clone(&store);
        async move { store.ping().await.unwrap() }
    };
    (0..8)
        .map(ping)
        .collect::<tokio::task::JoinSet<_>>()
        .join_all()
        .await;
    let (tell, turned) = tokio::sync::oneshot::channel();
    let writing = tokio::spawn(accept_until_back(Arc::clone(&store), 1_000, turned));
    wait_until("some messages were taken", || {
        primary.psql("SELECT count(*) > 20 FROM messages") == "t"
    });
    lose(&mut primary);
    replica.promote();
    tell.send(Instant::now()).unwrap();
    let (acknowledged, back) = writing.await.unwrap();
    assert!(back < limit, "back after {back:?}");
    for id in acknowledged {
        assert!(
            store.find_message(id).await.unwrap().is_some(),
            "{id} was acknowledged and is lost"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_takes_the_place_of_a_primary_that_was_killed() {
    lose_and_promote(PostgresServer::kill, RECOVERY_TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_primary_that_hangs_is_left_for_the_one_that_took_its_place() {
    lose_and_promote(|primary| primary.stop(), HUNG_RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn hosts_that_can_only_be_read_are_named_as_such() {
    let primary = PostgresServer::new(&[]);
    let replica = PostgresServer::replica_of(&primary);
    let refused = open(&url_of_both(&replica, &replica)).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(
        refused.to_string().contains("can be written to"),
        "{}",
        refused.chain()
    );
}

#[tokio::test]
async fn a_commit_is_on_disk_whatever_the_server_is_set_to() {
    let server = PostgresServer::new(&["synchronous_commit=off"]);
    let store = open(&server.url()).unwrap();
    let setting = async |begun: Result<super::super::pool::PgTransaction, super::super::errors::PgError>| {
        let transaction = begun.unwrap();
        let row = transaction.query_one("SHOW synchronous_commit", &[]).await;
        transaction.finish(row).await.unwrap().get::<_, String>(0)
    };
    assert_eq!(setting(store.pool.begin_write().await).await, "on");
    assert_eq!(
        setting(store.pool.begin_read().await).await,
        "off",
        "it ends with the transaction"
    );
    server.psql("ALTER DATABASE postgres SET synchronous_commit = remote_apply");
    let store = open(&server.url()).unwrap();
    assert_eq!(setting(store.pool.begin_write().await).await, "remote_apply");
}

async fn count_messages(store: &PostgresStore) -> usize {
    let query = MessageQuery {
        limit: 10,
        ..MessageQuery::default()
    };
    store.search(query).await.unwrap().messages.len()
}

/// How many transactions a server has seen of a store's, without those of the test.
fn has_connections(server: &PostgresServer) -> bool {
    server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postrider'") != "0"
}

#[tokio::test(flavor = "multi_thread")]
async fn old_reads_go_to_the_replica_and_to_the_primary_when_it_cannot_answer() {
    let primary = PostgresServer::new(&[]);
    let mut replica = PostgresServer::replica_of(&primary);
    let (url, replica_url) = (primary.url(), replica.url());
    let mut place = StoreOptions::new(&url, TIMEOUT);
    place.replica_url = Some(&replica_url);
    let store = PostgresStore::open(&place).unwrap();
    accepted(&store, sms(1)).await;
    apply_all_changes(&store).await;
    assert!(!has_connections(&replica));
    // What the report says of the change that was folded in a moment ago.
    assert_eq!(store.report(at(9)).await.unwrap().messages, 1);
    assert!(has_connections(&replica), "the report was read there");
    assert_eq!(count_messages(&store).await, 1);

    crate::check_replica(&replica_url).await.unwrap();
    let refused = crate::check_replica(&url).await.unwrap_err();
    assert!(refused.to_string().contains("the server is none"), "{refused}");

    replica.psql("SELECT pg_wal_replay_pause()");
    accepted(&store, sms(2)).await;
    apply_all_changes(&store).await;
    assert_eq!(store.report(at(9)).await.unwrap().messages, 2, "too far behind");
    assert_eq!(count_messages(&store).await, 2, "it rests");

    replica.kill();
    accepted(&store, sms(3)).await;
    apply_all_changes(&store).await;
    assert_eq!(store.report(at(9)).await.unwrap().messages, 3, "away");
    assert_eq!(count_messages(&store).await, 3);
}

#[tokio::test]
async fn a_replica_that_is_none_is_not_asked() {
    let (url, other) = (new_database(), PostgresServer::new(&[]));
    let other_url = other.url();
    let mut place = StoreOptions::new(&url, TIMEOUT);
    place.replica_url = Some(&other_url);
    let store = PostgresStore::open(&place).unwrap();
    accepted(&store, sms(1)).await;
    assert_eq!(count_messages(&store).await, 1);
}
