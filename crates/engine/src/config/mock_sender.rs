//! Senders that only play: what they may be told on the command line or by variables, and the configuration in which
//! they stand in for every provider.
//!
//! The ranges stand here once, for both. Takes nothing to a real provider, and says no to a configuration with one.

use postrider_core::channel::Channel;
use postrider_core::duration::{format_duration, parse_duration};
use postrider_core::error::{Error, Result};
use postrider_core::name::ConfigName;
use postrider_core::routing::RoutingStrategy;
use std::time::Duration;

use toml::Value;

use super::check::LEASE_MARGIN;
use super::environment::Environment;
use super::{Config, ProviderConfig};

/// The longest mean time of a call.
pub const MEAN_TIME_MAX: Duration = Duration::from_secs(60);

/// The most messages of one run.
pub const MESSAGE_COUNT_MAX: u32 = 100_000_000;

/// The most users of one run.
pub const USER_COUNT_MAX: u32 = 1_000_000;

/// The most messages that are published to them.
pub const BROADCAST_COUNT_MAX: u32 = 1_000;

/// How often a monitor may look, at most and at least.
pub const MONITOR_INTERVAL_RANGE: (Duration, Duration) =
    (Duration::from_millis(100), Duration::from_secs(3_600));

/// A call may take so many times its mean: one of e^40 takes longer.
const CALL_TIMEOUT_FACTOR: u32 = 40;

/// The shortest time limit of a call.
const CALL_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// One who takes messages and only plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MockSender {
    /// How long a call takes on average, exponentially spread.
    pub mean_time: Duration,
    /// The share of calls that fail.
    pub failure_rate: f64,
}

/// What becomes of a message whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It has failed, as if it were refused.
    Final,
    /// It is tried again, as if the provider were away.
    Retried,
}

/// What is asked of senders beside what each of them is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MockSenderOptions {
    /// What becomes of a message whose call failed.
    pub failure_policy: FailurePolicy,
    /// Calls of each in flight at once.
    pub concurrency: u32,
    /// The same luck for the same message on every run.
    pub seed: Option<u32>,
    /// What follows what was taken; nothing where nobody says.
    pub receipt_ratios: Option<ReceiptRatios>,
}

/// What becomes of messages that a sender has taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReceiptRatios {
    /// The share that never arrives.
    pub loss_ratio: f64,
    /// The share of the arrived that is opened.
    pub open_ratio: f64,
}

/// A mean time: `100ms`, `2s`, or a bare number of seconds.
pub fn parse_mean_time(text: &str) -> Result<Duration, String> {
    parse_duration_in_range(text, "a mean time", (Duration::ZERO, MEAN_TIME_MAX))
}

/// A share of calls that fail.
pub fn parse_failure_rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse::<f64>().ok();
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| "a failure rate is a number from 0 to 1, such as 0.2".to_owned())
}

/// A share of messages that are lost, or opened.
pub fn parse_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse::<f64>().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "a ratio is a number from 0 to 1, such as 0.6".to_owned())
}

/// A number of messages.
pub fn parse_message_count(text: &str) -> Result<u32, String> {
    parse_count(text, "messages", MESSAGE_COUNT_MAX)
}

/// A number of users.
pub fn parse_user_count(text: &str) -> Result<u32, String> {
    parse_count(text, "users", USER_COUNT_MAX)
}

/// A number of messages published to users.
pub fn parse_broadcast_count(text: &str) -> Result<u32, String> {
    parse_count(text, "messages for each user", BROADCAST_COUNT_MAX)
}

fn parse_count(text: &str, what: &str, most: u32) -> Result<u32, String> {
    let count = text.trim().replace('_', "").parse::<u32>().ok();
    count
        .filter(|count| *count <= most)
        .ok_or_else(|| format!("a number of {what} is a whole number from 0 to {most}"))
}

/// How often to look: `5s`, or a bare number of seconds.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    parse_duration_in_range(text, "an interval", MONITOR_INTERVAL_RANGE)
}

