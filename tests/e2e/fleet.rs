//! Who does the work that cron starts everywhere at the same second. What else processes on one store agree on is in
//! `tests/fleet/limits.rs`.

use super::databases::database;
use super::stub::{Mood, Stub};
use super::world::World;

const QUIET: &str =
    "[channels.sms]\nproviders = [\"red\"]\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

fn on_postgres(configuration: &str) -> World {
    World::new(&format!("[store]\nurl = \"{}\"\n{configuration}", database()))
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
