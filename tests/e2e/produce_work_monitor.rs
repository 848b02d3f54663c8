//! The emergency alert in its three parts, each a process of its own, on a file and on a server; and what becomes of them
//! when one is killed, is early, or loses its store.

use std::process::Stdio;

use super::simulate::{numbers_in_line, stderr, stdout};
use super::simulate_reference::ratio_blocks;
use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::{TestGateway, free_address, wait_until};
use postrider_core::testing::backend_server::BackendServer;
use postrider_core::testing::postgres_server::{find_postgres_programs, new_database};

const MOCK_CONFIG: &str = "[providers.mock]\nkind = \"mock\"\nconnect_timeout = \"500ms\"\ntimeout = \"1s\"\n\
                       [channels.sms]\nproviders = [\"mock\"]\n[work]\nlease = \"7s\"\n";

/// What the last three lines of a monitor's file say: sent, failed, seconds.
fn parse_monitor_output(text: &str) -> Option<(u64, u64, f64)> {
    let last = |prefix: &str| {
        text.lines()
            .rev()
            .find_map(|line| line.strip_prefix(prefix).map(str::to_owned))
    };
    let sent = last("Total messages sent: ")?.parse().ok()?;
    let failed = last("Total messages failed: ")?.parse().ok()?;
    let average = last("Average time per message: ")?;
    Some((sent, failed, average.strip_suffix(" seconds")?.parse().ok()?))
}

