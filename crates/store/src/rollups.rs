//! What a delivery adds to the report, and the sums of it on their way into the roll-ups: the part that every
//! store shares.
//!
//! Everything is counted through [`Sums`] with a number that may be negative, so that whatever was added can be
//! taken away again exactly. Ledgers, lines and entries are the words of the table `tallies`. Reads and writes
//! nothing itself.

pub mod report;

use std::collections::HashMap;

use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::DeliveryId;
use postrider_core::report::duration_bucket;

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Messages; one line, one entry.
pub const MESSAGES: &str = "messages";
/// Deliveries: a line for each state, an entry for each failure.
pub const STATES: &str = "states";
/// Deliveries that were opened; one line, one entry.
pub const OPENED: &str = "opened";
/// Deliveries by the provider that took them: sent, delivered or bounced.
pub const PROVIDER_DELIVERIES: &str = "provider_deliveries";
/// Deliveries by the hour in which they were accepted: accepted, sent or failed.
pub const HOURS: &str = "hours";
/// Attempts by provider and outcome.
pub const OUTCOMES: &str = "outcomes";
/// Attempts by provider and bucket of their duration.
pub const DURATIONS: &str = "durations";
/// Attempts by provider: how many, and how many milliseconds they took together.
pub const ATTEMPT_TIMES: &str = "attempt_times";

/// A delivery as the report sees it.
pub struct ReportedDelivery {
    /// Which one.
    pub id: DeliveryId,
    /// To whom.
    pub address: String,
    /// What it is counted as.
    pub counts: DeliveryCounts,
    /// How many of its attempts were counted.
    pub attempts_counted: i64,
}

/// What the report counts of a delivery, or of many that are alike.
pub struct DeliveryCounts {
    /// Whether it stands for its message: the first one does.
    pub is_first: bool,
    /// The hour since 1970 in which it was accepted.
    pub hour: i64,
    /// Where it stands.
    pub current: CountedState,
    /// Where it stood when it was counted; none when it never was.
    pub counted: Option<CountedState>,
}

/// Where a delivery stands, or stood when it was counted.
pub struct CountedState {
    /// Its state.
    pub state: DeliveryStateKind,
    /// How it failed.
    pub failure: Option<String>,
    /// Who took it.
    pub provider: Option<String>,
    /// Whether it was opened.
    pub is_opened: bool,
}

/// A call as the report sees it.
pub struct CountedAttempt {
    /// The number it was recorded with.
    pub sequence: i64,
    /// Who was asked; empty when nobody knows.
    pub provider: String,
    /// What it came to.
    pub outcome: String,
    /// How long it took.
    pub duration_ms: u64,
}

impl ReportedDelivery {
    /// Whether the report has counted it.
    pub fn is_counted(&self) -> bool {
        self.counts.counted.is_some()
    }

    /// Brings the sums from what was counted to what is. Returns how many attempts are counted now.
    pub fn apply_to(&self, calls: &[CountedAttempt], sums: &mut RollupChanges) -> i64 {
        self.counts.subtract_from(1, sums);
        self.counts.add_to(1, sums);
        for call in calls.iter().filter(|call| call.sequence >= self.attempts_counted) {
            sums.add_attempt(call, 1);
        }
        i64::try_from(calls.len()).unwrap_or(i64::MAX)
    }

    /// Takes what was counted out of the one and adds what is to the other.
    pub fn move_to_kept(&self, calls: &[CountedAttempt], from: &mut RollupChanges, to: &mut RollupChanges) {
        self.counts.subtract_from(1, from);
        self.counts.add_to(1, to);
        for call in calls {
            if call.sequence < self.attempts_counted {
                from.add_attempt(call, -1);
            }
            to.add_attempt(call, 1);
        }
    }
}

impl DeliveryCounts {
    /// Takes so many of what was counted out of the sums.
    pub fn subtract_from(&self, many: i64, sums: &mut RollupChanges) {
        if let Some(counted) = &self.counted {
            sums.add_state(self, counted, -many);
        }
    }

    /// Adds so many of what is to the sums.
    pub fn add_to(&self, many: i64, sums: &mut RollupChanges) {
        sums.add_state(self, &self.current, many);
    }
}

/// Changes to the roll-ups that are not on disk yet.
#[derive(Default)]
pub struct RollupChanges(HashMap<&'static str, HashMap<String, HashMap<String, i64>>>);

impl RollupChanges {
    fn add_count(&mut self, ledger: &'static str, line: &str, entry: &str, by: i64) {
        let lines = self.0.entry(ledger).or_default();
        if let Some(count) = lines.get_mut(line).and_then(|entries| entries.get_mut(entry)) {
            *count += by;
            return;
        }
        let entries = lines.entry(line.to_owned()).or_default();
        *entries.entry(entry.to_owned()).or_default() += by;
    }

    fn add_state(&mut self, share: &DeliveryCounts, at: &CountedState, by: i64) {
        if share.is_first {
            self.add_count(MESSAGES, "", "", by);
        }
        let failure = at.failure.as_deref().unwrap_or_default();
        self.add_count(STATES, at.state.as_str(), failure, by);
        if at.is_opened {
            self.add_count(OPENED, "", "", by);
        }
        let hour = hour_group(share.hour);
        self.add_count(HOURS, &hour, "accepted", by);
        let (hour_entry, carried) = match at.state {
            DeliveryStateKind::Waiting => (None, None),
            DeliveryStateKind::Sent => (Some("sent"), Some("sent")),
            DeliveryStateKind::Delivered => (Some("sent"), Some("delivered")),
            DeliveryStateKind::Failed => (Some("failed"), (failure == "bounced").then_some("bounced")),
        };
        if let Some(entry) = hour_entry {
            self.add_count(HOURS, &hour, entry, by);
        }
        if let (Some(provider), Some(entry)) = (&at.provider, carried) {
            self.add_count(PROVIDER_DELIVERIES, provider, entry, by);
        }
    }

    /// Counts so many calls like this one.
    pub fn add_attempt(&mut self, call: &CountedAttempt, by: i64) {
        self.add_count(OUTCOMES, &call.provider, &call.outcome, by);
        let bucket = format!("{:02}", duration_bucket(call.duration_ms));
        self.add_count(DURATIONS, &call.provider, &bucket, by);
        let millis = i64::try_from(call.duration_ms).unwrap_or(i64::MAX);
        self.add_count(ATTEMPT_TIMES, &call.provider, "attempts", by);
        self.add_count(ATTEMPT_TIMES, &call.provider, "ms", millis.saturating_mul(by));
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
pub fn hour_group(hour: i64) -> String {
    format!("{:010}", hour.max(0))
}
