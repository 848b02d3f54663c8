//! The report out of the roll-ups: which ledgers are read for it, and what their entries say.
//!
//! The part that every store shares; reads nothing itself.

use std::collections::BTreeMap;

use super::{
    ATTEMPT_TIMES, DURATIONS, HOUR_MS, HOURS, MESSAGES, OPENED, OUTCOMES, PROVIDER_DELIVERIES, STATES,
    hour_group,
};
use postrider_core::attempt::Outcome;
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::delivery::{DeliveryStateKind, Failure};
use postrider_core::report::{DeliveryTotals, HourReportRow, ProviderReportRow, Report, TopRecipientRow};

/// How many hours the report shows, the one of its own time included.
const REPORT_HOURS: i64 = 48;

/// What a roll-up says of one entry.
pub struct RollupEntry {
    /// The line it stands in.
    pub group: String,
    /// Its word.
    pub key: String,
    /// How often it was counted.
    pub count: u64,
}

/// The ledgers a report is made of, each with the line from which on it is read.
pub fn required_rollups(as_of: Timestamp) -> Vec<(&'static str, String)> {
    let newest = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let whole = [
        MESSAGES,
        STATES,
        OPENED,
        OUTCOMES,
        DURATIONS,
        ATTEMPT_TIMES,
        PROVIDER_DELIVERIES,
    ];
    let mut wanted = Vec::from(whole.map(|ledger| (ledger, String::new())));
    wanted.push((HOURS, hour_group(newest - REPORT_HOURS + 1)));
    wanted
}

/// What was read of the [`wanted`] ledgers.
#[derive(Default)]
pub struct RollupEntries(BTreeMap<&'static str, Vec<RollupEntry>>);

impl RollupEntries {
    /// Keeps the entries of a ledger.
    pub fn insert(&mut self, ledger: &'static str, entries: Vec<RollupEntry>) {
        self.0.insert(ledger, entries);
    }

    /// The report they make.
    pub fn build_report(&self, as_of: Timestamp, top: Vec<TopRecipientRow>) -> Report {
        Report {
            as_of,
            messages: self.single_count(MESSAGES),
            totals: self.totals(),
            providers: self.providers(),
            hours: self.hours(),
            top_recipients: top,
        }
    }

    fn entries(&self, ledger: &'static str) -> &[RollupEntry] {
        self.0.get(ledger).map_or(&[], Vec::as_slice)
    }

    /// The count of a ledger that has one entry.
    fn single_count(&self, ledger: &'static str) -> u64 {
        self.entries(ledger).first().map_or(0, |entry| entry.count)
    }

    fn totals(&self) -> DeliveryTotals {
        let states = self.entries(STATES);
        let sum = |standing: DeliveryStateKind| {
            let of_standing = states.iter().filter(|entry| entry.group == standing.as_str());
            of_standing.map(|entry| entry.count).sum::<u64>()
        };
        let failed = |failure: Failure| {
            let found = states.iter().find(|entry| entry.key == failure.as_str())?;
            Some((failure.as_str().to_owned(), found.count))
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

    /// A line for each provider; attempts of which nobody knows whom they asked belong to none.
    fn providers(&self) -> Vec<ProviderReportRow> {
        let mut lines = BTreeMap::<&str, ProviderReportRow>::new();
        let mut fill = |ledger, put: ProviderCounter| {
            for found in self.entries(ledger) {
                let line = lines.entry(found.group.as_str()).or_default();
                if let Some(place) = put(line, &found.key) {
                    *place = found.count;
                }
            }
        };
        fill(OUTCOMES, |line, entry| {
            let place = Outcome::NAMES.iter().position(|word| *word == entry)?;
            line.outcomes.get_mut(place)
        });
        fill(DURATIONS, |line, entry| {
            line.durations.get_mut(entry.parse::<usize>().ok()?)
        });
        fill(ATTEMPT_TIMES, |line, entry| match entry {
            "attempts" => Some(&mut line.timed_attempts),
            "ms" => Some(&mut line.duration_sum_ms),
            _ => None,
        });
        fill(PROVIDER_DELIVERIES, |line, entry| match entry {
            "sent" => Some(&mut line.sent),
            "delivered" => Some(&mut line.delivered),
            "bounced" => Some(&mut line.bounced),
            _ => None,
        });
        lines.remove("");
        let named = lines.into_iter().map(|(name, line)| ProviderReportRow {
            name: name.to_owned(),
            ..line
        });
        named.collect()
    }

    fn hours(&self) -> Vec<HourReportRow> {
        let mut hours = BTreeMap::<&str, HourReportRow>::new();
        for found in self.entries(HOURS) {
            let since_1970 = found.group.parse::<i64>().unwrap_or_default();
            let line = hours.entry(found.group.as_str()).or_default();
            line.hour = from_millis(since_1970 * HOUR_MS);
            match found.key.as_str() {
                "accepted" => line.accepted = found.count,
                "sent" => line.sent = found.count,
                _ => line.failed = found.count,
            }
        }
        hours.into_values().collect()
    }
}

/// Where in a provider's line the count of an entry belongs; none for an entry this version does not know.
type ProviderCounter = for<'l> fn(&'l mut ProviderReportRow, &str) -> Option<&'l mut u64>;
