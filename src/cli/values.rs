//! Types and parsers of argument values that several commands share.
//!
//! An error text names the expected form.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

use postrider_core::clock::Timestamp;
use postrider_core::duration::parse_duration;
use postrider_core::id::MessageId;
use postrider_core::name::ConfigName;
use postrider_core::recipient::RecipientStatus;
use postrider_loadgen::options::parse_duration_in_range;

/// Range of the poll interval of `console monitor`.
const MONITOR_INTERVAL_RANGE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3_600));

/// Maximum age of messages to prune: 100 years, which the calendar can represent.
const OLDER_THAN_MAX: Duration = Duration::from_secs(36_500 * 24 * 3_600);

/// A time given as an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArg {
    /// A fixed time.
    Absolute(Timestamp),
    /// An age before now.
    Relative(Duration),
}

impl TimeArg {
    /// Returns the time as seen at `now`; the Unix epoch when it is earlier than that.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Absolute(time) => time,
            Self::Relative(age) => chrono::TimeDelta::from_std(age)
                .ok()
                .and_then(|age| now.checked_sub_signed(age))
                .unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

pub(super) fn parse_time(time_text: &str) -> Result<TimeArg, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(time_text) {
        return Ok(TimeArg::Absolute(time.with_timezone(&Utc)));
    }
    if let Ok(day) = time_text.parse::<NaiveDate>() {
        return Ok(TimeArg::Absolute(day.and_time(NaiveTime::MIN).and_utc()));
    }
    parse_duration(time_text).map(TimeArg::Relative).map_err(|_| {
        "expected a duration (90m, 2h, 7d), a date (2026-05-01) or a time (2026-05-01T12:00:00Z)".to_owned()
    })
}

pub(super) fn parse_recipient_status(status_text: &str) -> Result<RecipientStatus, String> {
    RecipientStatus::parse(status_text).ok_or_else(|| "expected active, inactive or opted_out".to_owned())
}

pub(super) fn parse_name(text: &str) -> Result<ConfigName, String> {
    text.parse().map_err(|_| "expected a name of 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
}

pub(super) fn parse_message_id(id_text: &str) -> Result<MessageId, String> {
    id_text.parse().map_err(|_| "expected an id such as 019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69".to_owned())
}

pub(super) fn parse_message_age(age_text: &str) -> Result<Duration, String> {
    let message_age = parse_duration(age_text)?;
    if message_age > OLDER_THAN_MAX {
        return Err("expected a duration of at most 36500d".to_owned());
    }
    Ok(message_age)
}

/// Parses a poll interval: `5s`, or a number of seconds.
pub fn parse_interval(interval_text: &str) -> Result<Duration, String> {
    parse_duration_in_range(interval_text, "interval", MONITOR_INTERVAL_RANGE)
}
