//! The command line with and without a running gateway: readable output and exit codes that cron can use.

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
    let gateway = gateway_with(&StubProvider::new(StubBehavior::Accept));
    gateway.run_ok(&["migrate"]);
    for command in [["resend:msg"], ["resend"], ["sync:report"], ["sync-report"]] {
        let line = gateway.run_ok(&command);
        assert_eq!(line.trim().lines().count(), 1, "{command:?}: {line}");
    }
}

#[test]
fn waiting_messages_are_sent_when_the_operator_requests_it() {
    let stub = StubProvider::new(StubBehavior::Status(500));
    let gateway = gateway_with(&stub);
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "retried on request");
    super::test_gateway::wait_until("the message has been tried", || !gateway.attempts(&id).is_empty());
    stub.set_behavior(StubBehavior::Accept);
    let dry = gateway.run_ok(&["resend:msg", "--now", "--dry-run"]);
    assert!(dry.contains("would requeue 1 delivery"), "{dry}");
    assert_eq!(gateway.state(&id), "waiting");
    gateway.run_ok(&["resend:msg", "--now"]);
    gateway.wait_for_state(&id, &["sent"]);
}

#[test]
fn a_message_sent_from_the_command_line_is_delivered_by_the_running_gateway() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let gateway = gateway_with(&stub);
    let _console = gateway.start_serve(&[]);
    let output = gateway.run_ok(&["send", "09122222222", "from the command line"]);
    let id = output.split_whitespace().find(|word| word.len() == 36).expect("an id in the output").to_owned();
    gateway.wait_for_state(&id, &["sent"]);
    assert!(gateway.run_ok(&["message", &id]).contains("red"));
    assert!(gateway.run_ok(&["sync:report"]).contains(", 1 message"));
    let status = gateway.run_ok(&["status"]);
    let sent = status.lines().find(|line| line.starts_with("sent "));
    assert!(sent.is_some_and(|line| line.contains(" 1 ")), "{status}");
}

#[test]
fn wrong_usage_exits_with_2_and_failure_with_1() {
    let gateway = gateway_with(&StubProvider::new(StubBehavior::Accept));
    assert_eq!(gateway.run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(gateway.run(&["send", "123", "hi"]).status.code(), Some(2));
    assert_eq!(gateway.run(&["message", "00000000-0000-0000-0000-000000000000"]).status.code(), Some(1));
    std::fs::write(gateway.folder.path().join("wrong.toml"), "lisen = \"127.0.0.1:1\"\n").unwrap();
    let output = gateway.run(&["--config", "wrong.toml", "check"]);
    let text =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("lisen") && text.contains("wrong.toml"), "{text}");
}

#[test]
fn a_backup_made_while_serving_is_complete() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let gateway = gateway_with(&stub);
    let _console = gateway.start_serve(&[]);
    let id = gateway.send("09122222222", "keep me");
    gateway.wait_for_state(&id, &["sent"]);
    gateway.run_ok(&["backup", "copy.db"]);
    let copy = rusqlite::Connection::open(gateway.folder.path().join("copy.db")).unwrap();
    let count = |sql: &str| copy.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM notifications WHERE status = 1 AND mobile LIKE '%9122222222'"), 1);
}

#[test]
fn check_reports_what_is_wrong_and_what_to_do() {
    let stub = StubProvider::new(StubBehavior::Accept);
    let reachable = gateway_with(&stub);
    let output = reachable.run_ok(&["check"]);
    assert!(output.contains("applied by `console migrate`"), "{output}");
    assert!(!reachable.folder.path().join("postrider.db").exists(), "`check` creates no store");
    reachable.run_ok(&["migrate"]);
    assert!(reachable.run_ok(&["check"]).contains("readable and writable"));
    let closed_address = super::test_gateway::free_address();
    let unreachable = TestGateway::new(&format!(
        "[queue]\nurl = \"redis://{closed_address}\"\n{}",
        stub.texting_config("red")
    ));
    let output = unreachable.run(&["check"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("error: queue redis://"), "{output:?}");
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
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{stderr}");
    for part in ["[providers.red]", "receipts.token", "hmac", "unsigned = true"] {
        assert!(stderr.contains(part), "{stderr}");
    }
    let gateway = TestGateway::new(&configuration("unsigned = true\n"));
    let _console = gateway.start_serve(&[]);
    assert!(gateway.log().contains("receipts are not authenticated (unsigned = true)"), "{}", gateway.log());
    assert!(gateway.log().contains("provider=red"), "{}", gateway.log());
    let checked = gateway.run_ok(&["check"]);
    assert!(checked.contains("warning: provider red: receipts are not authenticated"), "{checked}");
}
