//! Host clocks that differ by up to a minute: leases and times use the clock of the store.

use super::cluster::{ClusterOptions, TestCluster};
use super::stub_provider::StubBehavior;

#[test]
fn clocks_that_are_30_seconds_off_cause_no_duplicate_send() {
    let (cluster, load) = TestCluster::start_under_load(ClusterOptions {
        provider_behavior: StubBehavior::AcceptAfterMs(500),
        clock_offsets: &[("intake-a", "+30s"), ("worker-b", "+30s"), ("worker-c", "-30s")],
        ..ClusterOptions::default()
    });
    load.wait_for_accepted(200);
    let calls = cluster.provider_calls();
    let duplicates: Vec<_> = calls.iter().filter(|(_, count)| **count > 1).collect();
    assert!(duplicates.is_empty(), "sent more than once within a lease: {duplicates:?}");
    cluster.verify_all_messages(load);
    let sent_messages = "FROM deliveries d JOIN messages m ON m.number = d.id / 64 WHERE state = 'sent'";
    let wrong_durations =
        format!("SELECT count(*) {sent_messages} AND ended_at - created_at NOT BETWEEN 0 AND 25000");
    assert_eq!(
        cluster.primary().query(&wrong_durations),
        "0",
        "ended_at and created_at come from different clocks"
    );
}
