//! `console simulate`: load generated and sent in one process; the table, the store and the metrics agree.

use std::process::{Output, Stdio};

use super::test_gateway::{TestGateway, wait_until};

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns the numbers of the line that begins with `word`.
pub fn numbers_in_line(text: &str, word: &str) -> Vec<u64> {
    let line = text.lines().find(|line| line.starts_with(word));
    let line = line.unwrap_or_else(|| panic!("no {word} in\n{text}"));
    line.split_whitespace().skip(1).filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn a_simulation_matches_its_expected_values_and_all_counts_agree() {
    let gateway = TestGateway::new("");
    let output = gateway.run(&[
        "simulate",
        "--messages",
        "400",
        "--mean-time",
        "20ms",
        "--no-retry",
        "--seed",
        "7",
        "--keep=sqlite:kept.db",
    ]);
    let table = stdout(&output);
    assert!(output.status.success(), "{table}{}", stderr(&output));
    let [accepted, waiting, sent, delivered, failed] = numbers_in_line(&table, "report")[..] else {
        panic!("{table}");
    };
    assert_eq!((accepted, waiting, delivered), (400, 0, 0), "{table}");
    assert_eq!(sent + failed, 400);
    assert_eq!(numbers_in_line(&table, "metrics"), numbers_in_line(&table, "report"));
    let kept = rusqlite::Connection::open(gateway.folder.path().join("kept.db")).unwrap();
    let count = |state: &str| {
        let sql = "SELECT count(*) FROM deliveries WHERE state = ?1";
        kept.query_row(sql, [state], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    };
    assert_eq!((count("sent"), count("failed"), count("waiting")), (sent, failed, 0));
    let again = gateway.run(&[
        "simulate",
        "--messages",
        "400",
        "--mean-time",
        "0",
        "--no-retry",
        "--seed",
        "7",
        "--senders",
        "2",
    ]);
    assert_eq!(
        numbers_in_line(&stdout(&again), "report"),
        numbers_in_line(&table, "report"),
        "the same seed repeats the run"
    );
    let refused = gateway.run(&["simulate", "--messages", "1", "--keep=sqlite:kept.db"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("empty store"));
    let no_messages = ["--users", "2", "--messages-per-user", "0"];
    gateway.run_ok(&[&["simulate", "--keep=sqlite:users.db"], &no_messages[..]].concat());
    let refused = gateway.run(&["simulate", "--users", "2", "--keep=sqlite:users.db"]);
    assert_eq!(refused.status.code(), Some(2), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("already contains users"), "{}", stderr(&refused));
}

#[test]
fn the_limits_of_every_range_and_zero_messages_can_be_simulated() {
    let gateway = TestGateway::new("");
    let report = |arguments: &[&str]| {
        let output = gateway.run(&[&["simulate", "--mean-time", "0", "--no-retry"], arguments].concat());
        assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
        numbers_in_line(&stdout(&output), "report")
    };
    assert_eq!(report(&["--messages", "300", "--failure-rate", "0"]), [300, 0, 300, 0, 0]);
    assert_eq!(report(&["--messages", "300", "--failure-rate", "1"]), [300, 0, 0, 0, 300]);
    assert_eq!(report(&["--messages", "0"]), [0, 0, 0, 0, 0]);
}

#[test]
fn with_retries_nearly_all_messages_are_sent() {
    let gateway = TestGateway::new("");
    let output = gateway.run(&[
        "simulate",
        "--messages",
        "200",
        "--sender",
        "mean=0",
        "--sender",
        "mean=1ms,failure=0.5",
    ]);
    assert!(output.status.success(), "{}{}", stdout(&output), stderr(&output));
    assert_eq!(numbers_in_line(&stdout(&output), "report"), [200, 0, 200, 0, 0]);
}

#[test]
fn an_interrupted_simulation_prints_its_result_so_far_and_leaves_no_files() {
    let gateway = TestGateway::new("");
    let temporary = gateway.folder.path().join("temporary");
    std::fs::create_dir(&temporary).unwrap();
    let arguments = ["simulate", "--messages", "5000", "--mean-time", "100ms", "--no-retry"];
    let mut command = gateway.command(&arguments);
    command.env("TMPDIR", &temporary).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let folders = || std::fs::read_dir(&temporary).unwrap().count();
    let store = || {
        let folder = std::fs::read_dir(&temporary).unwrap().next()?.ok()?;
        let store = rusqlite::Connection::open(folder.path().join("postrider.db")).ok()?;
        let sql = "SELECT count(*) FROM deliveries WHERE state = 'sent'";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
    };
    wait_until("a message was sent", || store().is_some_and(|sent| sent > 0));
    let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(interrupted.unwrap().success());
    let output = child.wait_with_output().unwrap();
    let table = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{table}{}", stderr(&output));
    let [accepted, waiting, sent, delivered, failed] = numbers_in_line(&table, "report")[..] else {
        panic!("{table}");
    };
    assert_eq!(accepted, waiting + sent + delivered + failed, "{table}");
    assert!(waiting > 0 && sent > 0 && !table.contains("OUTSIDE"), "{table}");
    assert!(stderr(&output).contains("interrupted"));
    assert_eq!(folders(), 0);
}

#[test]
fn a_value_out_of_range_is_refused_with_the_range() {
    let gateway = TestGateway::new("");
    for (arguments, range) in [
        (vec!["simulate", "--mean-time", "61s"], "from 0s to 1m"),
        (vec!["simulate", "--failure-rate", "1.5"], "from 0 to 1"),
        (vec!["simulate", "--senders", "0"], "1..=1000"),
        (vec!["simulate", "--sender", "mean=2s,failure=7"], "from 0 to 1"),
        (vec!["simulate", "--users", "1000001"], "from 0 to 1000000"),
        (vec!["simulate", "--users", "9", "--loss-ratio", "1.1"], "from 0 to 1"),
        (vec!["simulate", "--users", "9", "--open-ratio", "-1"], "from 0 to 1"),
        (vec!["simulate", "--users", "9", "--messages-per-user", "1001"], "from 0 to 1000"),
        (vec!["produce", "--messages", "200000000"], "from 0 to 100000000"),
        (vec!["work", "--failure-rate", "-0.1"], "from 0 to 1"),
        (vec!["monitor", "--interval", "2h"], "from 100ms to 1h"),
    ] {
        let output = gateway.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(range), "{arguments:?}: {}", stderr(&output));
    }
    let variables = [
        ("work", "SENDER_MEAN_TIME", "-1"),
        ("work", "SENDER_FAILURE_RATE", "2"),
        ("produce", "MESSAGE_COUNT", "many"),
        ("monitor", "MONITOR_INTERVAL", "0"),
    ];
    for (command, name, value) in variables {
        let output = gateway.command(&[command]).env(name, value).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{name}: {}", stderr(&output));
        assert!(
            stderr(&output).contains(name) && stderr(&output).contains("from "),
            "{name}: {}",
            stderr(&output)
        );
    }
}
