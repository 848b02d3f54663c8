//! PostgreSQL is restarted, and its replica is promoted after the primary was killed or disconnected.

use std::time::Duration;

use super::cluster::{ClusterOptions, TestCluster};

#[test]
fn no_message_is_lost_when_postgres_is_restarted_and_failed_over() {
    let (mut cluster, load) =
        TestCluster::start_under_load(ClusterOptions { has_replica: true, ..ClusterOptions::default() });
    cluster.postgres.restart();
    cluster.expect_recovery(&load, "postgres restarted");
    load.wait_for_accepted(40);
    cluster.postgres.kill();
    load.run_for(Duration::from_secs(2));
    cluster.replica.as_ref().unwrap().promote();
    cluster.expect_recovery(&load, "postgres failed over");
    load.wait_for_accepted(40);
    cluster.verify_all_messages(load);
}

#[test]
fn no_message_is_lost_when_the_host_of_the_primary_is_disconnected() {
    let (mut cluster, load) =
        TestCluster::start_under_load(ClusterOptions { has_replica: true, ..ClusterOptions::default() });
    cluster.network.disconnect("store-a");
    load.run_for(Duration::from_secs(2));
    cluster.replica.as_ref().unwrap().promote();
    cluster.expect_recovery(&load, "host of the primary disconnected, replica promoted");
    load.wait_for_accepted(40);
    cluster.postgres.kill();
    cluster.verify_all_messages(load);
}
