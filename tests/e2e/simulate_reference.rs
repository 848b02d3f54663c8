//! Simulations that replace the runs of systems D and E produce the numbers of their reference.

use super::simulate::{numbers_in_line, stderr, stdout};
use super::test_gateway::TestGateway;

/// Returns the JSON block with the counts and ratios of each message in the output.
pub fn ratio_blocks(printed: &str) -> Vec<serde_json::Value> {
    let parts = printed.split("\nid: ").flat_map(|part| part.split_once('{'));
    let blocks = parts.map(|(_, rest)| format!("{{{}}}", rest.split_once('}').unwrap().0));
    blocks.map(|block| serde_json::from_str(&block).unwrap()).collect()
}

#[test]
fn the_run_of_system_d_matches_its_reference() {
    let gateway = TestGateway::new("");
    let output = gateway.run(&[
        "simulate",
        "--messages",
        "1000",
        "--senders",
        "25",
        "--mean-time",
        "0.1",
        "--failure-rate",
        "0.2",
        "--no-retry",
        "--seed",
        "4",
    ]);
    let table = stdout(&output);
    assert!(output.status.success(), "{table}{}", stderr(&output));
    let [accepted, waiting, sent, delivered, failed] = numbers_in_line(&table, "report")[..] else {
        panic!("{table}");
    };
    assert_eq!((accepted, waiting, delivered, sent), (1_000, 0, 0, 1_000 - failed), "{table}");
    assert!((149..=251).contains(&failed), "{table}");
    let line = table.lines().find(|line| line.starts_with("mean call time")).unwrap();
    let found = line.split_whitespace().find_map(|word| word.parse::<f64>().ok()).unwrap();
    // No upper limit: the machine adds an unknown delay.
    assert!(found > 0.1 - 0.013, "{line}");
}

#[test]
fn the_run_of_system_e_matches_its_reference_and_repeats_with_its_seed() {
    let gateway = TestGateway::new("");
    let simulate = |further: &[&str]| {
        let example = [
            "simulate",
            "--users",
            "1000",
            "--messages-per-user",
            "5",
            "--loss-ratio",
            "0.1",
            "--open-ratio",
            "0.6",
            "--seed",
            "8",
        ];
        let printed = gateway.run_ok(&[&example, further].concat());
        assert!(printed.ends_with("result: as expected\n"), "{printed}");
        printed
    };
    let printed = simulate(&[]);
    let messages = ratio_blocks(&printed);
    assert_eq!(messages.len(), 5, "{printed}");
    assert_eq!(printed.lines().filter(|line| line.starts_with("body: ")).count(), 5);
    for message in &messages {
        let [sent, received, opened] =
            ["sent", "received", "opened"].map(|name| message[name].as_u64().unwrap());
        assert_eq!(sent, 1_000);
        // Four standard deviations, and one more for each of five messages.
        assert!((853..=947).contains(&received) && (465..=615).contains(&opened), "{message}");
        let hundredths = |part: u64, whole: u64| (200 * part + whole) / (2 * whole);
        let decimal = |hundredths: u64| format!("{}.{:02}", hundredths / 100, hundredths % 100);
        assert_eq!(message["received_ratio"], decimal(hundredths(received, sent)));
        assert_eq!(message["opened_ratio"], decimal(hundredths(opened, received)));
    }
    let again = ratio_blocks(&simulate(&["--senders", "1", "--concurrency", "16"]));
    assert_eq!(again, messages, "the same seed gives the same counts with other senders");
}

#[test]
fn no_ratio_divides_by_zero_without_users_or_received_messages() {
    let gateway = TestGateway::new("");
    let no_users = ratio_blocks(&gateway.run_ok(&["simulate", "--users", "0", "--messages-per-user", "2"]));
    assert_eq!(no_users.len(), 2);
    for message in no_users {
        assert_eq!(message["sent"], 0);
        assert!(message["received_ratio"].is_null() && message["opened_ratio"].is_null(), "{message}");
    }
    let lost = ratio_blocks(&gateway.run_ok(&[
        "simulate",
        "--users",
        "20",
        "--messages-per-user",
        "1",
        "--loss-ratio",
        "1",
    ]));
    assert_eq!(lost[0]["received_ratio"], "0.00");
    assert!(lost[0]["opened_ratio"].is_null());
    let all =
        ["simulate", "--users", "20", "--messages-per-user", "1", "--loss-ratio", "0", "--open-ratio", "1"];
    let all = ratio_blocks(&gateway.run_ok(&all));
    assert_eq!((&all[0]["received"], &all[0]["opened"]), (&20.into(), &20.into()));
}

#[test]
fn message_and_user_options_are_mutually_exclusive() {
    let gateway = TestGateway::new("");
    for arguments in [
        ["simulate", "--users", "10", "--messages", "5"],
        ["simulate", "--users", "10", "--failure-rate", "0.1"],
        ["simulate", "--users", "10", "--sender", "mean=1s"],
    ] {
        let output = gateway.run(&arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("cannot be used with"), "{}", stderr(&output));
    }
    for option in ["--messages-per-user", "--loss-ratio", "--open-ratio"] {
        let output = gateway.run(&["simulate", option, "1"]);
        assert_eq!(output.status.code(), Some(2), "{option}");
        assert!(stderr(&output).contains("--users"), "{}", stderr(&output));
    }
}
