//! Redis is killed, emptied, and replaced by its replica: intake does not notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::crowd::{Crowd, Plan};
use super::load::Load;
use super::servers::{REDIS, Redis};

/// Intake answered every request since then.
fn expect_no_gap(load: &Load, since: Instant) {
    let tries = load.tries(since);
    assert!(!tries.is_empty());
    let refused: Vec<_> = tries.iter().filter(|one| !one.is_accepted()).collect();
    assert!(
        refused.is_empty(),
        "not accepted while redis was in trouble: {refused:?}"
    );
}

#[test]
fn redis_may_be_killed_emptied_and_replaced_without_a_gap() {
    let (mut crowd, load) = Crowd::at_work(Plan::default());
    let began = Instant::now();
    crowd.redis.kill();
    load.accept(60);
    crowd.redis.start();
    crowd.recovers(&load, "redis killed");
    load.accept(20);
    for _ in 0..5 {
        assert_eq!(crowd.redis.say("FLUSHALL"), "+OK");
        load.accept(10);
    }
    crowd.recovers(&load, "redis flushed");
    let other = Redis::new(crowd.lan.host("queue-b"));
    other.say(&format!("REPLICAOF {} {REDIS}", crowd.lan.host("queue-a").at));
    load.accept(20);
    crowd.redis.kill();
    load.run_for(Duration::from_secs(1));
    assert_eq!(other.say("REPLICAOF NO ONE"), "+OK");
    crowd
        .redis_way
        .lead_to(SocketAddr::from((crowd.lan.host("queue-b").at, REDIS)));
    crowd.recovers(&load, "redis replaced by its replica");
    load.accept(20);
    crowd.lan.cut("queue-b");
    load.accept(60);
    crowd.lan.rejoin("queue-b");
    crowd.recovers(&load, "redis cut off");
    expect_no_gap(&load, began);
    crowd.judge(load);
}
