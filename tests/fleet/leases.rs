//! A worker sleeps longer than its lease and wakes when another one has done its work.

use super::crowd::{Crowd, Plan};
use super::stub::Mood;
use super::wire;
use super::world::until;

#[test]
fn a_worker_that_overslept_overwrites_nothing() {
    let mut crowd = Crowd::start(Plan {
        mood: Mood::Slow(1_500),
        ..Plan::default()
    });
    let door = crowd.doors()[0];
    let text = "{\"to\":\"+989122222222\",\"body\":\"one\"}";
    crowd.launch("worker-a");
    let answer = wire::request(
        door,
        "POST",
        "/v1/messages",
        &["Content-Type: application/json"],
        text,
    )
    .unwrap();
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    until("the first worker is in its call", || {
        crowd.stub.calls().len() == 1
    });
    crowd.signal("worker-a", "STOP");
    crowd.launch("worker-b");
    let message = || wire::get(door, &format!("/v1/messages/{id}")).unwrap().json();
    let delivery = || message()["deliveries"][0].clone();
    until("the second worker has sent it", || delivery()["state"] == "sent");
    let before = delivery();
    crowd.signal("worker-a", "CONT");
    until("the first worker learns that it overslept", || {
        crowd
            .log("worker-a")
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
