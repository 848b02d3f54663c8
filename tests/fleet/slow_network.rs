//! The network between a worker and PostgreSQL is slow, or loses packets.

use std::time::Duration;

use super::cluster::{ClusterOptions, TestCluster, is_long_test, outage_duration};

#[test]
fn a_worker_may_be_far_from_postgres_or_lose_packets_on_the_way() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions {
        relayed_host: Some("worker-a"),
        ..ClusterOptions::default()
    });
    let time = Duration::from_secs(if is_long_test() { 60 } else { 10 });
    let way = crowd.postgres_relay.clone().unwrap();
    way.set_delay(Duration::from_millis(200));
    load.run_for(time);
    way.set_delay(Duration::ZERO);
    crowd.expect_recovery(&load, "200 ms between a worker and postgres");
    way.set_stalled(true);
    load.run_for(outage_duration());
    way.set_stalled(false);
    crowd.expect_recovery(&load, "a worker cut off from postgres and not from the provider");
    crowd.network.lose_packets("worker-b");
    load.run_for(time);
    crowd.network.stop_losing_packets("worker-b");
    crowd.expect_recovery(&load, "5 % of a worker's packets lost");
    crowd.verify_all_messages(load);
}
