//! A sender that only plays in the place of every provider, as `console work --mean-time` has it.
//!
//! Refuses a configuration with a real provider: its messages would be marked as sent and never leave.

use crate::cli::WorkArgs;
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::name::ConfigName;
use postrider_engine::config::mock_sender::{
    FailurePolicy, MockSender, MockSenderOptions, failure_rate_from_environment, mean_time_from_environment,
};
use postrider_engine::config::{Config, Environment};

/// The sender to play, where the command line or the environment names one; the command line goes first.
pub fn mock_sender(arguments: &WorkArgs, environment: &Environment) -> Result<Option<MockSender>> {
    let mean_time = arguments.mean_time.or(mean_time_from_environment(environment)?);
    let failure_rate = arguments
        .failure_rate
        .or(failure_rate_from_environment(environment)?);
    if mean_time.is_none() && failure_rate.is_none() {
        return Ok(None);
    }
    Ok(Some(MockSender {
        mean_time: mean_time.unwrap_or_default(),
        failure_rate: failure_rate.unwrap_or_default(),
    }))
}

/// The configuration with one sender that plays; what it fails to send has failed, as in an alert nobody repeats.
pub fn with_mock_sender_only(config: Config, sender: MockSender, concurrency: u32) -> Result<Config> {
    if !config.has_only_mock_providers() {
        return Err(Error::usage(
            "a sender that only plays would mark messages as sent that never leave, and this configuration has real \
             providers: take --mean-time, --failure-rate, SENDER_MEAN_TIME and SENDER_FAILURE_RATE away, or name a \
             configuration without them",
        ));
    }
    let name = "sender".parse::<ConfigName>();
    let name = name.map_err(|_| Error::new(ErrorKind::Internal, "a sender cannot be named"))?;
    let casting = MockSenderOptions {
        failure_policy: FailurePolicy::Final,
        concurrency,
        seed: None,
        receipt_ratios: None,
    };
    log::info!(
        "playing a sender: {} a message on average, {} of them fail, {concurrency} at once",
        format_duration(sender.mean_time),
        sender.failure_rate
    );
    Ok(config.with_mock_sender(&name, sender, casting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn arguments(mean_time: Option<Duration>) -> WorkArgs {
        WorkArgs {
            listen: None,
            workers: None,
            mean_time,
            failure_rate: None,
        }
    }

    #[test]
    fn the_command_line_goes_before_the_variables() {
        let variables = Environment::from([("SENDER_MEAN_TIME", "0.5"), ("SENDER_FAILURE_RATE", "0.25")]);
        let told = |arguments: &WorkArgs, variables: &Environment| mock_sender(arguments, variables).unwrap();
        assert_eq!(told(&arguments(None), &Environment::default()), None);
        let both = told(&arguments(Some(Duration::from_secs(2))), &variables);
        let wanted = MockSender {
            mean_time: Duration::from_secs(2),
            failure_rate: 0.25,
        };
        assert_eq!(both, Some(wanted));
    }

    #[test]
    fn nobody_plays_a_sender_in_the_place_of_a_real_provider() {
        let mut config = Config::test_mode();
        let sender = MockSender {
            mean_time: Duration::ZERO,
            failure_rate: 0.0,
        };
        assert!(with_mock_sender_only(config.clone(), sender, 1).is_ok());
        config.providers[0].kind = "http".to_owned();
        assert!(
            with_mock_sender_only(config, sender, 1)
                .unwrap_err()
                .to_string()
                .contains("real providers")
        );
    }
}
