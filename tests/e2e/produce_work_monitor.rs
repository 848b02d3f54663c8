//! `console produce`, `work` and `monitor` as separate processes, on SQLite and on PostgreSQL, also when one of them
//! is killed, starts before the store exists, or loses its store.

use std::process::Stdio;

use super::simulate::{numbers_in_line, stderr, stdout};
use super::simulate_reference::ratio_blocks;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, free_address, wait_until};
use postrider_core::testing::backend_server::BackendServer;
use postrider_core::testing::postgres_server::{find_postgres_programs, new_database};

const MOCK_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\nconnect_timeout = \"500ms\"\ntimeout = \"1s\"\n\
                       [channels.sms]\nproviders = [\"mock\"]\n[work]\nlease = \"7s\"\n";

/// Returns the last counts of sent and failed messages and the average seconds that the monitor printed.
fn parse_monitor_output(text: &str) -> Option<(u64, u64, f64)> {
    let last =
        |prefix: &str| text.lines().rev().find_map(|line| line.strip_prefix(prefix).map(str::to_owned));
    let sent = last("Total messages sent: ")?.parse().ok()?;
    let failed = last("Total messages failed: ")?.parse().ok()?;
    let average = last("Average time per message: ")?;
    Some((sent, failed, average.strip_suffix(" seconds")?.parse().ok()?))
}

