//! Limits and health that hold for all hosts together.

use std::time::Duration;

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
    for name in WORKERS {
        crowd.launch(name);
    }
    until("the provider has got some", || crowd.stub.moments().len() > 120);
    let moments = crowd.stub.moments();
    let within = |from: usize, time: Duration| {
        let end = moments[from] + time;
        moments[from..].iter().take_while(|at| **at < end).count()
    };
    let second = Duration::from_secs(1);
    let most = (0..moments.len()).map(|from| within(from, second)).max().unwrap();
    println!("at most {most} sends in one second");
    assert!(
        most <= 2 * RATE,
        "{most} sends in one second: {RATE} are allowed, and one burst"
    );
    let long = (0..moments.len())
        .map(|from| within(from, 4 * second))
        .max()
        .unwrap();
    assert!(long <= 5 * RATE, "{long} sends in four seconds");
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
