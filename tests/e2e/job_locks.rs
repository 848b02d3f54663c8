//! Scheduled jobs that cron starts on many hosts in the same second: one process runs the job, the others skip it.
//! Other limits shared by processes on one store are tested in `tests/fleet/shared_limits.rs`.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::TestGateway;
use postrider_core::testing::postgres_server::new_database;

const CONFIG: &str =
    "[channels.sms]\nproviders = [\"red\"]\n[schedule]\nresend = \"never\"\nreport = \"never\"\n";

fn gateway_on_postgres(configuration: &str) -> TestGateway {
    TestGateway::new(&format!("[store]\nurl = \"{}\"\n{configuration}", new_database()))
}

/// Starts the command six times at once and returns the output of each process.
fn run_six_at_once(gateway: &TestGateway, arguments: &[&str]) -> Vec<String> {
    let started = [(); 6].map(|()| {
        let mut command = gateway.command(arguments);
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

fn expect_jobs_run_once(gateway: &TestGateway) {
    gateway.send("09122222222", "hello");
    for (arguments, done, skipped) in [
        (&["sync:report"][..], "report updated", "report unchanged"),
        (&["resend:msg"], "requeued 1 delivery", "skipped:"),
        (&["prune", "--older-than", "1h"], "deleted 0 messages", "skipped:"),
    ] {
        let printed = run_six_at_once(gateway, arguments);
        let count = |text| printed.iter().filter(|line| line.contains(text)).count();
        assert_eq!((count(done), count(skipped)), (1, 5), "{printed:?}");
    }
    gateway.send("09122222222", "hello again");
    let fresh = gateway.run_ok(&["sync:report"]);
    assert!(fresh.contains("1 change, 2 messages"), "{fresh}");
}

#[test]
fn a_job_started_by_many_hosts_at_once_runs_once_on_postgres() {
    let red = StubProvider::new(StubBehavior::Accept);
    let gateway = gateway_on_postgres(&format!("{}{CONFIG}", red.texting_config("red")));
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    expect_jobs_run_once(&gateway);
}

#[test]
fn a_job_started_many_times_at_once_runs_once_on_sqlite() {
    let red = StubProvider::new(StubBehavior::Accept);
    let gateway = TestGateway::new(&format!("{}{CONFIG}", red.texting_config("red")));
    let _console = gateway.start_serve(&["--concurrency", "0"]);
    expect_jobs_run_once(&gateway);
}
