//! What a delivery adds to the report, and the sums of it on their way into the roll-ups: the part that every
//! store shares.
//!
//! Everything is counted through [`Sums`] with a number that may be negative, so that whatever was added can be
//! taken away again exactly. Ledgers, lines and entries are the words of the table `tallies`. Reads and writes
//! nothing itself.

use std::collections::HashMap;

use crate::domain::delivery::Standing;
use crate::domain::id::DeliveryId;
use crate::domain::report::duration_bucket;

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Messages; one line, one entry.
pub const MESSAGES: &str = "messages";
/// Deliveries: a line for each state, an entry for each failure.
pub const STATES: &str = "states";
/// Deliveries that were opened; one line, one entry.
pub const OPENED: &str = "opened";
/// Deliveries by the provider that took them: sent, delivered or bounced.
pub const CARRIED: &str = "carried";
/// Deliveries by the hour in which they were accepted: accepted, sent or failed.
pub const HOURS: &str = "hours";
/// Attempts by provider and outcome.
pub const OUTCOMES: &str = "outcomes";
/// Attempts by provider and bucket of their duration.
pub const DURATIONS: &str = "durations";
/// Attempts by provider: how many, and how many milliseconds they took together.
pub const TIMES: &str = "times";

/// A delivery as the report sees it.
pub struct Line {
    /// Which one.
    pub id: DeliveryId,
    /// To whom.
    pub address: String,
    /// What it is counted as.
    pub share: Share,
    /// How many of its attempts were counted.
    pub attempts_counted: i64,
}

/// What the report counts of a delivery, or of many that are alike.
pub struct Share {
    /// Whether it stands for its message: the first one does.
    pub first: bool,
    /// The hour since 1970 in which it was accepted.
    pub hour: i64,
    /// Where it stands.
    pub now: Standpoint,
    /// Where it stood when it was counted; none when it never was.
    pub counted: Option<Standpoint>,
}

/// Where a delivery stands, or stood when it was counted.
pub struct Standpoint {
    /// Its state.
    pub state: Standing,
    /// How it failed.
    pub failure: Option<String>,
    /// Who took it.
    pub provider: Option<String>,
    /// Whether it was opened.
    pub opened: bool,
}

/// A call as the report sees it.
pub struct Call {
    /// The number it was recorded with.
    pub place: i64,
    /// Who was asked; empty when nobody knows.
    pub provider: String,
    /// What it came to.
    pub outcome: String,
    /// How long it took.
    pub duration_ms: u64,
}

impl Line {
    /// Whether the report has counted it.
    pub fn is_counted(&self) -> bool {
        self.share.counted.is_some()
    }

    /// Brings the sums from what was counted to what is. Returns how many attempts are counted now.
    pub fn recount(&self, calls: &[Call], sums: &mut Sums) -> i64 {
        self.share.take_back(1, sums);
        self.share.add(1, sums);
        for call in calls.iter().filter(|call| call.place >= self.attempts_counted) {
            sums.call(call, 1);
        }
        i64::try_from(calls.len()).unwrap_or(i64::MAX)
    }

    /// Takes what was counted out of the one and adds what is to the other.
    pub fn move_over(&self, calls: &[Call], from: &mut Sums, to: &mut Sums) {
        self.share.take_back(1, from);
        self.share.add(1, to);
        for call in calls {
            if call.place < self.attempts_counted {
                from.call(call, -1);
            }
            to.call(call, 1);
        }
    }
}

impl Share {
    /// Takes so many of what was counted out of the sums.
    pub fn take_back(&self, many: i64, sums: &mut Sums) {
        if let Some(counted) = &self.counted {
            sums.standpoint(self, counted, -many);
        }
    }

    /// Adds so many of what is to the sums.
    pub fn add(&self, many: i64, sums: &mut Sums) {
        sums.standpoint(self, &self.now, many);
    }
}

/// Changes to the roll-ups that are not on disk yet.
#[derive(Default)]
pub struct Sums(HashMap<&'static str, HashMap<String, HashMap<String, i64>>>);

impl Sums {
    fn count(&mut self, ledger: &'static str, line: &str, entry: &str, by: i64) {
        let lines = self.0.entry(ledger).or_default();
        if let Some(count) = lines.get_mut(line).and_then(|entries| entries.get_mut(entry)) {
            *count += by;
            return;
        }
        let entries = lines.entry(line.to_owned()).or_default();
        *entries.entry(entry.to_owned()).or_default() += by;
    }

    fn standpoint(&mut self, share: &Share, at: &Standpoint, by: i64) {
        if share.first {
            self.count(MESSAGES, "", "", by);
        }
        let failure = at.failure.as_deref().unwrap_or_default();
        self.count(STATES, at.state.word(), failure, by);
        if at.opened {
            self.count(OPENED, "", "", by);
        }
        let hour = hour_line(share.hour);
        self.count(HOURS, &hour, "accepted", by);
        let (hour_entry, carried) = match at.state {
            Standing::Waiting => (None, None),
            Standing::Sent => (Some("sent"), Some("sent")),
            Standing::Delivered => (Some("sent"), Some("delivered")),
            Standing::Failed => (Some("failed"), (failure == "bounced").then_some("bounced")),
        };
        if let Some(entry) = hour_entry {
            self.count(HOURS, &hour, entry, by);
        }
        if let (Some(provider), Some(entry)) = (&at.provider, carried) {
            self.count(CARRIED, provider, entry, by);
        }
    }

    /// Counts so many calls like this one.
    pub fn call(&mut self, call: &Call, by: i64) {
        self.count(OUTCOMES, &call.provider, &call.outcome, by);
        let bucket = format!("{:02}", duration_bucket(call.duration_ms));
        self.count(DURATIONS, &call.provider, &bucket, by);
        let millis = i64::try_from(call.duration_ms).unwrap_or(i64::MAX);
        self.count(TIMES, &call.provider, "calls", by);
        self.count(TIMES, &call.provider, "ms", millis.saturating_mul(by));
    }

    /// What changes: ledger, line, entry, by how much.
    pub fn changes(&self) -> impl Iterator<Item = (&'static str, &str, &str, i64)> {
        let lines = self.0.iter().flat_map(|(ledger, lines)| {
            let named = lines.iter();
            named.map(move |(line, entries)| (*ledger, line.as_str(), entries))
        });
        let changes = lines.flat_map(|(ledger, line, entries)| {
            let entries = entries.iter();
            entries.map(move |(entry, count)| (ledger, line, entry.as_str(), *count))
        });
        changes.filter(|(.., count)| *count != 0)
    }
}

/// An hour since 1970 as a line that sorts by time.
pub fn hour_line(hour: i64) -> String {
    format!("{:010}", hour.max(0))
}
