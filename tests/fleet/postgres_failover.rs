//! PostgreSQL is restarted, and its primary dies and the replica takes its place.

use std::time::Duration;

use super::cluster::{ClusterOptions, TestCluster};

#[test]
fn postgres_may_be_restarted_and_failed_over() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions {
        has_replica: true,
        ..ClusterOptions::default()
    });
    crowd.postgres.restart();
    crowd.expect_recovery(&load, "postgres restarted");
    load.wait_for_accepted(40);
    crowd.postgres.kill();
    load.run_for(Duration::from_secs(2));
    crowd.replica.as_ref().unwrap().promote();
    crowd.expect_recovery(&load, "postgres failed over");
    load.wait_for_accepted(40);
    crowd.verify_all_messages(load);
}

#[test]
fn the_host_of_the_primary_may_vanish() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions {
        has_replica: true,
        ..ClusterOptions::default()
    });
    crowd.network.disconnect("store-a");
    load.run_for(Duration::from_secs(2));
    crowd.replica.as_ref().unwrap().promote();
    crowd.expect_recovery(&load, "the host of postgres vanished, the replica promoted");
    load.wait_for_accepted(40);
    crowd.postgres.kill();
    crowd.verify_all_messages(load);
}
