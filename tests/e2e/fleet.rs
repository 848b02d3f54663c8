//! What several processes on one store agree on: how fast a provider is asked, how it does, and who does the work
//! that cron starts everywhere at the same second.

use std::time::{Duration, Instant};

use super::databases::database;
use super::stub::{Mood, Stub};
use super::wire;
use super::world::{World, breathe, free_address, until};

const QUIET: &str =
    "[channels.sms]\nproviders = [\"red\"]\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

fn on_postgres(configuration: &str) -> World {
    World::new(&format!("[store]\nurl = \"{}\"\n{configuration}", database()))
}

#[test]
fn three_workers_together_keep_to_the_rate_of_a_provider() {
    const RATE: f64 = 20.0;
    let red = Stub::new(Mood::Accept);
    let world = on_postgres(&format!("{}rate = {RATE}\n{QUIET}", red.texting("red")));
    let _intake = world.serve(&["--workers", "0"]);
    for n in 0..120 {
        world.send("09122222222", &format!("message {n}"));
    }
    let _workers = [(); 3].map(|()| world.start(&["work"]));
    until("the first call came", || !red.calls().is_empty());
    let first = Instant::now();
    let mut looks = vec![(Duration::ZERO, 0)];
    while red.calls().len() < 120 {
        assert!(first.elapsed() < Duration::from_secs(60), "it takes too long");
        // The time after the look, so that a slow look never makes a window too short.
        let calls = red.calls().len();
        looks.push((first.elapsed(), calls));
        breathe();
    }
    for (from, before) in &looks {
        for (to, after) in looks.iter().filter(|(to, _)| to > from) {
            let allowed = RATE * ((*to - *from).as_secs_f64() + 0.5) + RATE;
            let calls = (after - before) as f64;
            assert!(calls <= allowed, "{calls} calls from {from:?} to {to:?}");
        }
    }
}

#[test]
fn a_provider_put_to_rest_on_one_host_rests_on_all() {
    let red = Stub::new(Mood::Status(503));
    let tired = "rest_after = 2\nrest_for = \"600s\"\n";
    let fast = "[retry]\nbase = \"10ms\"\ncap = \"20ms\"\n";
    let world = on_postgres(&format!("{}{tired}{QUIET}{fast}", red.texting("red")));
    let there = free_address();
    let _other = world.start(&["serve", "--workers", "0", "--listen", &there.to_string()]);
    let health = || {
        let answer = wire::get(there, "/v1/providers")?;
        Some(answer.json()["providers"][0]["health"].as_str()?.to_owned())
    };
    until("the other host knows nothing bad", || {
        health().as_deref() == Some("well")
    });
    let _console = world.serve(&[]);
    for _ in 0..4 {
        world.send("09122222222", "hello");
    }
    until("the other host knows", || health().as_deref() == Some("resting"));
}

/// Starts the command six times at once; what each printed.
fn six_times(world: &World, arguments: &[&str]) -> Vec<String> {
    let started = [(); 6].map(|()| {
        let mut command = world.command(arguments);
        command.stdout(std::process::Stdio::piped());
        command.spawn().unwrap()
    });
    let printed = started.map(|child| {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    });
    printed.to_vec()
}

fn are_done_once(world: &World) {
    world.send("09122222222", "hello");
    for (arguments, did, did_not) in [
        (&["sync:report"][..], "brought up to date", "is up to date"),
        (&["resend:msg"], "queued 1 message again", "nothing to do here"),
        (
            &["prune", "--older-than", "1h"],
            "deleted 0 messages",
            "nothing to do here",
        ),
    ] {
        let printed = six_times(world, arguments);
        let count = |words| printed.iter().filter(|line| line.contains(words)).count();
        assert_eq!((count(did), count(did_not)), (1, 5), "{printed:?}");
    }
    world.send("09122222222", "hello again");
    let fresh = world.say(&["sync:report"]);
    assert!(fresh.contains("1 change, 2 messages"), "{fresh}");
}

#[test]
fn what_cron_starts_everywhere_at_once_is_done_once_on_a_server() {
    let red = Stub::new(Mood::Accept);
    let world = on_postgres(&format!("{}{QUIET}", red.texting("red")));
    let _console = world.serve(&["--workers", "0"]);
    are_done_once(&world);
}

#[test]
fn what_cron_starts_everywhere_at_once_is_done_once_on_a_file() {
    let red = Stub::new(Mood::Accept);
    let world = World::new(&format!("{}{QUIET}", red.texting("red")));
    let _console = world.serve(&["--workers", "0"]);
    are_done_once(&world);
}
