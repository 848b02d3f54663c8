//! Redis is killed, flushed, disconnected and replaced by its replica, while intake accepts every request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, TestCluster};
use super::load::SteadyLoad;
use super::servers::{REDIS_PORT, RedisHost};

/// Checks that every request since then was accepted.
fn expect_all_accepted(load: &SteadyLoad, since: Instant) {
    let attempts = load.attempts_since(since);
    assert!(!attempts.is_empty());
    let not_accepted: Vec<_> = attempts.iter().filter(|attempt| !attempt.is_accepted()).collect();
    assert!(not_accepted.is_empty(), "not accepted during the outage of redis: {not_accepted:?}");
}

#[test]
fn every_request_is_accepted_while_redis_is_killed_flushed_and_replaced() {
    let (mut cluster, load) = TestCluster::start_under_load(ClusterOptions::default());
    let started_at = Instant::now();
    cluster.redis.kill();
    load.wait_for_accepted(60);
    cluster.redis.start();
    cluster.expect_recovery(&load, "redis killed");
    load.wait_for_accepted(20);
    for _ in 0..5 {
        assert_eq!(cluster.redis.send_command("FLUSHALL"), "+OK");
        load.wait_for_accepted(10);
    }
    cluster.expect_recovery(&load, "redis flushed");
    let replica = RedisHost::new(cluster.network.host("queue-b"));
    replica.send_command(&format!("REPLICAOF {} {REDIS_PORT}", cluster.network.host("queue-a").address));
    load.wait_for_accepted(20);
    cluster.redis.kill();
    load.run_for(Duration::from_secs(1));
    assert_eq!(replica.send_command("REPLICAOF NO ONE"), "+OK");
    cluster.redis_relay.set_target(SocketAddr::from((cluster.network.host("queue-b").address, REDIS_PORT)));
    cluster.expect_recovery(&load, "redis replaced by its replica");
    load.wait_for_accepted(20);
    cluster.network.disconnect("queue-b");
    load.wait_for_accepted(60);
    cluster.network.reconnect("queue-b");
    cluster.expect_recovery(&load, "redis disconnected");
    expect_all_accepted(&load, started_at);
    cluster.verify_all_messages(load);
}
