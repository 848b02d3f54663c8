//! The report: the numbers of messages, deliveries and attempts at a given time.
//!
//! The counts come from the rollups of a store; percentages and percentiles are computed here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::attempt::Outcome;

/// Upper bounds of the duration buckets, in milliseconds; one more bucket holds slower calls.
pub const DURATION_BOUNDS_MS: [u64; 19] =
    [1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 30_000];

/// Number of duration buckets.
pub const DURATION_BUCKETS: usize = DURATION_BOUNDS_MS.len() + 1;

/// Returns the bucket of a duration.
pub fn duration_bucket(duration_ms: u64) -> usize {
    DURATION_BOUNDS_MS.partition_point(|bound| *bound < duration_ms)
}

/// The content of the report page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The time of the counts.
    pub as_of: DateTime<Utc>,
    /// Accepted messages.
    pub messages: u64,
    /// Deliveries by state.
    pub totals: DeliveryTotals,
    /// One row for each provider that was ever called.
    pub providers: Vec<ProviderReportRow>,
    /// One row for each of the last 48 hours in which deliveries were accepted, oldest first.
    pub hours: Vec<HourReportRow>,
    /// The ten addresses with most deliveries, in descending order.
    pub top_recipients: Vec<TopRecipientRow>,
}

/// Deliveries by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryTotals {
    /// Not sent yet.
    pub waiting: u64,
    /// Accepted by a provider.
    pub sent: u64,
    /// Delivered.
    pub delivered: u64,
    /// Failed, by the name of the failure, in the order of `Failure::ALL`; only failures that occur.
    pub failed: Vec<(String, u64)>,
    /// Attempts with an unknown outcome: each may have sent a message twice.
    pub unknown: u64,
    /// Delivered messages that were opened.
    pub opened: u64,
}

impl DeliveryTotals {
    /// Returns the number of failed deliveries.
    pub fn failed_sum(&self) -> u64 {
        self.failed.iter().map(|(_, count)| count).sum()
    }

    /// Returns the number of all deliveries.
    pub fn sum(&self) -> u64 {
        self.waiting + self.sent + self.delivered + self.failed_sum()
    }
}

/// The counts of one provider.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProviderReportRow {
    /// The name of the provider.
    pub name: String,
    /// Attempts by outcome, in the order of [`Outcome::NAMES`].
    pub outcomes: [u64; Outcome::NAMES.len()],
    /// Attempts by duration, in the buckets of [`DURATION_BOUNDS_MS`].
    pub durations: [u64; DURATION_BUCKETS],
    /// Number of attempts whose durations are summed in `duration_sum_ms`.
    #[serde(default)]
    pub timed_attempts: u64,
    /// Total duration of the timed attempts, in milliseconds.
    #[serde(default)]
    pub duration_sum_ms: u64,
    /// Deliveries that wait for a receipt; this provider was the last that accepted the message.
    pub sent: u64,
    /// Deliveries that the provider accepted and that were delivered.
    pub delivered: u64,
    /// Deliveries that the provider accepted and that bounced.
    pub bounced: u64,
}

impl ProviderReportRow {
    /// Returns the number of attempts.
    pub fn attempts(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Returns the number of attempts that failed because of the provider: unavailable, misconfigured or unknown.
    pub fn faults(&self) -> u64 {
        Outcome::NAMES
            .iter()
            .zip(self.outcomes)
            .filter(|(name, _)| matches!(**name, "unavailable" | "misconfigured" | "unknown"))
            .map(|(_, count)| count)
            .sum()
    }

    /// Returns the faults in percent of the attempts; none without attempts.
    pub fn fault_percent(&self) -> Option<f64> {
        percent(self.faults(), self.attempts())
    }

    /// Returns the delivered messages in percent of the accepted messages. Returns none if no message was accepted, or
    /// if no receipt has arrived: not every provider sends receipts.
    pub fn delivered_percent(&self) -> Option<f64> {
        if self.delivered + self.bounced == 0 {
            return None;
        }
        percent(self.delivered, self.sent + self.delivered + self.bounced)
    }

    /// Returns the mean duration of an attempt, in seconds; none without attempts.
    pub fn mean_seconds(&self) -> Option<f64> {
        mean_seconds(std::iter::once(self))
    }

    /// Returns the percentile `part` (0 to 1) of the durations, in milliseconds, as the upper bound of its bucket; none
    /// without attempts.
    pub fn percentile_ms(&self, part: f64) -> Option<u64> {
        let attempt_count = as_f64(self.durations.iter().sum());
        let mut attempts_so_far = 0;
        let bucket = self.durations.iter().position(|bucket_count| {
            attempts_so_far += bucket_count;
            *bucket_count > 0 && as_f64(attempts_so_far) >= part * attempt_count
        })?;
        Some(DURATION_BOUNDS_MS.get(bucket).copied().unwrap_or(60_000))
    }
}

/// The deliveries accepted in one hour, by their present state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourReportRow {
    /// The start of the hour.
    pub hour: DateTime<Utc>,
    /// Accepted deliveries.
    pub accepted: u64,
    /// Accepted deliveries that are sent or delivered now.
    pub sent: u64,
    /// Accepted deliveries that have failed.
    pub failed: u64,
}

/// The deliveries to one address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopRecipientRow {
    /// The normalised address.
    pub address: String,
    /// Number of deliveries.
    pub count: u64,
}

/// Returns the mean duration of an attempt through any of the providers, in seconds; none without attempts.
pub fn mean_seconds<'a>(rows: impl IntoIterator<Item = &'a ProviderReportRow>) -> Option<f64> {
    let (sum_ms, attempts) = rows.into_iter().fold((0, 0), |(sum_ms, attempts), row| {
        (sum_ms + row.duration_sum_ms, attempts + row.timed_attempts)
    });
    (attempts > 0).then(|| as_f64(sum_ms) / as_f64(attempts) / 1_000.0)
}

/// Returns a part in percent of a whole; none for a whole of 0.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * as_f64(part) / as_f64(whole))
}

/// Converts a count. Exact up to 2^53.
#[allow(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
