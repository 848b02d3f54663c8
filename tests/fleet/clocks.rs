//! Clocks of hosts half a minute apart: the store's clock decides.

use super::crowd::{Crowd, Plan};
use super::stub::Mood;

#[test]
fn clocks_may_be_half_a_minute_apart() {
    let (crowd, load) = Crowd::at_work(Plan {
        mood: Mood::Slow(500),
        clocks: &[("intake-a", "+30s"), ("worker-b", "+30s"), ("worker-c", "-30s")],
        ..Plan::default()
    });
    load.accept(200);
    let calls = crowd.calls();
    let twice: Vec<_> = calls.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "leases were broken: {twice:?}");
    crowd.judge(load);
    let ages = "FROM deliveries d JOIN messages m ON m.number = d.id / 64 WHERE state = 'sent'";
    let oddities = format!("SELECT count(*) {ages} AND ended_at - created_at NOT BETWEEN 0 AND 25000");
    assert_eq!(
        crowd.store().say(&oddities),
        "0",
        "times of different clocks are mixed"
    );
}
