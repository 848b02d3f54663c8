//! Who does the work that cron starts everywhere at the same second. What else processes on one store agree on is in
//! `tests/fleet/limits.rs`.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str =
    "[channels.sms]\nproviders = [\"red\"]\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

fn gateway_on_postgres(configuration: &str) -> TestGateway {
    TestGateway::new(&format!("[store]\nurl = \"{}\"\n{configuration}", new_database()))
}

/// Starts the command six times at once; what each printed.
fn run_six_at_once(world: &TestGateway, arguments: &[&str]) -> Vec<String> {
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

fn expect_jobs_run_once(world: &TestGateway) {
    world.send("09122222222", "hello");
    for (arguments, did, did_not) in [
        (&["sync:report"][..], "report updated", "report unchanged"),
        (&["resend:msg"], "requeued 1 delivery", "skipped:"),
        (&["prune", "--older-than", "1h"], "deleted 0 messages", "skipped:"),
    ] {
        let printed = run_six_at_once(world, arguments);
        let count = |words| printed.iter().filter(|line| line.contains(words)).count();
        assert_eq!((count(did), count(did_not)), (1, 5), "{printed:?}");
    }
    world.send("09122222222", "hello again");
    let fresh = world.run_ok(&["sync:report"]);
    assert!(fresh.contains("1 change, 2 messages"), "{fresh}");
}

#[test]
fn a_job_started_by_many_hosts_at_once_runs_once_on_postgres() {
    let red = StubProvider::new(StubBehavior::Accept);
    let world = gateway_on_postgres(&format!("{}{CONFIG}", red.texting_config("red")));
    let _console = world.start_serve(&["--concurrency", "0"]);
    expect_jobs_run_once(&world);
}

#[test]
fn a_job_started_many_times_at_once_runs_once_on_sqlite() {
    let red = StubProvider::new(StubBehavior::Accept);
    let world = TestGateway::new(&format!("{}{CONFIG}", red.texting_config("red")));
    let _console = world.start_serve(&["--concurrency", "0"]);
    expect_jobs_run_once(&world);
}
