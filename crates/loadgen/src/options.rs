//! Values and ranges of the options of load tools, on the command line and in system D's environment variables.
//!
//! Parsers return an error text that names the valid range. Numbers without a unit are seconds.

use std::time::Duration;

use crate::mock_sender::MockSender;
use postrider_core::duration::{format_duration, parse_duration};
use postrider_core::error::{Error, Result};
use postrider_engine::config::Environment;

/// Maximum mean time of a call.
const MEAN_TIME_MAX: Duration = Duration::from_secs(60);

/// Maximum number of messages of one run.
const MESSAGE_COUNT_MAX: u32 = 100_000_000;

/// Maximum number of users of one run.
const USER_COUNT_MAX: u32 = 1_000_000;

/// Maximum number of broadcasts of one run.
const BROADCAST_COUNT_MAX: u32 = 1_000;

/// Parses a mean time: `100ms`, `2s`, or a number of seconds.
pub fn parse_mean_time(text: &str) -> Result<Duration, String> {
    parse_duration_in_range(text, "mean time", (Duration::ZERO, MEAN_TIME_MAX))
}

/// Parses a share of calls that fail.
pub fn parse_failure_rate(text: &str) -> Result<f64, String> {
    parse_share(text, "failure rate", "0.2")
}

/// Parses a share of messages.
pub fn parse_ratio(text: &str) -> Result<f64, String> {
    parse_share(text, "ratio", "0.6")
}

/// Parses a number of messages.
pub fn parse_message_count(text: &str) -> Result<u32, String> {
    parse_count(text, "messages", MESSAGE_COUNT_MAX)
}

/// Parses a number of users.
pub fn parse_user_count(text: &str) -> Result<u32, String> {
    parse_count(text, "users", USER_COUNT_MAX)
}

/// Parses a number of broadcasts.
pub fn parse_broadcast_count(text: &str) -> Result<u32, String> {
    parse_count(text, "broadcasts", BROADCAST_COUNT_MAX)
}

/// Parses the values of one sender: `mean=2s,failure=0.1`. A value that is left out is taken from `default`.
pub fn parse_sender(text: &str, default: MockSender) -> Result<MockSender, String> {
    let mut sender = default;
    for setting in text.split(',').map(str::trim) {
        match setting.split_once('=') {
            Some(("mean", mean_time)) => sender.mean_time = parse_mean_time(mean_time)?,
            Some(("failure", failure_rate)) => sender.failure_rate = parse_failure_rate(failure_rate)?,
            _ => {
                return Err(format!("unknown value of a sender \"{setting}\"; expected mean=2s,failure=0.1"));
            }
        }
    }
    Ok(sender)
}

/// Parses a duration with a unit, or a number of seconds as system D's variables have it.
pub fn parse_duration_in_range(
    text: &str,
    quantity: &str,
    (min, max): (Duration, Duration),
) -> Result<Duration, String> {
    let duration = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => Some(parse_duration(text)?),
    };
    duration.filter(|duration| (min..=max).contains(duration)).ok_or_else(|| {
        let (min, max) = (format_duration(min), format_duration(max));
        format!("expected a {quantity} from {min} to {max}")
    })
}

/// Parses a number from 0 to 1.
pub fn parse_share(text: &str, quantity: &str, example: &str) -> Result<f64, String> {
    let share = text.trim().parse::<f64>().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| format!("expected a {quantity} from 0 to 1, such as {example}"))
}

fn parse_count(text: &str, quantity: &str, max: u32) -> Result<u32, String> {
    let count = text.trim().replace('_', "").parse::<u32>().ok();
    count
        .filter(|count| *count <= max)
        .ok_or_else(|| format!("expected a whole number of {quantity} from 0 to {max}"))
}

/// Returns `SENDER_MEAN_TIME`, in seconds.
pub fn mean_time_from_environment(environment: &Environment) -> Result<Option<Duration>> {
    parse_variable(environment, "SENDER_MEAN_TIME", parse_mean_time)
}

/// Returns `SENDER_FAILURE_RATE`.
pub fn failure_rate_from_environment(environment: &Environment) -> Result<Option<f64>> {
    parse_variable(environment, "SENDER_FAILURE_RATE", parse_failure_rate)
}

/// Returns `MESSAGE_COUNT`.
pub fn message_count_from_environment(environment: &Environment) -> Result<Option<u32>> {
    parse_variable(environment, "MESSAGE_COUNT", parse_message_count)
}

/// Returns the value of a variable; none when it is not set.
///
/// # Errors
///
/// Returns a usage error that names the variable and the range.
pub fn parse_variable<T>(
    environment: &Environment,
    name: &str,
    parse: fn(&str) -> Result<T, String>,
) -> Result<Option<T>> {
    let parsed = environment.get(name).map(parse).transpose();
    parsed.map_err(|problem| Error::usage(format!("{name}: {problem}")))
}

#[cfg(test)]
mod tests;
