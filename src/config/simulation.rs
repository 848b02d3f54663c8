//! Senders that only play: what they may be told on the command line or by variables, and the configuration in which
//! they stand in for every provider.
//!
//! The ranges stand here once, for both. Takes nothing to a real provider, and says no to a configuration with one.

use std::time::Duration;

use toml::Value;

use super::check::MARGIN;
use super::duration::{duration_text, read_duration};
use super::environment::Environment;
use super::{Config, ProviderConfig};
use crate::domain::channel::{Channel, Name};
use crate::domain::route::Strategy;
use crate::error::{Error, Result};

/// The longest mean time of a call.
pub const MEAN_TIME_MAX: Duration = Duration::from_secs(60);

/// The most messages of one run.
pub const MESSAGES_MAX: u32 = 100_000_000;

/// The most users of one run.
pub const USERS_MAX: u32 = 1_000_000;

/// The most messages that are published to them.
pub const PUBLISHED_MAX: u32 = 1_000;

/// How often a monitor may look, at most and at least.
pub const INTERVALS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// A call may take so many times its mean: one of e^40 takes longer.
const PATIENCE: u32 = 40;

/// The shortest time limit of a call.
const CALL_MIN: Duration = Duration::from_secs(1);

/// One who takes messages and only plays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sender {
    /// How long a call takes on average, exponentially spread.
    pub mean_time: Duration,
    /// The share of calls that fail.
    pub failure_rate: f64,
}

/// What becomes of a message whose call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// It has failed, as if it were refused.
    Final,
    /// It is tried again, as if the provider were away.
    Retried,
}

/// What is asked of senders beside what each of them is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Casting {
    /// What becomes of a message whose call failed.
    pub faults: Faults,
    /// Calls of each in flight at once.
    pub concurrency: u32,
    /// The same luck for the same message on every run.
    pub seed: Option<u32>,
    /// What follows what was taken; nothing where nobody says.
    pub receipts: Option<Receipts>,
}

/// What becomes of messages that a sender has taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Receipts {
    /// The share that never arrives.
    pub lost: f64,
    /// The share of the arrived that is opened.
    pub opened: f64,
}

/// A mean time: `100ms`, `2s`, or a bare number of seconds.
pub fn read_mean_time(text: &str) -> Result<Duration, String> {
    within(text, "a mean time", (Duration::ZERO, MEAN_TIME_MAX))
}

/// A share of calls that fail.
pub fn read_failure_rate(text: &str) -> Result<f64, String> {
    let rate = text.trim().parse::<f64>().ok();
    rate.filter(|rate| (0.0..=1.0).contains(rate))
        .ok_or_else(|| "a failure rate is a number from 0 to 1, such as 0.2".to_owned())
}

/// A share of messages that are lost, or opened.
pub fn read_ratio(text: &str) -> Result<f64, String> {
    let ratio = text.trim().parse::<f64>().ok();
    ratio
        .filter(|ratio| (0.0..=1.0).contains(ratio))
        .ok_or_else(|| "a ratio is a number from 0 to 1, such as 0.6".to_owned())
}

/// A number of messages.
pub fn read_messages(text: &str) -> Result<u32, String> {
    whole(text, "messages", MESSAGES_MAX)
}

/// A number of users.
pub fn read_users(text: &str) -> Result<u32, String> {
    whole(text, "users", USERS_MAX)
}

/// A number of messages published to users.
pub fn read_published(text: &str) -> Result<u32, String> {
    whole(text, "messages for each user", PUBLISHED_MAX)
}

fn whole(text: &str, what: &str, most: u32) -> Result<u32, String> {
    let count = text.trim().replace('_', "").parse::<u32>().ok();
    count
        .filter(|count| *count <= most)
        .ok_or_else(|| format!("a number of {what} is a whole number from 0 to {most}"))
}

/// How often to look: `5s`, or a bare number of seconds.
pub fn read_interval(text: &str) -> Result<Duration, String> {
    within(text, "an interval", INTERVALS)
}

