//! Rate limits and circuit breakers that all hosts share.

use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, TestCluster, WORKER_HOSTS};
use super::load::SteadyLoad;
use super::stub_provider::StubBehavior;
use super::test_gateway::wait_until;

/// Messages per second of the provider, for all workers together.
const RATE_PER_SECOND: usize = 20;

/// Time within which all hosts load the health of a provider that one host reported.
const HEALTH_SYNC_TIME: Duration = Duration::from_secs(2);

#[test]
fn three_workers_together_keep_the_rate_of_a_provider() {
    let mut cluster =
        TestCluster::start(ClusterOptions { provider_config: "rate = 20", ..ClusterOptions::default() });
    let load = SteadyLoad::start(cluster.intake_addresses());
    load.wait_for_accepted(150);
    let started_at = Instant::now();
    for name in WORKER_HOSTS {
        cluster.start_console(name);
    }
    wait_until("the provider got more than 120 calls", || cluster.provider.call_times().len() > 120);
    // Calls may arrive late, but at any time at most one burst plus the rate times the elapsed time was allowed.
    for (index, at) in cluster.provider.call_times().into_iter().enumerate() {
        let allowed = RATE_PER_SECOND as f64 * (1.0 + (at - started_at).as_secs_f64());
        assert!(
            (index as f64) < allowed,
            "{} calls after {:?}, allowed: {RATE_PER_SECOND} per second and one burst",
            index + 1,
            at - started_at
        );
    }
    cluster.verify_all_messages(load);
}

#[test]
fn a_circuit_breaker_that_one_host_opened_is_open_on_all_hosts() {
    let mut cluster = TestCluster::start(ClusterOptions {
        provider_behavior: StubBehavior::Status(503),
        provider_config: "breaker_failure_threshold = 3\nbreaker_open_duration = \"600s\"",
        ..ClusterOptions::default()
    });
    cluster.start_console(WORKER_HOSTS[0]);
    let load = SteadyLoad::start(cluster.intake_addresses());
    wait_until("one worker opens the circuit breaker", || cluster.provider.call_times().len() >= 3);
    load.stop();
    wait_for_health_sync();
    let calls_before = cluster.provider.call_times().len();
    for name in &WORKER_HOSTS[1..] {
        cluster.start_console(name);
        wait_until("the worker has started", || cluster.console_log(name).contains("worker started"));
    }
    wait_for_health_sync();
    let load = SteadyLoad::start(cluster.intake_addresses());
    load.wait_for_accepted(40);
    wait_for_health_sync();
    load.stop();
    let calls = cluster.provider.call_times().len() - calls_before;
    assert_eq!(calls, 0, "calls of other workers to a provider with an open circuit breaker");
}

/// Waits until all hosts have loaded the shared health.
fn wait_for_health_sync() {
    std::thread::sleep(HEALTH_SYNC_TIME);
}
