//! The report out of the roll-ups: which ledgers are read for it, and what their entries say.
//!
//! The part that every store shares; reads nothing itself.

use std::collections::BTreeMap;

use super::tally::{
    CARRIED, DURATIONS, HOUR_MS, HOURS, MESSAGES, OPENED, OUTCOMES, STATES, TIMES, hour_line,
};
use crate::clock::{Timestamp, from_millis};
use crate::domain::attempt::Outcome;
use crate::domain::delivery::{Failure, Standing};
use crate::domain::report::{HourLine, ProviderLine, Report, TopLine, Totals};

/// How many hours the report shows, the one of its own time included.
const HOURS_SHOWN: i64 = 48;

/// What a roll-up says of one entry.
pub struct Entry {
    /// The line it stands in.
    pub line: String,
    /// Its word.
    pub entry: String,
    /// How often it was counted.
    pub count: u64,
}

/// The ledgers a report is made of, each with the line from which on it is read.
pub fn wanted(as_of: Timestamp) -> Vec<(&'static str, String)> {
    let newest = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let whole = [MESSAGES, STATES, OPENED, OUTCOMES, DURATIONS, TIMES, CARRIED];
    let mut wanted = Vec::from(whole.map(|ledger| (ledger, String::new())));
    wanted.push((HOURS, hour_line(newest - HOURS_SHOWN + 1)));
    wanted
}

/// What was read of the [`wanted`] ledgers.
#[derive(Default)]
pub struct Ledgers(BTreeMap<&'static str, Vec<Entry>>);

impl Ledgers {
    /// Keeps the entries of a ledger.
    pub fn keep(&mut self, ledger: &'static str, entries: Vec<Entry>) {
        self.0.insert(ledger, entries);
    }

    /// The report they make.
    pub fn report(&self, as_of: Timestamp, top: Vec<TopLine>) -> Report {
        Report {
            as_of,
            messages: self.only(MESSAGES),
            totals: self.totals(),
            providers: self.providers(),
            hours: self.hours(),
            top,
        }
    }

    fn of(&self, ledger: &'static str) -> &[Entry] {
        self.0.get(ledger).map_or(&[], Vec::as_slice)
    }

    /// The count of a ledger that has one entry.
    fn only(&self, ledger: &'static str) -> u64 {
        self.of(ledger).first().map_or(0, |entry| entry.count)
    }

    fn totals(&self) -> Totals {
        let states = self.of(STATES);
        let sum = |standing: Standing| {
            let of_standing = states.iter().filter(|entry| entry.line == standing.word());
            of_standing.map(|entry| entry.count).sum::<u64>()
        };
        let failed = |failure: Failure| {
            let found = states.iter().find(|entry| entry.entry == failure.word())?;
            Some((failure.word().to_owned(), found.count))
        };
        let outcomes = self.of(OUTCOMES).iter();
        let unknown = outcomes.filter(|entry| entry.entry == "unknown");
        Totals {
            waiting: sum(Standing::Waiting),
            sent: sum(Standing::Sent),
            delivered: sum(Standing::Delivered),
            failed: Failure::ALL.into_iter().filter_map(failed).collect(),
            unknown: unknown.map(|entry| entry.count).sum(),
            opened: self.only(OPENED),
        }
    }

    /// A line for each provider; attempts of which nobody knows whom they asked belong to none.
    fn providers(&self) -> Vec<ProviderLine> {
        let mut lines = BTreeMap::<&str, ProviderLine>::new();
        let mut fill = |ledger, put: Place| {
            for found in self.of(ledger) {
                let line = lines.entry(found.line.as_str()).or_default();
                if let Some(place) = put(line, &found.entry) {
                    *place = found.count;
                }
            }
        };
        fill(OUTCOMES, |line, entry| {
            let place = Outcome::WORDS.iter().position(|word| *word == entry)?;
            line.outcomes.get_mut(place)
        });
        fill(DURATIONS, |line, entry| {
            line.durations.get_mut(entry.parse::<usize>().ok()?)
        });
        fill(TIMES, |line, entry| match entry {
            "calls" => Some(&mut line.timed),
            "ms" => Some(&mut line.time_ms),
            _ => None,
        });
        fill(CARRIED, |line, entry| match entry {
            "sent" => Some(&mut line.sent),
            "delivered" => Some(&mut line.delivered),
            "bounced" => Some(&mut line.bounced),
            _ => None,
        });
        lines.remove("");
        let named = lines.into_iter().map(|(name, line)| ProviderLine {
            name: name.to_owned(),
            ..line
        });
        named.collect()
    }

    fn hours(&self) -> Vec<HourLine> {
        let mut hours = BTreeMap::<&str, HourLine>::new();
        for found in self.of(HOURS) {
            let since_1970 = found.line.parse::<i64>().unwrap_or_default();
            let line = hours.entry(found.line.as_str()).or_default();
            line.hour = from_millis(since_1970 * HOUR_MS);
            match found.entry.as_str() {
                "accepted" => line.accepted = found.count,
                "sent" => line.sent = found.count,
                _ => line.failed = found.count,
            }
        }
        hours.into_values().collect()
    }
}

/// Where in a provider's line the count of an entry belongs; none for an entry this version does not know.
type Place = for<'l> fn(&'l mut ProviderLine, &str) -> Option<&'l mut u64>;
