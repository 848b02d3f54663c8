//! Queries for usage and their results.
//!
//! A page is bounded by its limit and totals by [`DELIVERIES_COUNTED_MAX`], so that neither gets slower as the store
//! grows.

use chrono::{DateTime, NaiveDate};

use postrider_core::clock::Timestamp;
use postrider_core::usage::UsageRow;

/// Maximum number of deliveries that totals count: they take less than a second.
pub(super) const DELIVERIES_COUNTED_MAX: usize = 100_000;

/// Maximum number of rows of totals.
pub(super) const TOTALS_ROWS_MAX: usize = 10_000;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// A query for the messages of a user in a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// The user; none for all users.
    pub user: Option<String>,
    /// Messages accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Messages accepted before this time.
    pub until: Option<Timestamp>,
    /// Messages older than the one with this number.
    pub before: Option<i64>,
    /// Maximum number of messages.
    pub limit: usize,
}

/// Counts by day, user and channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// The rows: newest day first, then by user and channel.
    pub rows: Vec<UsageRow>,
    /// True if everything was counted. Otherwise only the newest part was, and the oldest day is incomplete.
    pub is_complete: bool,
}

impl UsageQuery {
    /// Returns the first millisecond of the query and the first one after it.
    pub(super) fn millis_range(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, |since| since.timestamp_millis());
        let until = self.until.map_or(i64::MAX, |until| until.timestamp_millis());
        (since, until)
    }
}

impl UsageTotals {
    /// Builds totals. `rows` has one row more than [`TOTALS_ROWS_MAX`] if there are more.
    pub(super) fn from_rows(mut rows: Vec<UsageRow>) -> Self {
        let counted = rows.iter().map(|row| row.deliveries).sum::<u64>();
        let is_complete = counted < DELIVERIES_COUNTED_MAX as u64 && rows.len() <= TOTALS_ROWS_MAX;
        rows.truncate(TOTALS_ROWS_MAX);
        rows.sort_by(|a, b| {
            let within_day = (&a.user, &a.channel).cmp(&(&b.user, &b.channel));
            b.day.cmp(&a.day).then(within_day)
        });
        Self { rows, is_complete }
    }
}

/// Returns the day with a number since 1970.
pub(super) fn date_of_day_number(number: i64) -> NaiveDate {
    let midnight = DateTime::from_timestamp_millis(number.saturating_mul(DAY_MS));
    midnight.unwrap_or_default().date_naive()
}
