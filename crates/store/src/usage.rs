//! What a store is asked about usage, and what it answers: the part that every store shares.
//!
//! A page is bounded by its limit, totals by how many deliveries can be counted in a moment; neither ever reads more
//! because more exists.

use chrono::{DateTime, NaiveDate};

use postrider_core::clock::Timestamp;
use postrider_core::usage::UsageRow;

/// The most deliveries that totals are counted from: a moment's work.
pub(super) const DELIVERIES_COUNTED_MAX: usize = 100_000;

/// The most lines of totals.
pub(super) const TOTALS_ROWS_MAX: usize = 10_000;

/// Milliseconds in a day.
const DAY_MS: i64 = 86_400_000;

/// Whose messages, of which time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageQuery {
    /// To the person of that name; none: to all.
    pub user: Option<String>,
    /// Accepted at or after this moment.
    pub since: Option<Timestamp>,
    /// Accepted before this moment.
    pub until: Option<Timestamp>,
    /// Older than the message with this running number.
    pub before: Option<i64>,
    /// At most so many messages.
    pub limit: usize,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsageTotals {
    /// The newest day first, then by person and channel.
    pub rows: Vec<UsageRow>,
    /// Whether that is all. Otherwise it is the newest part, and its oldest day may be in pieces.
    pub is_complete: bool,
}

impl UsageQuery {
    /// The first and the last millisecond (not included) that are asked for.
    pub(super) fn millis_range(&self) -> (i64, i64) {
        let since = self.since.map_or(i64::MIN, |since| since.timestamp_millis());
        let until = self.until.map_or(i64::MAX, |until| until.timestamp_millis());
        (since, until)
    }
}

impl UsageTotals {
    /// What a store has counted, with one line more than [`LINES_MAX`] where there are more.
    pub(super) fn from_rows(mut lines: Vec<UsageRow>) -> Self {
        let counted = lines.iter().map(|line| line.deliveries).sum::<u64>();
        let complete = counted < DELIVERIES_COUNTED_MAX as u64 && lines.len() <= TOTALS_ROWS_MAX;
        lines.truncate(TOTALS_ROWS_MAX);
        lines.sort_by(|a, b| {
            let of_day = (&a.user, &a.channel).cmp(&(&b.user, &b.channel));
            b.day.cmp(&a.day).then(of_day)
        });
        Self {
            rows: lines,
            is_complete: complete,
        }
    }
}

/// The day with that number since 1970.
pub(super) fn date_of_day_number(number: i64) -> NaiveDate {
    let midnight = DateTime::from_timestamp_millis(number.saturating_mul(DAY_MS));
    midnight.unwrap_or_default().date_naive()
}
