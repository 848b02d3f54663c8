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
    /// The entry.
    pub key: String,
    /// The count.
    pub count: u64,
}

/// Returns the metrics that the report needs, each with the first group to read.
pub fn required_rollups(as_of: Timestamp) -> Vec<(&'static str, String)> {
    let newest_hour = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let complete = [MESSAGES, STATES, OPENED, OUTCOMES, DURATIONS, ATTEMPT_TIMES, PROVIDER_DELIVERIES];
    let mut required = Vec::from(complete.map(|metric| (metric, String::new())));
    required.push((HOURS, hour_group(newest_hour - REPORT_HOURS + 1)));
    required
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
            messages: self.single_count(MESSAGES),
            totals: self.totals(),
            providers: self.providers(),
            hours: self.hours(),
            top_recipients,
        }
    }

    fn entries(&self, metric: &'static str) -> &[RollupEntry] {
        self.0.get(metric).map_or(&[], Vec::as_slice)
    }

    /// Returns the count of a metric that has one entry.
    fn single_count(&self, metric: &'static str) -> u64 {
        self.entries(metric).first().map_or(0, |entry| entry.count)
    }

    fn totals(&self) -> DeliveryTotals {
        let states = self.entries(STATES);
        let sum = |kind: DeliveryStateKind| {
            let of_kind = states.iter().filter(|entry| entry.group == kind.as_str());
            of_kind.map(|entry| entry.count).sum::<u64>()
        };
        let failed = |failure: Failure| {
            let entry = states.iter().find(|entry| entry.key == failure.as_str())?;
            Some((failure.as_str().to_owned(), entry.count))
        };
        let outcomes = self.entries(OUTCOMES).iter();
        let unknown = outcomes.filter(|entry| entry.key == "unknown");
        DeliveryTotals {
            waiting: sum(DeliveryStateKind::Waiting),
            sent: sum(DeliveryStateKind::Sent),
            delivered: sum(DeliveryStateKind::Delivered),
            failed: Failure::ALL.into_iter().filter_map(failed).collect(),
            unknown: unknown.map(|entry| entry.count).sum(),
            opened: self.single_count(OPENED),
        }
    }

    /// Returns a row per provider. Attempts with an unknown provider are left out.
    fn providers(&self) -> Vec<ProviderReportRow> {
        let mut rows = BTreeMap::<&str, ProviderReportRow>::new();
        let mut fill = |metric, counter: ProviderCounter| {
            for entry in self.entries(metric) {
                let row = rows.entry(entry.group.as_str()).or_default();
                if let Some(count) = counter(row, &entry.key) {
                    *count = entry.count;
                }
            }
        };
        fill(OUTCOMES, |row, key| {
            let index = Outcome::NAMES.iter().position(|name| *name == key)?;
            row.outcomes.get_mut(index)
        });
        fill(DURATIONS, |row, key| row.durations.get_mut(key.parse::<usize>().ok()?));
        fill(ATTEMPT_TIMES, |row, key| match key {
            "attempts" => Some(&mut row.timed_attempts),
            "ms" => Some(&mut row.duration_sum_ms),
            _ => None,
        });
        fill(PROVIDER_DELIVERIES, |row, key| match key {
            "sent" => Some(&mut row.sent),
            "delivered" => Some(&mut row.delivered),
            "bounced" => Some(&mut row.bounced),
            _ => None,
        });
        rows.remove("");
        let named = rows.into_iter().map(|(name, row)| ProviderReportRow { name: name.to_owned(), ..row });
        named.collect()
    }

    fn hours(&self) -> Vec<HourReportRow> {
        let mut rows = BTreeMap::<&str, HourReportRow>::new();
        for entry in self.entries(HOURS) {
            let hour = entry.group.parse::<i64>().unwrap_or_default();
            let row = rows.entry(entry.group.as_str()).or_default();
            row.hour = from_millis(hour * HOUR_MS);
            match entry.key.as_str() {
                "accepted" => row.accepted = entry.count,
                "sent" => row.sent = entry.count,
                _ => row.failed = entry.count,
            }
        }
        rows.into_values().collect()
    }
}

/// Returns the count of an entry in a provider's row; none for an entry that this version does not know.
type ProviderCounter = for<'r> fn(&'r mut ProviderReportRow, &str) -> Option<&'r mut u64>;
