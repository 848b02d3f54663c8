//! The command line, beside a running gateway and without one: one line a person understands, and exit codes that
//! cron understands.

use super::stub_provider::{StubBehavior, StubProvider};
use super::test_gateway::TestGateway;

fn gateway_with(stub: &StubProvider) -> TestGateway {
    TestGateway::new(&format!(
        "{}[channels.sms]\nproviders = [\"red\"]\n[retry]\nbase = \"1h\"\ncap = \"2h\"\n",
        stub.texting_config("red")
    ))
}

#[test]
fn cron_commands_exit_with_success_when_there_is_nothing_to_do() {
    let world = gateway_with(&StubProvider::new(StubBehavior::Accept));
    for command in [["resend:msg"], ["resend"], ["sync:report"], ["sync-report"]] {
        let line = world.run_ok(&command);
        assert_eq!(line.trim().lines().count(), 1, "{command:?}: {line}");
    }
}

#[test]
fn waiting_messages_are_sent_when_the_operator_requests_it() {
    let stub = StubProvider::new(StubBehavior::Status(500));
    let world = gateway_with(&stub);
    let _console = world.start_serve(&[]);
    let id = world.send("09122222222", "wait for it");
    super::test_gateway::wait_until("it has been tried", || !world.attempts(&id).is_empty());
    stub.set_behavior(StubBehavior::Accept);
    let dry = world.run_ok(&["resend:msg", "--now", "--dry-run"]);
    assert!(dry.contains("would requeue 1 delivery"), "{dry}");
    assert_eq!(world.state(&id), "waiting");
    world.run_ok(&["resend:msg", "--now"]);
    world.wait_for_state(&id, &["sent"]);
}

#[test]
fn a_message_sent_from_the_command_line_is_delivered_by_the_running_gateway() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let world = gateway_with(&stub);
    let _console = world.start_serve(&[]);
    let said = world.run_ok(&["send", "09122222222", "from the command line"]);
    let id = said
        .split_whitespace()
        .find(|word| word.len() == 36)
        .expect("an id in what it said")
        .to_owned();
    world.wait_for_state(&id, &["sent"]);
    assert!(world.run_ok(&["message", &id]).contains("red"));
    assert!(world.run_ok(&["sync:report"]).contains(", 1 message"));
    let status = world.run_ok(&["status"]);
    let sent = status.lines().find(|line| line.starts_with("sent "));
    assert!(sent.is_some_and(|line| line.contains(" 1 ")), "{status}");
}

#[test]
fn wrong_usage_exits_with_2_and_failure_with_1() {
    let world = gateway_with(&StubProvider::new(StubBehavior::Accept));
    assert_eq!(world.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(world.run(&["send", "123", "hi"]).status.code(), Some(2));
    assert_eq!(
        world
            .run(&["message", "00000000-0000-0000-0000-000000000000"])
            .status
            .code(),
        Some(1)
    );
    std::fs::write(
        world.folder.path().join("wrong.toml"),
        "lisen = \"127.0.0.1:1\"\n",
    )
    .unwrap();
    let output = world.run(&["--config", "wrong.toml", "check"]);
    let words =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(words.contains("lisen") && words.contains("wrong.toml"), "{words}");
}

#[test]
fn a_backup_made_while_serving_is_complete() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let world = gateway_with(&stub);
    let _console = world.start_serve(&[]);
    let id = world.send("09122222222", "keep me");
    world.wait_for_state(&id, &["sent"]);
    world.run_ok(&["backup", "copy.db"]);
    let copy = rusqlite::Connection::open(world.folder.path().join("copy.db")).unwrap();
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(
        count("SELECT count(*) FROM notifications WHERE status = 1 AND mobile LIKE '%9122222222'"),
        1
    );
}

#[test]
fn check_reports_what_is_wrong_and_what_to_do() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let good = gateway_with(&stub);
    let fresh = good.run_ok(&["check"]);
    assert!(fresh.contains("applied by `console migrate`"), "{fresh}");
    assert!(
        !good.folder.path().join("postrider.db").exists(),
        "a look makes nothing"
    );
    good.run_ok(&["migrate"]);
    assert!(good.run_ok(&["check"]).contains("readable and writable"));
    let nobody = super::test_gateway::free_address();
    let bad = TestGateway::new(&format!(
        "[queue]\nurl = \"redis://{nobody}\"\n{}",
        stub.texting_config("red")
    ));
    let output = bad.run(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("error: queue redis://"),
        "{output:?}"
    );
}

#[test]
fn a_provider_with_unsigned_receipts_is_refused_or_named() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let configuration = |more: &str| {
        format!(
            "[channels.sms]\nproviders = [\"red\"]\n[providers.red]\nkind = \"http\"\nurl = \"http://{}/\"\n\
             [providers.red.receipts]\nreference = \"any:id\"\nstatus = \"any:status\"\ninvalid = [\"dead\"]\n{more}",
            stub.address
        )
    };
    let refused = TestGateway::new(&configuration("")).run(&["serve"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    for part in ["[providers.red]", "receipts.token", "hmac", "unsigned = true"] {
        assert!(told.contains(part), "{told}");
    }
    let world = TestGateway::new(&configuration("unsigned = true\n"));
    let _console = world.start_serve(&[]);
    assert!(
        world
            .log()
            .contains("receipts are not authenticated (unsigned = true)"),
        "{}",
        world.log()
    );
    assert!(world.log().contains("provider=red"), "{}", world.log());
    let checked = world.run_ok(&["check"]);
    assert!(
        checked.contains("warning: provider red: receipts are not authenticated"),
        "{checked}"
    );
}