#[test]
fn a_simulation_ends_when_its_store_is_gone() {
    let url = new_database();
    let world = TestGateway::new("");
    let keep = format!("--keep={url}");
    let arguments = [
        "simulate",
        &keep,
        "--messages",
        "200",
        "--mean-time",
        "1s",
        "--no-retry",
    ];
    let mut command = world.command(&arguments);
    let child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let watch = world
        .command(&["monitor", "--interval", "100ms"])
        .env("POSTRIDER_STORE_URL", &url)
        .stdout(std::fs::File::create(world.folder.path().join("monitor.txt")).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let watch = super::test_gateway::ConsoleProcess::from_child(watch.unwrap());
    wait_until("something was sent", || {
        let text = std::fs::read_to_string(world.folder.path().join("monitor.txt")).unwrap();
        parse_monitor_output(&text).is_some_and(|(sent, ..)| sent > 0)
    });
    watch.kill();
    let name = url.rsplit('/').next().unwrap();
    let gone = std::process::Command::new(find_postgres_programs().unwrap().join("dropdb"))
        .args([
            "--force",
            "--maintenance-db",
            &url.replace(name, "postgres"),
            name,
        ])
        .status();
    assert!(gone.unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("simulation stopped"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn on_postgres_and_redis_the_parts_give_the_same_result_and_a_simulation_can_be_kept() {
    let redis = BackendServer::redis();
    let url = new_database();
    let world = TestGateway::new(&format!(
        "{MOCK_CONFIG}[store]\nurl = \"{url}\"\n[queue]\nurl = \"{}\"\n",
        redis.url()
    ));
    let watched = world.folder.path().join("monitor.txt");
    let mut command = world.command(&["monitor"]);
    command.env("MONITOR_INTERVAL", "0.2");
    let monitor = command
        .stdout(std::fs::File::create(&watched).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    let seen = || parse_monitor_output(&std::fs::read_to_string(&watched).unwrap());
    let good = ["work", "--mean-time", "1ms", "--failure-rate", "0"];
    let first = world.start(&good);
    let made = world.run_ok(&["produce", "--messages", "400"]);
    assert!(made.starts_with("produced 400 messages"), "{made}");
    let bad = [
        "work",
        "--mean-time",
        "1ms",
        "--failure-rate",
        "1",
        "--concurrency",
        "4",
    ];
    let others = [world.start(&good), world.start(&bad), world.start(&bad)];
    wait_until("all have ended", || {
        seen().is_some_and(|(sent, failed, _)| sent + failed == 400)
    });
    let report = world.run_ok(&["sync:report"]);
    assert!(report.contains("400 messages"), "{report}");
    for process in others.into_iter().chain([first, monitor]) {
        assert_eq!(process.terminate().code(), Some(0));
    }

    let keep = format!("--keep={}", new_database());
    let simulate = [
        "simulate",
        &keep,
        "--messages",
        "300",
        "--mean-time",
        "0",
        "--no-retry",
        "--seed",
        "7",
    ];
    let output = world.run(&simulate);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    let temporary = world.run(&[
        "simulate",
        "--messages",
        "300",
        "--mean-time",
        "0",
        "--no-retry",
        "--seed",
        "7",
    ]);
    assert_eq!(
        numbers_in_line(&stdout(&output), "report"),
        numbers_in_line(&stdout(&temporary), "report")
    );
    let again = world.run(&simulate);
    assert_eq!(again.status.code(), Some(2), "{}", stderr(&again));
    let keep = format!("--keep={}", new_database());
    let users = [
        "simulate",
        "--users",
        "100",
        "--seed",
        "3",
        "--messages-per-user",
        "2",
    ];
    let kept = ratio_blocks(&world.run_ok(&[&users[..], &[&keep]].concat()));
    assert_eq!(kept, ratio_blocks(&world.run_ok(&users)));
}

#[test]
fn the_monitor_waits_for_a_store_whose_folder_does_not_exist_yet() {
    let world = TestGateway::new("[store]\nurl = \"sqlite:later/postrider.db\"\n");
    let watched = world.folder.path().join("monitor.txt");
    let complaints = world.folder.path().join("complaints.txt");
    let mut command = world.command(&["monitor", "--interval", "100ms"]);
    command.stdout(std::fs::File::create(&watched).unwrap());
    let monitor = command
        .stderr(std::fs::File::create(&complaints).unwrap())
        .spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    wait_until("it says what is missing", || {
        std::fs::read_to_string(&complaints)
            .unwrap()
            .contains("later does not exist yet")
    });
    std::fs::create_dir(world.folder.path().join("later")).unwrap();
    wait_until("it says that there is nothing", || {
        parse_monitor_output(&std::fs::read_to_string(&watched).unwrap()) == Some((0, 0, 0.0))
    });
    assert_eq!(monitor.terminate().code(), Some(0));
    let said = std::fs::read_to_string(&watched).unwrap();
    let lines: Vec<&str> = said.lines().take(3).collect();
    assert_eq!(
        lines,
        [
            "Total messages sent: 0",
            "Total messages failed: 0",
            "Average time per message: 0.0000 seconds"
        ]
    );
}

#[test]
fn separate_processes_lose_nothing_when_killed_and_the_monitor_counts_everything() {
    let world = TestGateway::new(MOCK_CONFIG);
    let mut command = world.command(&["monitor", "--interval", "200ms"]);
    let watched = world.folder.path().join("monitor.txt");
    let monitor = command
        .stdout(std::fs::File::create(&watched).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    let seen = || parse_monitor_output(&std::fs::read_to_string(&watched).unwrap());
    wait_until("the monitor says that there is nothing", || {
        seen() == Some((0, 0, 0.0))
    });
    let made = world
        .command(&["produce"])
        .env("MESSAGE_COUNT", "300")
        .output()
        .unwrap();
    assert!(
        stdout(&made).starts_with("produced 300 messages"),
        "{}{}",
        stdout(&made),
        stderr(&made)
    );
    let first = world.start(&["work", "--mean-time", "20ms", "--failure-rate", "0"]);
    let second = world.start(&["work", "--mean-time", "10ms", "--failure-rate", "1"]);
    wait_until("both have sent", || {
        seen().is_some_and(|(sent, failed, _)| sent > 0 && failed > 0)
    });
    first.kill();
    let third = world.start(&[
        "work",
        "--mean-time",
        "0.02",
        "--failure-rate",
        "0",
        "--concurrency",
        "16",
    ]);
    wait_until("all have ended", || {
        seen().is_some_and(|(sent, failed, _)| sent + failed == 300)
    });
    let (sent, failed, average) = seen().unwrap();
    assert_eq!(
        world.query_number("SELECT count(*) FROM deliveries WHERE state = 'sent'"),
        i64::try_from(sent).unwrap()
    );
    assert_eq!(
        world.query_number("SELECT count(*) FROM deliveries WHERE state = 'failed'"),
        i64::try_from(failed).unwrap()
    );
    assert!(average > 0.0, "{average}");
    let report = world.run_ok(&["sync:report"]);
    assert!(report.contains("300 messages"), "{report}");
    for process in [monitor, second, third] {
        assert_eq!(process.terminate().code(), Some(0));
    }
}

#[test]
fn messages_are_produced_and_monitored_while_redis_is_down() {
    let nobody = free_address();
    let world = TestGateway::new(&format!("[queue]\nurl = \"redis://{nobody}\"\n{MOCK_CONFIG}"));
    let made = world.run(&["produce", "--messages", "20"]);
    assert!(made.status.success(), "{}", stderr(&made));
    let sender = world.start(&["work", "--mean-time", "0", "--failure-rate", "0"]);
    let watched = world.folder.path().join("monitor.txt");
    let mut command = world.command(&["monitor", "--interval", "100ms"]);
    let monitor = command
        .stdout(std::fs::File::create(&watched).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let monitor = super::test_gateway::ConsoleProcess::from_child(monitor.unwrap());
    wait_until("all were sent", || {
        parse_monitor_output(&std::fs::read_to_string(&watched).unwrap()).is_some_and(|(sent, ..)| sent == 20)
    });
    assert_eq!(monitor.terminate().code(), Some(0));
    assert_eq!(sender.terminate().code(), Some(0));
}

#[test]
fn a_mock_worker_refuses_messages_of_a_real_provider() {
    let world = TestGateway::new(&StubProvider::new(StubBehavior::Accept).texting_config("red"));
    let output = world.run(&["work", "--mean-time", "1ms"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("real providers"), "{}", stderr(&output));
}

#[test]
fn produce_refuses_channels_with_real_providers() {
    let world = TestGateway::new(
        "[providers.red]\nkind = \"http\"\nurl = \"https://red.example/?number={spelling}&body={body}\"\n\
         [providers.mock]\nkind = \"mock\"\n\
         [channels.sms]\nproviders = [\"mock\", \"red\"]\n[channels.play]\nproviders = [\"mock\"]\naddress = \"phone\"\n",
    );
    for (arguments, why) in [
        (&["produce"][..], "real people"),
        (&["simulate", "--keep=sqlite:postrider.db"], "configured store"),
    ] {
        let output = world.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains(why), "{}", stderr(&output));
    }
    assert_eq!(world.query_number("SELECT count(*) FROM messages"), 0);
    world.run_ok(&["produce", "--messages", "3", "--channel", "play"]);
}

#[test]
fn a_second_signal_stops_produce_at_once() {
    let world = TestGateway::new(MOCK_CONFIG);
    world.run_ok(&["produce", "--messages", "0"]);
    let mut command = world.command(&["produce", "--messages", "100000000"]);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_until("some were made", || {
        world.query_number("SELECT count(*) FROM messages") > 0
    });
    // A batch that cannot be written is waited for after the first signal.
    let store = rusqlite::Connection::open(world.folder.path().join("postrider.db")).unwrap();
    store.busy_timeout(super::test_gateway::WAIT_LIMIT).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    wait_until("it has ended", || {
        let interrupt = std::process::Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(interrupt.unwrap().success());
        child.try_wait().unwrap().is_some()
    });
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("second signal"), "{}", stderr(&output));
}
