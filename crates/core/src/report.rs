//! The report: what happened so far, as of a stated time.
//!
//! Numbers come from roll-ups that a store keeps; percentages and percentiles are computed here.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::attempt::Outcome;

/// Upper bounds of the duration buckets, in milliseconds; one more bucket takes what is slower.
pub const DURATION_BOUNDS_MS: [u64; 19] = [
    1, 2, 3, 5, 8, 12, 20, 30, 50, 80, 120, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 30_000,
];

/// The number of duration buckets.
pub const DURATION_BUCKETS: usize = DURATION_BOUNDS_MS.len() + 1;

/// Which bucket a duration falls into.
pub fn duration_bucket(duration_ms: u64) -> usize {
    DURATION_BOUNDS_MS.partition_point(|bound| *bound < duration_ms)
}

/// Everything the report page shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The moment it speaks of.
    pub as_of: DateTime<Utc>,
    /// Messages accepted.
    pub messages: u64,
    /// Deliveries by state.
    pub totals: DeliveryTotals,
    /// A line for each provider that was ever asked.
    pub providers: Vec<ProviderReportRow>,
    /// A line for each of the last 48 hours in which something was accepted, oldest first.
    pub hours: Vec<HourReportRow>,
    /// The ten addresses with most messages, most first.
    pub top_recipients: Vec<TopRecipientRow>,
}

/// Deliveries by state. The sum is the number of deliveries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveryTotals {
    /// Not sent yet.
    pub waiting: u64,
    /// A provider has it.
    pub sent: u64,
    /// It has arrived.
    pub delivered: u64,
    /// It has failed, by the failure's word, in the order of `Failure::ALL`; only those that occur.
    pub failed: Vec<(String, u64)>,
    /// Attempts whose outcome nobody knows: each may have been sent twice.
    pub unknown: u64,
    /// Opened by the person, among the delivered.
    pub opened: u64,
}

impl DeliveryTotals {
    /// All that failed, of whatever kind.
    pub fn failed_sum(&self) -> u64 {
        self.failed.iter().map(|(_, count)| count).sum()
    }

    /// All deliveries.
    pub fn sum(&self) -> u64 {
        self.waiting + self.sent + self.delivered + self.failed_sum()
    }
}

/// What one provider did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ProviderReportRow {
    /// Its name.
    pub name: String,
    /// Attempts by outcome, in the order of [`Outcome::WORDS`].
    pub outcomes: [u64; Outcome::NAMES.len()],
    /// Attempts by duration, in the buckets of [`DURATION_BOUNDS_MS`].
    pub durations: [u64; DURATION_BUCKETS],
    /// Attempts whose time is in the sum below; those counted before sums were kept are not.
    #[serde(default)]
    pub timed_attempts: u64,
    /// How long these took together, in milliseconds.
    #[serde(default)]
    pub duration_sum_ms: u64,
    /// Deliveries it was the last to take and that have not ended badly or well yet.
    pub sent: u64,
    /// Deliveries it took that have arrived.
    pub delivered: u64,
    /// Deliveries it took that bounced.
    pub bounced: u64,
}

impl ProviderReportRow {
    /// Calls made to it.
    pub fn attempts(&self) -> u64 {
        self.outcomes.iter().sum()
    }

    /// Calls that failed through the provider's fault: unavailable, misconfigured or silent.
    pub fn faults(&self) -> u64 {
        Outcome::NAMES
            .iter()
            .zip(self.outcomes)
            .filter(|(word, _)| matches!(**word, "unavailable" | "misconfigured" | "unknown"))
            .map(|(_, count)| count)
            .sum()
    }

    /// Faults in percent of the calls; none without calls.
    pub fn fault_percent(&self) -> Option<f64> {
        percent(self.faults(), self.attempts())
    }

    /// Arrived in percent of what it took; none when it took nothing.
    pub fn delivered_percent(&self) -> Option<f64> {
        percent(self.delivered, self.sent + self.delivered + self.bounced)
    }

    /// How long a call takes on average, in seconds; none without calls.
    pub fn mean_seconds(&self) -> Option<f64> {
        mean_seconds(std::iter::once(self))
    }

    /// The duration under which the given part (0 to 1) of the calls stayed, in milliseconds, as the upper
    /// bound of its bucket; none without calls.
    pub fn percentile_ms(&self, part: f64) -> Option<u64> {
        let total = self.durations.iter().sum::<u64>();
        let mut seen = 0;
        for (bucket, count) in self.durations.iter().enumerate() {
            seen += count;
            if *count > 0 && as_f64(seen) >= part * as_f64(total) {
                return Some(DURATION_BOUNDS_MS.get(bucket).copied().unwrap_or(60_000));
            }
        }
        None
    }
}

/// What was accepted in one hour, by what has become of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HourReportRow {
    /// The beginning of the hour.
    pub hour: DateTime<Utc>,
    /// Deliveries accepted in it.
    pub accepted: u64,
    /// Of these, sent or delivered by now.
    pub sent: u64,
    /// Of these, failed by now.
    pub failed: u64,
}

/// How much one address gets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopRecipientRow {
    /// The normalised address.
    pub address: String,
    /// Deliveries to it.
    pub count: u64,
}

/// How long a call to any of them takes on average, in seconds; none without calls.
pub fn mean_seconds<'l>(lines: impl IntoIterator<Item = &'l ProviderReportRow>) -> Option<f64> {
    let (time_ms, timed) = lines.into_iter().fold((0, 0), |(time_ms, timed), line| {
        (time_ms + line.duration_sum_ms, timed + line.timed_attempts)
    });
    (timed > 0).then(|| as_f64(time_ms) / as_f64(timed) / 1_000.0)
}

/// A part in percent of a whole; none when the whole is nothing.
pub fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * as_f64(part) / as_f64(whole))
}

/// Exact up to 2^53, far beyond any count here.
#[allow(clippy::cast_precision_loss)]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests;
