//! Redis is killed, emptied, and replaced by its replica: intake does not notice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, TestCluster};
use super::load::SteadyLoad;
use super::servers::{REDIS_PORT, RedisHost};

/// Intake answered every request since then.
fn expect_all_accepted(load: &SteadyLoad, since: Instant) {
    let tries = load.attempts_since(since);
    assert!(!tries.is_empty());
    let refused: Vec<_> = tries.iter().filter(|one| !one.is_accepted()).collect();
    assert!(
        refused.is_empty(),
        "not accepted while redis was in trouble: {refused:?}"
    );
}

#[test]
fn redis_may_be_killed_emptied_and_replaced_without_a_gap() {
    let (mut crowd, load) = TestCluster::start_under_load(ClusterOptions::default());
    let began = Instant::now();
    crowd.redis.kill();
    load.wait_for_accepted(60);
    crowd.redis.start();
    crowd.expect_recovery(&load, "redis killed");
    load.wait_for_accepted(20);
    for _ in 0..5 {
        assert_eq!(crowd.redis.send_command("FLUSHALL"), "+OK");
        load.wait_for_accepted(10);
    }
    crowd.expect_recovery(&load, "redis flushed");
    let other = RedisHost::new(crowd.network.host("queue-b"));
    other.send_command(&format!(
        "REPLICAOF {} {REDIS_PORT}",
        crowd.network.host("queue-a").address
    ));
    load.wait_for_accepted(20);
    crowd.redis.kill();
    load.run_for(Duration::from_secs(1));
    assert_eq!(other.send_command("REPLICAOF NO ONE"), "+OK");
    crowd.redis_relay.set_target(SocketAddr::from((
        crowd.network.host("queue-b").address,
        REDIS_PORT,
    )));
    crowd.expect_recovery(&load, "redis replaced by its replica");
    load.wait_for_accepted(20);
    crowd.network.disconnect("queue-b");
    load.wait_for_accepted(60);
    crowd.network.reconnect("queue-b");
    crowd.expect_recovery(&load, "redis cut off");
    expect_all_accepted(&load, began);
    crowd.verify_all_messages(load);
}
