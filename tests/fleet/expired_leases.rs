//! A worker is stopped for longer than its lease, and continues after another worker has sent the delivery.

use super::cluster::{ClusterOptions, TestCluster};
use super::raw_http;
use super::stub_provider::StubBehavior;
use super::test_gateway::wait_until;

#[test]
fn a_worker_whose_lease_expired_does_not_overwrite_the_newer_round() {
    let mut cluster = TestCluster::start(ClusterOptions {
        provider_behavior: StubBehavior::AcceptAfterMs(1_500),
        ..ClusterOptions::default()
    });
    let address = cluster.intake_addresses()[0];
    let body = "{\"to\":\"+989122222222\",\"body\":\"one\"}";
    cluster.start_console("worker-a");
    let response =
        raw_http::send_request(address, "POST", "/v1/messages", &["Content-Type: application/json"], body)
            .unwrap();
    assert_eq!(response.status, 201, "{response:?}");
    let id = response.json()["id"].as_str().unwrap().to_owned();
    wait_until("the first worker calls the provider", || cluster.provider.calls().len() == 1);
    cluster.signal_console("worker-a", "STOP");
    cluster.start_console("worker-b");
    let message = || raw_http::get(address, &format!("/v1/messages/{id}")).unwrap().json();
    let delivery = || message()["deliveries"][0].clone();
    wait_until("the second worker has sent the delivery", || delivery()["state"] == "sent");
    let before = delivery();
    cluster.signal_console("worker-a", "CONT");
    wait_until("the first worker logs that its lease expired", || {
        cluster.console_log("worker-a").contains("round not recorded, delivery was claimed by another worker")
    });
    let after = delivery();
    for key in ["state", "provider", "reference", "tries"] {
        assert_eq!(before[key], after[key], "{after}");
    }
    let outcomes: Vec<_> =
        after["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes.len(), 3, "expected both calls and one unknown attempt: {after}");
    assert!(outcomes.iter().any(|outcome| *outcome == "unknown"), "{after}");
}