#[test]
fn a_simulation_ends_when_its_store_is_gone() {
    let url = new_database();
    let gateway = TestGateway::new("");
    let keep = format!("--keep={url}");
    let arguments = ["simulate", &keep, "--messages", "200", "--mean-time", "1s", "--no-retry"];
    let mut command = gateway.command(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let monitor = gateway
        .command(&["monitor", "--interval", "100ms"])
        .env("POSTRIDER_STORE_URL", &url)
        .stdout(std::fs::File::create(gateway.folder.path().join("monitor.txt")).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    wait_until("a message was sent", || {
        let text = std::fs::read_to_string(gateway.folder.path().join("monitor.txt")).unwrap();
        parse_monitor_output(&text).is_some_and(|(sent, ..)| sent > 0)
    });
    monitor.kill();
    let name = url.rsplit('/').next().unwrap();
    let dropped = std::process::Command::new(find_postgres_programs().unwrap().join("dropdb"))
        .args(["--force", "--maintenance-db", &url.replace(name, "postgres"), name])
        .status();
    assert!(dropped.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("simulation stopped"), "{}", stderr(&output));
}

#[test]
fn on_postgres_and_redis_the_parts_give_the_same_result_and_a_simulation_can_be_kept() {
    let redis = BackendServer::redis();
    let url = new_database();
    let gateway = TestGateway::new(&format!(
        "{MOCK_CONFIG}[store]\nurl = \"{url}\"\n[queue]\nurl = \"{}\"\n",
        redis.url()
    ));
    let monitor_file = gateway.folder.path().join("monitor.txt");
    let mut command = gateway.command(&["monitor"]);
    command.env("MONITOR_INTERVAL", "0.2");
    let monitor = command.stdout(std::fs::File::create(&monitor_file).unwrap()).stderr(Stdio::null()).spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    let counts = || parse_monitor_output(&std::fs::read_to_string(&monitor_file).unwrap());
    let accepting = ["work", "--mean-time", "1ms", "--failure-rate", "0"];
    let first = gateway.start(&accepting);
    let output = gateway.run_ok(&["produce", "--messages", "400"]);
    assert!(output.starts_with("produced 400 messages"), "{output}");
    let failing = ["work", "--mean-time", "1ms", "--failure-rate", "1", "--concurrency", "4"];
    let others = [gateway.start(&accepting), gateway.start(&failing), gateway.start(&failing)];
    wait_until("all messages have ended", || counts().is_some_and(|(sent, failed, _)| sent + failed == 400));
    let report = gateway.run_ok(&["sync:report"]);
    assert!(report.contains("400 messages"), "{report}");
    for process in others.into_iter().chain([first, monitor]) {
        assert_eq!(process.terminate().code(), Some(0));
    }

    let keep = format!("--keep={}", new_database());
    let simulate = ["simulate", &keep, "--messages", "300", "--mean-time", "0", "--no-retry", "--seed", "7"];
    let output = gateway.run(&simulate);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let temporary =
        gateway.run(&["simulate", "--messages", "300", "--mean-time", "0", "--no-retry", "--seed", "7"]);
    assert_eq!(numbers_in_line(&stdout(&output), "report"), numbers_in_line(&stdout(&temporary), "report"));
    let again = gateway.run(&simulate);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    let keep = format!("--keep={}", new_database());
    let users = ["simulate", "--users", "100", "--seed", "3", "--messages-per-user", "2"];
    let kept = ratio_blocks(&gateway.run_ok(&[&users[..], &[&keep]].concat()));
    assert_eq!(kept, ratio_blocks(&gateway.run_ok(&users)));
}

#[test]
fn the_monitor_waits_for_a_store_whose_folder_does_not_exist_yet() {
    let gateway = TestGateway::new("[store]\nurl = \"sqlite:later/postrider.db\"\n");
    let monitor_file = gateway.folder.path().join("monitor.txt");
    let monitor_errors = gateway.folder.path().join("monitor-errors.txt");
    let mut command = gateway.command(&["monitor", "--interval", "100ms"]);
    command.stdout(std::fs::File::create(&monitor_file).unwrap());
    let monitor = command.stderr(std::fs::File::create(&monitor_errors).unwrap()).spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    wait_until("the monitor reports the missing folder", || {
        std::fs::read_to_string(&monitor_errors).unwrap().contains("later does not exist yet")
    });
    std::fs::create_dir(gateway.folder.path().join("later")).unwrap();
    gateway.run_ok(&["migrate"]);
    wait_until("the monitor prints zero counts", || {
        parse_monitor_output(&std::fs::read_to_string(&monitor_file).unwrap()) == Some((0, 0, 0.0))
    });
    assert_eq!(monitor.terminate().code(), Some(0));
    let printed = std::fs::read_to_string(&monitor_file).unwrap();
    let lines: Vec<&str> = printed.lines().take(3).collect();
    assert_eq!(
        lines,
        ["Total messages sent: 0", "Total messages failed: 0", "Average time per message: 0.0000 seconds"]
    );
}

#[test]
fn separate_processes_lose_nothing_when_killed_and_the_monitor_counts_everything() {
    let gateway = TestGateway::new(MOCK_CONFIG);
    gateway.run_ok(&["migrate"]);
    let mut command = gateway.command(&["monitor", "--interval", "200ms"]);
    let monitor_file = gateway.folder.path().join("monitor.txt");
    let monitor = command.stdout(std::fs::File::create(&monitor_file).unwrap()).stderr(Stdio::null()).spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    let counts = || parse_monitor_output(&std::fs::read_to_string(&monitor_file).unwrap());
    wait_until("the monitor prints zero counts", || counts() == Some((0, 0, 0.0)));
    let produced = gateway.command(&["produce"]).env("MESSAGE_COUNT", "300").output().unwrap();
    assert!(
        stdout(&produced).starts_with("produced 300 messages"),
        "{}{}",
        stdout(&produced),
        stderr(&produced)
    );
    let first = gateway.start(&["work", "--mean-time", "20ms", "--failure-rate", "0"]);
    let second = gateway.start(&["work", "--mean-time", "10ms", "--failure-rate", "1"]);
    wait_until("both workers have made attempts", || {
        counts().is_some_and(|(sent, failed, _)| sent > 0 && failed > 0)
    });
    first.kill();
    let third = gateway.start(&["work", "--mean-time", "0.02", "--failure-rate", "0", "--concurrency", "16"]);
    wait_until("all messages have ended", || counts().is_some_and(|(sent, failed, _)| sent + failed == 300));
    let (sent, failed, average) = counts().unwrap();
    assert_eq!(
        gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'sent'"),
        i64::try_from(sent).unwrap()
    );
    assert_eq!(
        gateway.query_number("SELECT count(*) FROM deliveries WHERE state = 'failed'"),
        i64::try_from(failed).unwrap()
    );
    assert!(average > 0.0, "{average}");
    let report = gateway.run_ok(&["sync:report"]);
    assert!(report.contains("300 messages"), "{report}");
    for process in [monitor, second, third] {
        assert_eq!(process.terminate().code(), Some(0));
    }
}

#[test]
fn messages_are_produced_and_monitored_while_redis_is_down() {
    let closed_address = free_address();
    let gateway = TestGateway::new(&format!("[queue]\nurl = \"redis://{closed_address}\"\n{MOCK_CONFIG}"));
    let produced = gateway.run(&["produce", "--messages", "20"]);
    assert!(produced.status.success(), "{}", stderr(&produced));
    let worker = gateway.start(&["work", "--mean-time", "0", "--failure-rate", "0"]);
    let monitor_file = gateway.folder.path().join("monitor.txt");
    let mut command = gateway.command(&["monitor", "--interval", "100ms"]);
    let monitor = command.stdout(std::fs::File::create(&monitor_file).unwrap()).stderr(Stdio::null()).spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    wait_until("all messages are sent", || {
        parse_monitor_output(&std::fs::read_to_string(&monitor_file).unwrap())
            .is_some_and(|(sent, ..)| sent == 20)
    });
    assert_eq!(monitor.terminate().code(), Some(0));
    assert_eq!(worker.terminate().code(), Some(0));
}

#[test]
fn a_mock_worker_refuses_messages_of_a_real_provider() {
    let gateway = TestGateway::new(&StubProvider::new(StubBehavior::Accept).texting_config("red"));
    let output = gateway.run(&["work", "--mean-time", "1ms"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("real providers"), "{}", stderr(&output));
}

#[test]
fn produce_refuses_channels_with_real_providers() {
    let gateway = TestGateway::new(
        "[providers.red]\nkind = \"http\"\nurl = \"https://red.example/?number={spelling}&body={body}\"\n\
         [providers.mock]\nkind = \"mock\"\n\
         [channels.sms]\nproviders = [\"mock\", \"red\"]\n[channels.play]\nproviders = [\"mock\"]\naddress = \"phone\"\n",
    );
    for (arguments, reason) in [
        (&["produce"][..], "real provider red"),
        (&["simulate", "--keep=sqlite:postrider.db"], "configured store"),
    ] {
        let output = gateway.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    }
    assert_eq!(gateway.query_number("SELECT count(*) FROM messages"), 0);
    gateway.run_ok(&["produce", "--messages", "3", "--channel", "play"]);
}

#[test]
fn a_second_signal_stops_produce_at_once() {
    let gateway = TestGateway::new(MOCK_CONFIG);
    gateway.run_ok(&["produce", "--messages", "0"]);
    let mut command = gateway.command(&["produce", "--messages", "100000000"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_until("some messages were produced", || gateway.query_number("SELECT count(*) FROM messages") > 0);
    // After the first signal, `produce` waits for the batch that it is writing; the lock makes that wait endless.
    let store = rusqlite::Connection::open(gateway.folder.path().join("postrider.db")).unwrap();
    store.busy_timeout(super::test_gateway::WAIT_LIMIT).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    wait_until("produce has ended", || {
        let interrupt = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
        assert!(interrupt.unwrap().success());
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("second signal"), "{}", stderr(&output));
}