/// A sender's own values: `mean=2s,failure=0.1`; what is left out is as in `usual`.
pub fn read_sender(text: &str, usual: Sender) -> Result<Sender, String> {
    let mut sender = usual;
    for part in text.split(',').map(str::trim) {
        match part.split_once('=') {
            Some(("mean", value)) => sender.mean_time = read_mean_time(value)?,
            Some(("failure", value)) => sender.failure_rate = read_failure_rate(value)?,
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
pub(super) fn within(
    text: &str,
    what: &str,
    (least, most): (Duration, Duration),
) -> Result<Duration, String> {
    let read = match text.trim().parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => Some(read_duration(text)?),
    };
    read.filter(|read| (least..=most).contains(read)).ok_or_else(|| {
        let (least, most) = (duration_text(least), duration_text(most));
        format!("{what} is from {least} to {most}")
    })
}

/// `SENDER_MEAN_TIME`, in seconds.
pub fn mean_time_variable(environment: &Environment) -> Result<Option<Duration>> {
    variable(environment, "SENDER_MEAN_TIME", read_mean_time)
}

/// `SENDER_FAILURE_RATE`.
pub fn failure_rate_variable(environment: &Environment) -> Result<Option<f64>> {
    variable(environment, "SENDER_FAILURE_RATE", read_failure_rate)
}

/// `MESSAGE_COUNT`.
pub fn messages_variable(environment: &Environment) -> Result<Option<u32>> {
    variable(environment, "MESSAGE_COUNT", read_messages)
}

/// `MONITOR_INTERVAL`, in seconds.
pub fn interval_variable(environment: &Environment) -> Result<Option<Duration>> {
    variable(environment, "MONITOR_INTERVAL", read_interval)
}

fn variable<T>(
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
    pub fn only_plays(&self) -> bool {
        self.providers.iter().all(|provider| provider.kind == "mock")
    }

    /// The same with one sender that plays in the place of every provider.
    #[must_use]
    pub fn with_sender(mut self, name: &Name, sender: Sender, casting: Casting) -> Self {
        let concurrency = usize::try_from(casting.concurrency).unwrap_or(usize::MAX);
        let provider = provider(name.clone(), sender, casting, concurrency);
        let slowest = provider.connect_timeout + provider.timeout + MARGIN;
        self.work.lease = self.work.lease.max(slowest);
        self.work.workers_concurrency = concurrency;
        for channel in &mut self.channels {
            *channel = Channel {
                providers: vec![name.clone()],
                strategy: Strategy::Failover,
                ..channel.clone()
            };
        }
        self.providers = vec![provider];
        self
    }
}

fn provider(name: Name, sender: Sender, casting: Casting, concurrency: usize) -> ProviderConfig {
    let failure = match casting.faults {
        Faults::Final => "rejected",
        Faults::Retried => "failure_rate",
    };
    let mut settings = toml::Table::from_iter([
        (
            "mean_time".to_owned(),
            Value::from(duration_text(sender.mean_time)),
        ),
        (failure.to_owned(), Value::from(sender.failure_rate)),
    ]);
    if let Some(seed) = casting.seed {
        settings.insert("seed".to_owned(), Value::from(i64::from(seed)));
        settings.insert("seed_by".to_owned(), Value::from("message"));
    }
    if let Some(receipts) = casting.receipts {
        let shares = [
            ("delivered", 1.0 - receipts.lost),
            ("bounced", receipts.lost),
            ("opened", receipts.opened),
        ];
        let shares = shares.map(|(word, share)| (word.to_owned(), Value::from(share)));
        settings.insert("receipts".to_owned(), toml::Table::from_iter(shares).into());
    }
    ProviderConfig {
        concurrency,
        timeout: (sender.mean_time * PATIENCE).max(CALL_MIN),
        connect_timeout: CALL_MIN,
        // Whoever is told to fail is not to be spared.
        rest_after: u32::MAX,
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
            assert_eq!(read_mean_time(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["61", "2m", "-1", "NaN", "inf", "soon"] {
            assert!(read_mean_time(text).is_err(), "{text}");
        }
        assert!(read_mean_time("61").unwrap_err().contains("from 0s to 1m"));
        assert_eq!(read_interval("5"), Ok(Duration::from_secs(5)));
        assert!(read_interval("0").unwrap_err().contains("from 100ms to 1h"));
    }

    #[test]
    fn shares_and_counts_name_their_range() {
        assert_eq!(
            (read_failure_rate("0"), read_failure_rate("1")),
            (Ok(0.0), Ok(1.0))
        );
        for text in ["1.1", "-0.1", "NaN", "often"] {
            assert!(
                read_failure_rate(text).unwrap_err().contains("from 0 to 1"),
                "{text}"
            );
        }
        assert_eq!((read_ratio("0"), read_ratio("0.6")), (Ok(0.0), Ok(0.6)));
        for text in ["1.01", "-0.1", "NaN", "half"] {
            assert!(read_ratio(text).unwrap_err().contains("from 0 to 1"), "{text}");
        }
        assert_eq!(read_users("1000000"), Ok(1_000_000));
        assert!(read_users("1000001").unwrap_err().contains("from 0 to 1000000"));
        assert!(read_published("1001").unwrap_err().contains("from 0 to 1000"));
        assert_eq!(read_messages("1_000"), Ok(1_000));
        for text in ["-1", "1.5", "100000001"] {
            assert!(
                read_messages(text).unwrap_err().contains("from 0 to 100000000"),
                "{text}"
            );
        }
    }

    #[test]
    fn a_sender_may_differ_from_the_others_in_part() {
        let usual = Sender {
            mean_time: Duration::from_millis(100),
            failure_rate: 0.2,
        };
        let slow = Sender {
            mean_time: Duration::from_secs(2),
            ..usual
        };
        assert_eq!(read_sender("mean=2s", usual), Ok(slow));
        let own = Sender {
            failure_rate: 0.1,
            ..slow
        };
        assert_eq!(read_sender("mean=2s, failure=0.1", usual), Ok(own));
        for text in ["", "mean", "speed=3", "failure=2", "mean=2h"] {
            assert!(read_sender(text, usual).is_err(), "{text}");
        }
    }

    #[test]
    fn a_wrong_variable_is_named() {
        let environment = Environment::from([("SENDER_FAILURE_RATE", "1.5"), ("SENDER_MEAN_TIME", "0.25")]);
        let error = failure_rate_variable(&environment).unwrap_err().to_string();
        assert!(
            error.contains("SENDER_FAILURE_RATE") && error.contains("from 0 to 1"),
            "{error}"
        );
        let mean_time = mean_time_variable(&environment).unwrap();
        assert_eq!(mean_time, Some(Duration::from_millis(250)));
        assert_eq!(messages_variable(&environment).unwrap(), None);
    }

    #[test]
    fn a_lease_outlives_the_slowest_call_of_a_sender() {
        let sender = Sender {
            mean_time: Duration::from_secs(60),
            failure_rate: 1.0,
        };
        let casting = Casting {
            faults: Faults::Final,
            concurrency: 1,
            seed: Some(7),
            receipts: None,
        };
        let config = Config::sandbox().with_sender(&"sender".parse().unwrap(), sender, casting);
        assert_eq!(config.providers.len(), 1);
        assert!(config.work.lease > config.providers[0].timeout);
        assert!(config.only_plays() && config.channels.iter().all(|channel| channel.providers.len() == 1));
    }
}