/// A sender's own values: `mean=2s,failure=0.1`; what is left out is as in `usual`.
pub fn parse_sender(text: &str, usual: MockSender) -> Result<MockSender, String> {
    let mut sender = usual;
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            Some(("mean", value)) => sender.mean_time = parse_mean_time(value)?,
            Some(("failure", value)) => sender.failure_rate = parse_failure_rate(value)?,
            _ => {
                return Err(format!(
                    "\"{part}\" says nothing of a sender; write mean=2s,failure=0.1"
                ));
            }
        }
    }
    Ok(sender)
}

/// As people write durations, or as system D's variables did: in seconds.
pub(super) fn parse_duration_in_range(
    text: &str,
    what: &str,
    (least, most): (Duration, Duration),
) -> Result<Duration, String> {
    let read = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => Some(parse_duration(text)?),
    };
    read.filter(|read| (least..=most).contains(read)).ok_or_else(|| {
        let (least, most) = (format_duration(least), format_duration(most));
        format!("{what} is from {least} to {most}")
    })
}

/// `SENDER_MEAN_TIME`, in seconds.
pub fn mean_time_from_environment(environment: &Environment) -> Result<Option<Duration>> {
    parse_variable(environment, "SENDER_MEAN_TIME", parse_mean_time)
}

/// `SENDER_FAILURE_RATE`.
pub fn failure_rate_from_environment(environment: &Environment) -> Result<Option<f64>> {
    parse_variable(environment, "SENDER_FAILURE_RATE", parse_failure_rate)
}

/// `MESSAGE_COUNT`.
pub fn message_count_from_environment(environment: &Environment) -> Result<Option<u32>> {
    parse_variable(environment, "MESSAGE_COUNT", parse_message_count)
}

/// `MONITOR_INTERVAL`, in seconds.
pub fn interval_from_environment(environment: &Environment) -> Result<Option<Duration>> {
    parse_variable(environment, "MONITOR_INTERVAL", parse_interval)
}

fn parse_variable<T>(
    environment: &Environment,
    name: &str,
    read: fn(&str) -> Result<T, String>,
) -> Result<Option<T>> {
    let Some(text) = environment.get(name) else {
        return Ok(None);
    };
    match read(text) {
        Ok(value) => Ok(Some(value)),
        Err(why) => Err(Error::usage(format!("{name}: {why}"))),
    }
}

impl Config {
    /// Whether every provider only plays one, so that nobody is deceived when senders that play stand in for them.
    pub fn has_only_mock_providers(&self) -> bool {
        self.providers.iter().all(|provider| provider.kind == "mock")
    }

    /// The same with one sender that plays in the place of every provider.
    #[must_use]
    pub fn with_mock_sender(
        mut self,
        name: &ConfigName,
        sender: MockSender,
        casting: MockSenderOptions,
    ) -> Self {
        let concurrency = usize::try_from(casting.concurrency).unwrap_or(usize::MAX);
        let provider = mock_provider(name.clone(), sender, casting, concurrency);
        let slowest = provider.connect_timeout + provider.timeout + LEASE_MARGIN;
        self.work.lease = self.work.lease.max(slowest);
        self.work.concurrency = concurrency;
        for channel in &mut self.channels {
            *channel = Channel {
                providers: vec![name.clone()],
                strategy: RoutingStrategy::Failover,
                ..channel.clone()
            };
        }
        self.providers = vec![provider];
        self
    }
}

