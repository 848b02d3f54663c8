//! Failover to a promoted replica, and reads on a replica.

use std::time::Instant;

use super::server::{PostgresServer, wait_until};
use super::*;
use crate::MessageQuery;
use crate::{AcceptStore, MaintenanceStore, ReadStore, ReportStore};
use postrider_core::id::MessageId;

/// Maximum time from the promotion until a store accepts messages again.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(10);

/// Maximum recovery time from an old primary that hangs: a transaction has to time out first.
const HUNG_RECOVERY_TIMEOUT: Duration = Duration::from_secs(40);

fn url_of_both(first: &PostgresServer, second: &PostgresServer) -> String {
    format!("postgres://postgres@{},{}/postgres", first.host_and_port(), second.host_and_port())
}

/// Accepts messages until one succeeds that was sent after `promoted` fired. Returns the acknowledged messages and the
/// time from the promotion to the last one.
async fn accept_until_back(
    store: Arc<PostgresStore>,
    first: u64,
    promoted: tokio::sync::oneshot::Receiver<Instant>,
) -> (Vec<MessageId>, Duration) {
    let mut acknowledged = Vec::new();
    let mut promoted = std::pin::pin!(promoted);
    let mut promoted_at = None;
    for number in first.. {
        if promoted_at.is_none() {
            promoted_at = promoted.as_mut().get_mut().try_recv().ok();
        }
        let accepted = store.accept(vec![sms(number)]).await;
        match (accepted, promoted_at) {
            (Ok(_), Some(promoted_at)) => {
                acknowledged.push(id(number));
                return (acknowledged, promoted_at.elapsed());
            }
            (Ok(_), None) => acknowledged.push(id(number)),
            (Err(error), _) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{}", error.chain());
                postrider_core::clock::sleep(Duration::from_millis(20)).await;
            }
        }
    }
    unreachable!("the range has no end")
}

async fn lose_and_promote(lose_primary: impl FnOnce(&mut PostgresServer), recovery_max: Duration) {
    let mut primary = PostgresServer::new(&[]);
    let replica = PostgresServer::replica_of(&primary);
    primary.require_synchronous_replica();
    let store = Arc::new(open(&url_of_both(&primary, &replica)).unwrap());
    accepted(&*store, sms(1)).await;
    // Leaves several idle connections in the pool.
    let ping = |_| {
        let store = Arc::clone(&store);
        async move { store.ping().await.unwrap() }
    };
    (0..8).map(ping).collect::<tokio::task::JoinSet<_>>().join_all().await;
    let (sender, promoted) = tokio::sync::oneshot::channel();
    let writing = tokio::spawn(accept_until_back(Arc::clone(&store), 1_000, promoted));
    wait_until("some messages are stored", || primary.psql("SELECT count(*) > 20 FROM messages") == "t");
    lose_primary(&mut primary);
    replica.promote();
    sender.send(Instant::now()).unwrap();
    let (acknowledged, recovery) = writing.await.unwrap();
    assert!(recovery < recovery_max, "recovered after {recovery:?}");
    for id in acknowledged {
        assert!(store.find_message(id).await.unwrap().is_some(), "{id} was acknowledged and lost");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_replaces_a_killed_primary() {
    lose_and_promote(PostgresServer::kill, RECOVERY_TIMEOUT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_replaces_a_hung_primary() {
    lose_and_promote(|primary| primary.stop(), HUNG_RECOVERY_TIMEOUT).await;
}

#[tokio::test]
async fn a_url_with_read_only_hosts_is_refused_with_the_reason() {
    let primary = PostgresServer::new(&[]);
    let replica = PostgresServer::replica_of(&primary);
    let refused = open(&url_of_both(&replica, &replica)).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    assert!(refused.to_string().contains("is writable"), "{}", refused.chain());
}

#[tokio::test]
async fn a_commit_is_on_disk_whatever_the_server_settings() {
    let server = PostgresServer::new(&["synchronous_commit=off"]);
    let store = open(&server.url()).unwrap();
    let setting = async |begun: Result<super::super::pool::PgTransaction, super::super::errors::PgError>| {
        let transaction = begun.unwrap();
        let row = transaction.query_one("SHOW synchronous_commit", &[]).await;
        transaction.finish(row).await.unwrap().get::<_, String>(0)
    };
    assert_eq!(setting(store.pool.begin_write().await).await, "on");
    assert_eq!(setting(store.pool.begin_read().await).await, "off", "the setting ends with the transaction");
    server.psql("ALTER DATABASE postgres SET synchronous_commit = remote_apply");
    let store = open(&server.url()).unwrap();
    assert_eq!(setting(store.pool.begin_write().await).await, "remote_apply");
}

async fn count_messages(store: &PostgresStore) -> usize {
    let query = MessageQuery { limit: 10, ..MessageQuery::default() };
    store.search(query).await.unwrap().messages.len()
}

/// Returns whether a store is connected to the server.
fn has_connections(server: &PostgresServer) -> bool {
    server.psql("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'postrider'") != "0"
}

#[tokio::test(flavor = "multi_thread")]
async fn reads_go_to_the_replica_or_to_the_primary_if_it_is_not_usable() {
    let primary = PostgresServer::new(&[]);
    let mut replica = PostgresServer::replica_of(&primary);
    let (url, replica_url) = (primary.url(), replica.url());
    let mut options = StoreOptions::new(&url, TIMEOUT);
    options.replica_url = Some(&replica_url);
    let store = PostgresStore::open(&options).unwrap();
    accepted(&store, sms(1)).await;
    apply_all_changes(&store).await;
    assert!(!has_connections(&replica));
    // The report contains the change that was just applied.
    assert_eq!(store.report(at(9)).await.unwrap().messages, 1);
    assert!(has_connections(&replica), "the report was read on the replica");
    assert_eq!(count_messages(&store).await, 1);

    crate::check_replica(&replica_url).await.unwrap();
    let refused = crate::check_replica(&url).await.unwrap_err();
    assert!(refused.to_string().contains("the server is not a replica"), "{refused}");

    replica.psql("SELECT pg_wal_replay_pause()");
    accepted(&store, sms(2)).await;
    apply_all_changes(&store).await;
    assert_eq!(store.report(at(9)).await.unwrap().messages, 2, "the replica is too far behind");
    assert_eq!(count_messages(&store).await, 2, "the replica is disabled");

    replica.kill();
    accepted(&store, sms(3)).await;
    apply_all_changes(&store).await;
    assert_eq!(store.report(at(9)).await.unwrap().messages, 3, "the replica is down");
    assert_eq!(count_messages(&store).await, 3);
}

#[tokio::test]
async fn a_server_that_is_not_a_replica_is_not_read() {
    let (url, other) = (new_database(), PostgresServer::new(&[]));
    let other_url = other.url();
    // The other server has a later log position and the same schema, but other messages.
    let other_store = open(&other_url).unwrap();
    for number in 1..=3 {
        accepted(&other_store, sms(number)).await;
    }
    let mut options = StoreOptions::new(&url, TIMEOUT);
    options.replica_url = Some(&other_url);
    let store = PostgresStore::open(&options).unwrap();
    accepted(&store, sms(1)).await;
    assert_eq!(count_messages(&store).await, 1);
}
