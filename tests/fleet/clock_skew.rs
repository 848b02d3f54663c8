//! Clocks of hosts half a minute apart: the store's clock decides.

use super::cluster::{ClusterOptions, TestCluster};
use super::stub_provider::StubBehavior;

#[test]
fn clocks_may_be_half_a_minute_apart() {
    let (crowd, load) = TestCluster::start_under_load(ClusterOptions {
        provider_behavior: StubBehavior::AcceptAfterMs(500),
        clock_offsets: &[("intake-a", "+30s"), ("worker-b", "+30s"), ("worker-c", "-30s")],
        ..ClusterOptions::default()
    });
    load.wait_for_accepted(200);
    let calls = crowd.provider_calls();
    let twice: Vec<_> = calls.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "leases were broken: {twice:?}");
    crowd.verify_all_messages(load);
    let ages = "FROM deliveries d JOIN messages m ON m.number = d.id / 64 WHERE state = 'sent'";
    let oddities = format!("SELECT count(*) {ages} AND ended_at - created_at NOT BETWEEN 0 AND 25000");
    assert_eq!(
        crowd.primary().query(&oddities),
        "0",
        "times of different clocks are mixed"
    );
}
