//! Queries for usage and their results.
//!
//! A page is limited by the query's limit, and totals by [`DELIVERIES_COUNTED_MAX`], so that a query does not become
//! slower as the store grows.

use chrono::NaiveDate;

use postrider_core::{clock::Timestamp, usage::UsageRow};

/// Maximum number of deliveries that totals count: counting them takes less than a second.
pub(super) const DELIVERIES_COUNTED_MAX: usize = 100_000;

/// Maximum number of rows of totals.
pub(super) const TOTALS_ROWS_MAX: usize = 10_000;

/// A query for the messages of a user in a time range.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// The user; none for all users.
    pub user: Option<String>,
    /// Messages of this owner; empty for those that belong to no single API key.
    pub owner: Option<String>,
    /// Messages accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Messages accepted before this time.
    pub until: Option<Timestamp>,
    /// Messages older than the message with this number.
    pub before: Option<i64>,
    /// Maximum number of messages.
    pub limit: usize,
    /// Offset from UTC of the time zone by whose days totals are grouped, in milliseconds.
    pub day_offset_ms: i64,
}

/// Counts by day, user and channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// The rows: newest day first, then by user and channel.
    pub rows: Vec<UsageRow>,
    /// True if all deliveries were counted. Otherwise only the newest were counted, and the oldest day is incomplete.
    pub is_complete: bool,
}

/// Returns the owner if the index of owners can find its messages. The index contains single API keys only, not the
/// shared owner.
pub(super) fn indexed_owner(owner: Option<&str>) -> Option<&str> {
    owner.filter(|owner| !owner.is_empty())
}

impl UsageQuery {
    /// Returns the first millisecond of the query's time range and the first millisecond after the range.
    pub(super) fn millis_range(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, |since| since.timestamp_millis());
        let until = self.until.map_or(i64::MAX, |until| until.timestamp_millis());
        (since, until)
    }
}

impl UsageTotals {
    /// Builds totals. `rows` may have one row more than [`TOTALS_ROWS_MAX`], which shows that rows are missing.
    pub(super) fn from_rows(mut rows: Vec<UsageRow>) -> Self {
        let counted_deliveries = rows.iter().map(|row| row.deliveries).sum::<u64>();
        let is_complete = counted_deliveries < DELIVERIES_COUNTED_MAX as u64 && rows.len() <= TOTALS_ROWS_MAX;
        rows.truncate(TOTALS_ROWS_MAX);
        rows.sort_by(|a, b| (b.day, &a.user, &a.channel).cmp(&(a.day, &b.user, &b.channel)));
        Self { rows, is_complete }
    }
}

/// Returns the day with a number since 1970.
pub(super) fn date_of_day_number(number: i64) -> NaiveDate {
    i32::try_from(number).ok().and_then(NaiveDate::from_epoch_days).unwrap_or_default()
}