fn mock_provider(
    name: ConfigName,
    sender: MockSender,
    casting: MockSenderOptions,
    concurrency: usize,
) -> ProviderConfig {
    let failure = match casting.failure_policy {
        FailurePolicy::Final => "rejected",
        FailurePolicy::Retried => "failure_rate",
    };
    let mut settings = toml::Table::from_iter([
        (
            "mean_time".to_owned(),
            Value::from(format_duration(sender.mean_time)),
        ),
        (failure.to_owned(), Value::from(sender.failure_rate)),
    ]);
    if let Some(seed) = casting.seed {
        settings.insert("seed".to_owned(), Value::from(i64::from(seed)));
        settings.insert("seed_by".to_owned(), Value::from("message"));
    }
    if let Some(receipts) = casting.receipt_ratios {
        let shares = [
            ("delivered", 1.0 - receipts.loss_ratio),
            ("bounced", receipts.loss_ratio),
            ("opened", receipts.open_ratio),
        ];
        let shares = shares.map(|(word, share)| (word.to_owned(), Value::from(share)));
        settings.insert("receipts".to_owned(), toml::Table::from_iter(shares).into());
    }
    ProviderConfig {
        concurrency,
        timeout: (sender.mean_time * CALL_TIMEOUT_FACTOR).max(CALL_TIMEOUT_MIN),
        connect_timeout: CALL_TIMEOUT_MIN,
        // Whoever is told to fail is not to be spared.
        breaker_failure_threshold: u32::MAX,
        ..ProviderConfig::new(name, "mock", settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_may_be_bare_and_nothing_beyond_the_range_is_taken() {
        for (text, millis) in [
            ("0", 0),
            ("0.1", 100),
            ("100ms", 100),
            ("2s", 2_000),
            ("60", 60_000),
        ] {
            assert_eq!(parse_mean_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["61", "2m", "-1", "NaN", "inf", "soon"] {
            assert!(parse_mean_time(text).is_err(), "{text}");
        }
        assert!(parse_mean_time("61").unwrap_err().contains("from 0s to 1m"));
        assert_eq!(parse_interval("5"), Ok(Duration::from_secs(5)));
        assert!(parse_interval("0").unwrap_err().contains("from 100ms to 1h"));
    }

    #[test]
    fn shares_and_counts_name_their_range() {
        assert_eq!(
            (parse_failure_rate("0"), parse_failure_rate("1")),
            (Ok(0.0), Ok(1.0))
        );
        for text in ["1.1", "-0.1", "NaN", "often"] {
            assert!(
                parse_failure_rate(text).unwrap_err().contains("from 0 to 1"),
                "{text}"
            );
        }
        assert_eq!((parse_ratio("0"), parse_ratio("0.6")), (Ok(0.0), Ok(0.6)));
        for text in ["1.01", "-0.1", "NaN", "half"] {
            assert!(parse_ratio(text).unwrap_err().contains("from 0 to 1"), "{text}");
        }
        assert_eq!(parse_user_count("1000000"), Ok(1_000_000));
        assert!(
            parse_user_count("1000001")
                .unwrap_err()
                .contains("from 0 to 1000000")
        );
        assert!(
            parse_broadcast_count("1001")
                .unwrap_err()
                .contains("from 0 to 1000")
        );
        assert_eq!(parse_message_count("1_000"), Ok(1_000));
        for text in ["-1", "1.5", "100000001"] {
            assert!(
                parse_message_count(text)
                    .unwrap_err()
                    .contains("from 0 to 100000000"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_sender_may_differ_from_the_others_in_part() {
        let usual = MockSender {
            mean_time: Duration::from_millis(100),
            failure_rate: 0.2,
        };
        let slow = MockSender {
            mean_time: Duration::from_secs(2),
            ..usual
        };
        assert_eq!(parse_sender("mean=2s", usual), Ok(slow));
        let own = MockSender {
            failure_rate: 0.1,
            ..slow
        };
        assert_eq!(parse_sender("mean=2s, failure=0.1", usual), Ok(own));
        for text in ["", "mean", "speed=3", "failure=2", "mean=2h"] {
            assert!(parse_sender(text, usual).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let environment = Environment::from([("SENDER_FAILURE_RATE", "1.5"), ("SENDER_MEAN_TIME", "0.25")]);
        let error = failure_rate_from_environment(&environment)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("SENDER_FAILURE_RATE") && error.contains("from 0 to 1"),
            "{error}"
        );
        let mean_time = mean_time_from_environment(&environment).unwrap();
        assert_eq!(mean_time, Some(Duration::from_millis(250)));
        assert_eq!(message_count_from_environment(&environment).unwrap(), None);
    }

    #[test]
    fn a_lease_outlives_the_slowest_call_of_a_sender() {
        let sender = MockSender {
            mean_time: Duration::from_secs(60),
            failure_rate: 1.0,
        };
        let casting = MockSenderOptions {
            failure_policy: FailurePolicy::Final,
            concurrency: 1,
            seed: Some(7),
            receipt_ratios: None,
        };
        let config = Config::test_mode().with_mock_sender(&"sender".parse().unwrap(), sender, casting);
        assert_eq!(config.providers.len(), 1);
        assert!(config.work.lease > config.providers[0].timeout);
        assert!(
            config.has_only_mock_providers()
                && config.channels.iter().all(|channel| channel.providers.len() == 1)
        );
    }
}
