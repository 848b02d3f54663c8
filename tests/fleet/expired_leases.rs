//! A worker sleeps longer than its lease and wakes when another one has done its work.

use super::cluster::{ClusterOptions, TestCluster};
use super::raw_http;
use super::stub_provider::StubBehavior;
use super::test_gateway::wait_until;

#[test]
fn a_worker_that_overslept_overwrites_nothing() {
    let mut crowd = TestCluster::start(ClusterOptions {
        provider_behavior: StubBehavior::AcceptAfterMs(1_500),
        ..ClusterOptions::default()
    });
    let door = crowd.intake_addresses()[0];
    let text = "{\"to\":\"+989122222222\",\"body\":\"one\"}";
    crowd.start_console("worker-a");
    let answer = raw_http::send_request(
        door,
        "POST",
        "/v1/messages",
        &["Content-Type: application/json"],
        text,
    )
    .unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    wait_until("the first worker is in its call", || {
        crowd.provider.calls().len() == 1
    });
    crowd.signal_console("worker-a", "STOP");
    crowd.start_console("worker-b");
    let message = || raw_http::get(door, &format!("/v1/messages/{id}")).unwrap().json();
    let delivery = || message()["deliveries"][0].clone();
    wait_until("the second worker has sent it", || delivery()["state"] == "sent");
    let before = delivery();
    crowd.signal_console("worker-a", "CONT");
    wait_until("the first worker learns that it overslept", || {
        crowd
            .console_log("worker-a")
            .contains("was claimed by another worker before its round was recorded")
    });
    let after = delivery();
    for key in ["state", "provider", "reference", "tries"] {
        assert_eq!(before[key], after[key], "{after}");
    }
    let outcomes: Vec<_> = after["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["outcome"])
        .collect();
    assert_eq!(outcomes.len(), 3, "both calls are shown, and the doubt: {after}");
    assert!(outcomes.iter().any(|outcome| *outcome == "unknown"), "{after}");
}
