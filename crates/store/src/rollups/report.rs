//! Building the report from rollups. This module does not access the store.

use std::collections::BTreeMap;

use super::{
    ATTEMPT_TIMES, DURATIONS, HOUR_MS, HOURS, MESSAGES, OPENED, OUTCOMES, PROVIDER_DELIVERIES, STATES,
    hour_group,
};
use postrider_core::attempt::Outcome;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::report::{DeliveryTotals, HourReportRow, ProviderReportRow, Report, TopRecipientRow};

/// Number of hours that the report shows, including the hour of its time.
const REPORT_HOURS: i64 = 48;

/// The count of one entry of a rollup.
pub struct RollupEntry {
    /// The group of the entry.
    pub group: String,
    /// Name of the entry.
    pub entry: String,
    /// The count.
    pub count: u64,
}

/// Returns the metrics that the report needs, each with the first group to read.
pub fn required_rollups(as_of: Timestamp) -> Vec<(&'static str, String)> {
    let newest_hour = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let whole_metrics = [MESSAGES, STATES, OPENED, OUTCOMES, DURATIONS, ATTEMPT_TIMES, PROVIDER_DELIVERIES];
    let mut rollups = Vec::from(whole_metrics.map(|metric| (metric, String::new())));
    rollups.push((HOURS, hour_group(newest_hour - REPORT_HOURS + 1)));
    rollups
}

/// The entries of the [`required_rollups`].
#[derive(Default)]
pub struct RollupEntries(BTreeMap<&'static str, Vec<RollupEntry>>);

impl RollupEntries {
    /// Adds the entries of a metric.
    pub fn insert(&mut self, metric: &'static str, entries: Vec<RollupEntry>) {
        self.0.insert(metric, entries);
    }

    /// Builds the report.
    pub fn build_report(&self, as_of: Timestamp, top_recipients: Vec<TopRecipientRow>) -> Report {
        Report {
            as_of,
            messages: self.count_where(MESSAGES, |_| true),
            totals: self.totals(),
            providers: self.provider_rows(),
            hours: self.hour_rows(),
            top_recipients,
        }
    }

    fn entries(&self, metric: &'static str) -> &[RollupEntry] {
        self.0.get(metric).map_or(&[], Vec::as_slice)
    }

    fn count_where(&self, metric: &'static str, is_counted: impl Fn(&RollupEntry) -> bool) -> u64 {
        let counted_entries = self.entries(metric).iter().filter(|entry| is_counted(entry));
        counted_entries.map(|entry| entry.count).sum()
    }

    fn totals(&self) -> DeliveryTotals {
        let count_state =
            |kind: DeliveryStateKind| self.count_where(STATES, |state| state.group == kind.as_str());
        let count_failure = |failure: Failure| {
            let count = self.count_where(STATES, |state| state.entry == failure.as_str());
            (count > 0).then(|| (failure.as_str().to_owned(), count))
        };
        DeliveryTotals {
            waiting: count_state(DeliveryStateKind::Waiting),
            sent: count_state(DeliveryStateKind::Sent),
            delivered: count_state(DeliveryStateKind::Delivered),
            failed: Failure::ALL.into_iter().filter_map(count_failure).collect(),
            unknown: self.count_where(OUTCOMES, |outcome| outcome.entry == "unknown"),
            opened: self.count_where(OPENED, |_| true),
        }
    }

    /// Returns a row per provider. Attempts with an unknown provider are left out.
    fn provider_rows(&self) -> Vec<ProviderReportRow> {
        let mut rows = BTreeMap::<&str, ProviderReportRow>::new();
        let mut fill_rows = |metric, field_of_entry: ProviderRowField| {
            for rollup in self.entries(metric) {
                let row = rows.entry(rollup.group.as_str()).or_default();
                if let Some(count) = field_of_entry(row, &rollup.entry) {
                    *count = rollup.count;
                }
            }
        };
        fill_rows(OUTCOMES, |row, outcome| {
            let index = Outcome::NAMES.iter().position(|name| *name == outcome)?;
            row.outcomes.get_mut(index)
        });
        fill_rows(DURATIONS, |row, bucket| row.durations.get_mut(bucket.parse::<usize>().ok()?));
        fill_rows(ATTEMPT_TIMES, |row, entry| match entry {
            "attempts" => Some(&mut row.timed_attempts),
            "ms" => Some(&mut row.duration_sum_ms),
            _ => None,
        });
        fill_rows(PROVIDER_DELIVERIES, |row, entry| match entry {
            "sent" => Some(&mut row.sent),
            "delivered" => Some(&mut row.delivered),
            "bounced" => Some(&mut row.bounced),
            _ => None,
        });
        rows.remove("");
        rows.into_iter().map(|(name, row)| ProviderReportRow { name: name.to_owned(), ..row }).collect()
    }

    fn hour_rows(&self) -> Vec<HourReportRow> {
        let mut rows = BTreeMap::<&str, HourReportRow>::new();
        for rollup in self.entries(HOURS) {
            let hour = rollup.group.parse::<i64>().unwrap_or_default();
            let row = rows.entry(rollup.group.as_str()).or_default();
            row.hour = from_millis(hour * HOUR_MS);
            match rollup.entry.as_str() {
                "accepted" => row.accepted = rollup.count,
                "sent" => row.sent = rollup.count,
                _ => row.failed = rollup.count,
            }
        }
        rows.into_values().collect()
    }
}

/// Returns the field of a provider's row for an entry; none for an entry that this version does not know.
type ProviderRowField = for<'r> fn(&'r mut ProviderReportRow, &str) -> Option<&'r mut u64>;
