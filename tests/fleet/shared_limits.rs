//! Limits and health that hold for all hosts together.

use std::time::{Duration, Instant};

use super::cluster::{ClusterOptions, TestCluster, WORKER_HOSTS};
use super::load::SteadyLoad;
use super::stub_provider::StubBehavior;
use super::test_gateway::wait_until;

/// Messages a second, for all workers.
const RATE_PER_SECOND: usize = 20;

/// How soon all hosts know what one has found out about a provider.
const HEALTH_SYNC_TIME: Duration = Duration::from_secs(2);

#[test]
fn three_workers_keep_one_providers_rate() {
    let mut crowd = TestCluster::start(ClusterOptions {
        provider_config: "rate = 20",
        ..ClusterOptions::default()
    });
    let load = SteadyLoad::start(crowd.intake_addresses());
    load.wait_for_accepted(150);
    let began = Instant::now();
    for name in WORKER_HOSTS {
        crowd.start_console(name);
    }
    wait_until("the provider has got some", || {
        crowd.provider.call_times().len() > 120
    });
    // However late a send arrives: until then no more can have been allowed than one burst and what the time brings.
    for (before, at) in crowd.provider.call_times().into_iter().enumerate() {
        let allowed = RATE_PER_SECOND as f64 * (1.0 + (at - began).as_secs_f64());
        assert!(
            (before as f64) < allowed,
            "{} sends after {:?}: {RATE_PER_SECOND} a second are allowed, and one burst",
            before + 1,
            at - began
        );
    }
    crowd.verify_all_messages(load);
}

#[test]
fn a_provider_that_rests_on_one_host_rests_on_all() {
    let mut crowd = TestCluster::start(ClusterOptions {
        provider_behavior: StubBehavior::Status(503),
        provider_config: "breaker_failure_threshold = 3\nbreaker_open_duration = \"600s\"",
        ..ClusterOptions::default()
    });
    crowd.start_console(WORKER_HOSTS[0]);
    let load = SteadyLoad::start(crowd.intake_addresses());
    wait_until("one worker has found the provider out", || {
        crowd.provider.call_times().len() >= 3
    });
    load.stop();
    wait_for_health_sync();
    let known = crowd.provider.call_times().len();
    for name in &WORKER_HOSTS[1..] {
        crowd.start_console(name);
        wait_until("the worker works", || {
            crowd.console_log(name).contains("worker started")
        });
    }
    wait_for_health_sync();
    let load = SteadyLoad::start(crowd.intake_addresses());
    load.wait_for_accepted(40);
    wait_for_health_sync();
    load.stop();
    let asked = crowd.provider.call_times().len() - known;
    assert_eq!(asked, 0, "calls of other workers to a provider that rests");
}

/// The time in which all hosts learn what one of them knows.
fn wait_for_health_sync() {
    std::thread::sleep(HEALTH_SYNC_TIME);
}
