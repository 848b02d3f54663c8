use clap::CommandFactory;

use super::values::parse_message_age;
use super::*;
use chrono::DateTime;
use postrider_core::clock::Timestamp;

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
}

#[test]
fn every_variable_of_an_option_is_known_to_the_configuration() {
    let command = Cli::command();
    let arguments = command
        .get_subcommands()
        .chain([&command])
        .flat_map(clap::Command::get_arguments)
        .collect::<Vec<_>>();
    let variables = arguments.iter().filter_map(|argument| argument.get_env()?.to_str()).collect::<Vec<_>>();
    assert!(variables.len() >= 3, "{variables:?}");
    for variable in variables {
        assert!(postrider_engine::config::keys::OTHER_VARIABLES.contains(&variable), "{variable}");
    }
}

#[test]
fn commands_with_a_colon_have_an_alias_without_one() {
    for (colon, alias) in [("resend:msg", "resend"), ("sync:report", "sync-report")] {
        for name in [colon, alias] {
            assert!(Cli::try_parse_from(["console", name]).is_ok(), "{name}");
        }
    }
}

#[test]
fn a_time_is_a_duration_a_date_or_a_timestamp() {
    let now: Timestamp = "2026-05-02T00:00:00Z".parse().unwrap();
    for text in ["24h", "2026-05-01", "2026-05-01T00:00:00Z", "2026-05-01T02:00:00+02:00"] {
        let time = parse_time(text).unwrap().resolve(now);
        assert_eq!(time.to_rfc3339(), "2026-05-01T00:00:00+00:00", "{text}");
    }
    assert!(parse_time("yesterday").unwrap_err().contains("2026-05-01"));
}

#[test]
fn an_age_before_the_unix_epoch_is_the_epoch() {
    let now: Timestamp = "2026-05-02T00:00:00Z".parse().unwrap();
    let ages = TimeArg::Relative(Duration::from_secs(u64::MAX));
    assert_eq!(ages.resolve(now), DateTime::UNIX_EPOCH);
}

#[test]
fn an_age_beyond_the_calendar_is_rejected() {
    for (text, is_valid) in [("90d", true), ("36500d", true), ("36501d", false), ("9999999999d", false)] {
        assert_eq!(parse_message_age(text).is_ok(), is_valid, "{text}");
    }
}

#[test]
fn an_empty_configuration_name_counts_as_none() {
    let cli = Cli::try_parse_from(["console", "--config", "", "status"]).unwrap();
    assert_eq!(cli.config(), None);
    let cli = Cli::try_parse_from(["console", "status", "--config", "a.toml"]).unwrap();
    assert_eq!(cli.config(), Some(PathBuf::from("a.toml")));
}

#[test]
fn a_body_may_begin_with_a_hyphen() {
    let cli = Cli::try_parse_from(["console", "send", "+989122222222", "- hello"]).unwrap();
    assert!(matches!(cli.command, Command::Send(SendArgs { body, .. }) if body == "- hello"));
}

#[test]
fn senders_are_equal_or_have_their_own_values() {
    let senders = |line: &str| {
        let cli = Cli::try_parse_from(line.split(' ')).unwrap();
        match cli.command {
            Command::Simulate(simulate) => simulate.mock_senders(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(senders("console simulate").unwrap().len(), 3);
    let own_values =
        senders("console simulate --failure-rate 0 --sender mean=2s --sender failure=0.5").unwrap();
    let values: Vec<_> =
        own_values.iter().map(|sender| (sender.mean_time.as_millis(), sender.failure_rate)).collect();
    assert_eq!(values, [(2_000, 0.0), (100, 0.5)]);
    assert!(senders("console simulate --sender slow").unwrap_err().contains("mean=2s"));
    assert!(Cli::try_parse_from(["console", "simulate", "--senders", "2", "--sender", "mean=1s"]).is_err());
}
