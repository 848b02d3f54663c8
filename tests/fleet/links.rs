//! The network between a worker and PostgreSQL is slow, or loses packets.

use std::time::Duration;

use super::crowd::{Crowd, Plan, is_long, outage};

#[test]
fn a_worker_may_be_far_from_postgres_or_lose_packets_on_the_way() {
    let (mut crowd, load) = Crowd::at_work(Plan {
        relayed: Some("worker-a"),
        ..Plan::default()
    });
    let time = Duration::from_secs(if is_long() { 60 } else { 10 });
    let way = crowd.slow_way.clone().unwrap();
    way.slow(Duration::from_millis(200));
    load.run_for(time);
    way.slow(Duration::ZERO);
    crowd.recovers(&load, "200 ms between a worker and postgres");
    way.stall(true);
    load.run_for(outage());
    way.stall(false);
    crowd.recovers(&load, "a worker cut off from postgres and not from the provider");
    crowd.lan.lose_packets("worker-b");
    load.run_for(time);
    crowd.lan.keep_packets("worker-b");
    crowd.recovers(&load, "5 % of a worker's packets lost");
    crowd.judge(load);
}
