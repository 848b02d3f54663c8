//! The network between a worker and PostgreSQL is slow, or loses packets.

use std::time::Duration;

use super::cluster::{ClusterOptions, TestCluster, is_long_test, outage_duration};

#[test]
fn no_message_is_lost_when_a_worker_has_high_latency_or_packet_loss() {
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions {
        relayed_host: Some("worker-a"),
        ..ClusterOptions::default()
    });
    let duration = Duration::from_secs(if is_long_test() { 60 } else { 10 });
    let relay = cluster.postgres_relay.clone().unwrap();
    relay.set_delay(Duration::from_millis(200));
    load.run_for(duration);
    relay.set_delay(Duration::ZERO);
    cluster.expect_recovery(&load, "200 ms of latency between a worker and postgres");
    relay.set_stalled(true);
    load.run_for(outage_duration());
    relay.set_stalled(false);
    cluster.expect_recovery(&load, "a worker disconnected from postgres and not from the provider");
    cluster.network.lose_packets("worker-b");
    load.run_for(duration);
    cluster.network.stop_losing_packets("worker-b");
    cluster.expect_recovery(&load, "5 % of a worker's packets lost");
    cluster.verify_all_messages(load);
}
