//! Limits and health that hold for all hosts together.

use std::time::{Duration, Instant};

use super::crowd::{Crowd, Plan, WORKERS};
use super::load::Load;
use super::stub::Mood;
use super::world::until;

/// Messages a second, for all workers.
const RATE: usize = 20;

/// How soon all hosts know what one has found out about a provider.
const KNOWN_EVERYWHERE: Duration = Duration::from_secs(2);

#[test]
fn three_workers_keep_one_providers_rate() {
    let mut crowd = Crowd::start(Plan {
        provider: "rate = 20",
        ..Plan::default()
    });
    let load = Load::start(crowd.doors());
    load.accept(150);
    let began = Instant::now();
    for name in WORKERS {
        crowd.launch(name);
    }
    until("the provider has got some", || crowd.stub.moments().len() > 120);
    // However late a send arrives: until then no more can have been allowed than one burst and what the time brings.
    for (before, at) in crowd.stub.moments().into_iter().enumerate() {
        let allowed = RATE as f64 * (1.0 + (at - began).as_secs_f64());
        assert!(
            (before as f64) < allowed,
            "{} sends after {:?}: {RATE} a second are allowed, and one burst",
            before + 1,
            at - began
        );
    }
    crowd.judge(load);
}

#[test]
fn a_provider_that_rests_on_one_host_rests_on_all() {
    let mut crowd = Crowd::start(Plan {
        mood: Mood::Status(503),
        provider: "rest_after = 3\nrest_for = \"600s\"",
        ..Plan::default()
    });
    crowd.launch(WORKERS[0]);
    let load = Load::start(crowd.doors());
    until("one worker has found the provider out", || {
        crowd.stub.moments().len() >= 3
    });
    load.stop();
    load_nothing();
    let known = crowd.stub.moments().len();
    for name in &WORKERS[1..] {
        crowd.launch(name);
        until("the worker works", || {
            crowd.log(name).contains("working on store")
        });
    }
    load_nothing();
    let load = Load::start(crowd.doors());
    load.accept(40);
    load_nothing();
    load.stop();
    let asked = crowd.stub.moments().len() - known;
    assert_eq!(asked, 0, "calls of other workers to a provider that rests");
}

/// The time in which all hosts learn what one of them knows.
fn load_nothing() {
    std::thread::sleep(KNOWN_EVERYWHERE);
}
