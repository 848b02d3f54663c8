//! A host is disconnected from all others for longer than a lease, and connected again.

use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, INTAKE_HOSTS, TestCluster, outage_duration};
use super::test_gateway::wait_until;

fn expect_survives_disconnect(names: &[&str]) {
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions::default());
    for name in names {
        let disconnected_at = Instant::now();
        cluster.network.disconnect(name);
        load.run_for(outage_duration());
        if let Some(index) = INTAKE_HOSTS.iter().position(|intake| intake == name) {
            let address = cluster.intake_addresses()[index];
            // Requests in flight at the disconnection may still have been answered.
            let attempts = load.attempts_since(disconnected_at + Duration::from_secs(1));
            let accepted =
                attempts.iter().filter(|attempt| attempt.intake == address && attempt.is_accepted()).count();
            assert_eq!(accepted, 0, "{name} is disconnected and answers");
        }
        cluster.network.reconnect(name);
        cluster.expect_recovery(&load, &format!("{name} disconnected"));
        load.wait_for_accepted(20);
    }
    cluster.verify_all_messages(load);
}

#[test]
fn no_message_is_lost_when_a_worker_or_an_intake_is_disconnected() {
    expect_survives_disconnect(&["worker-b", "intake-b"]);
}

#[test]
fn no_message_is_lost_when_the_store_or_the_queue_is_disconnected() {
    expect_survives_disconnect(&["store-a", "queue-a"]);
}

#[test]
fn a_host_that_is_frozen_during_a_transaction_does_not_block_the_others() {
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions {
        relayed_host: Some("intake-b"),
        ..ClusterOptions::default()
    });
    let relay = cluster.postgres_relay.clone().unwrap();
    // With this delay a transaction is open almost all the time.
    relay.set_delay(Duration::from_millis(200));
    load.wait_for_accepted(20);
    let held_locks = || {
        cluster.primary().query(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '0.3 s'",
        )
    };
    // The other hosts hold the lock for a few milliseconds only.
    wait_until("intake-b holds the advisory lock", || held_locks() != "0");
    relay.set_stalled(true);
    // The report waits for messages that are being accepted, to skip none of them; further accepts wait behind it.
    load.run_for(Duration::from_secs(3));
    cluster.expect_others_accept(&load, "intake-b", "intake-b frozen");
    load.run_for(outage_duration());
    cluster.expect_others_accept(&load, "intake-b", "intake-b frozen for longer");
    let stale_locks = cluster.primary().query(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) \
         WHERE locktype = 'advisory' AND now() - xact_start > INTERVAL '8 s'",
    );
    assert_eq!(stale_locks, "0", "locks of the frozen host are released");
    relay.set_delay(Duration::ZERO);
    relay.set_stalled(false);
    cluster.expect_recovery(&load, "intake-b frozen");
    cluster.verify_all_messages(load);
}
