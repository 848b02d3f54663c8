//! Counting of deliveries and attempts into the rollups of the report.
//!
//! [`RollupChanges`] collects counts, which may be negative: a delivery that changed subtracts its old counts. A count has
//! a metric, a group and an entry, as in the table `rollups`. This module does not access the store.

pub mod report;

use std::collections::HashMap;

use postrider_core::{delivery::DeliveryStateKind, id::DeliveryId, report::duration_bucket};

/// Milliseconds in an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// Messages: one group with one entry.
pub const MESSAGES: &str = "messages";
/// Deliveries: a group per state, an entry per failure.
pub const STATES: &str = "states";
/// Opened deliveries: one group with one entry.
pub const OPENED: &str = "opened";
/// Deliveries by provider: sent, delivered or bounced.
pub const PROVIDER_DELIVERIES: &str = "provider_deliveries";
/// Deliveries by the hour of acceptance: accepted, sent or failed.
pub const HOURS: &str = "hours";
/// Attempts by provider and outcome.
pub const OUTCOMES: &str = "outcomes";
/// Attempts by provider and bucket of the duration.
pub const DURATIONS: &str = "durations";
/// Attempts by provider: their number, and the sum of their durations in milliseconds.
pub const ATTEMPT_TIMES: &str = "attempt_times";

/// A delivery to count.
pub struct ReportedDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// Address of the recipient.
    pub address: String,
    /// The fields that are counted.
    pub counts: DeliveryCounts,
    /// Number of the delivery's attempts that were counted before.
    pub attempts_counted: i64,
}

/// The counted fields of a delivery, or of several deliveries with equal fields.
pub struct DeliveryCounts {
    /// True for the first delivery of a message; only this delivery counts the message.
    pub is_first: bool,
    /// Hour of acceptance, in hours since 1970.
    pub hour: i64,
    /// Current state.
    pub current: CountedState,
    /// State that was counted last; none if the delivery was never counted.
    pub counted: Option<CountedState>,
}

/// The part of a delivery's state that is counted.
pub struct CountedState {
    /// State of the delivery.
    pub state: DeliveryStateKind,
    /// Kind of failure.
    pub failure: Option<String>,
    /// Provider that accepted the delivery.
    pub provider: Option<String>,
    /// True if the message was opened.
    pub is_opened: bool,
}

/// An attempt to count.
pub struct CountedAttempt {
    /// Number of the attempt within its delivery.
    pub sequence: i64,
    /// Provider that was called; empty if unknown.
    pub provider: String,
    /// Outcome of the attempt.
    pub outcome: String,
    /// Duration of the call, in milliseconds.
    pub duration_ms: u64,
}

impl ReportedDelivery {
    /// Returns whether the delivery was counted before.
    pub fn is_counted(&self) -> bool {
        self.counts.counted.is_some()
    }

    /// Replaces the counted state by the current state. Returns the number of attempts that are counted then.
    pub fn apply_to(&self, attempts: &[CountedAttempt], changes: &mut RollupChanges) -> i64 {
        self.counts.subtract_from(1, changes);
        self.counts.add_to(1, changes);
        for attempt in attempts {
            if attempt.sequence >= self.attempts_counted {
                changes.add_attempt(attempt, 1);
            }
        }
        i64::try_from(attempts.len()).unwrap_or(i64::MAX)
    }

    /// Subtracts the counted state from the live rollups and adds the current state to the pruned rollups.
    pub fn move_to_pruned(
        &self,
        attempts: &[CountedAttempt],
        live: &mut RollupChanges,
        pruned: &mut RollupChanges,
    ) {
        self.counts.subtract_from(1, live);
        self.counts.add_to(1, pruned);
        for attempt in attempts {
            if attempt.sequence < self.attempts_counted {
                live.add_attempt(attempt, -1);
            }
            pruned.add_attempt(attempt, 1);
        }
    }
}

impl DeliveryCounts {
    /// Subtracts the state that was counted last, `count` times.
    pub fn subtract_from(&self, count: i64, changes: &mut RollupChanges) {
        if let Some(counted) = &self.counted {
            changes.add_state(self, counted, -count);
        }
    }

    /// Adds the current state, `count` times.
    pub fn add_to(&self, count: i64, changes: &mut RollupChanges) {
        changes.add_state(self, &self.current, count);
    }
}

/// Changes of rollups that are not stored yet, by metric, group and entry.
#[derive(Default)]
pub struct RollupChanges(HashMap<&'static str, HashMap<String, HashMap<String, i64>>>);

impl RollupChanges {
    fn add_count(&mut self, metric: &'static str, group: &str, entry: &str, difference: i64) {
        let groups = self.0.entry(metric).or_default();
        // An existing entry is found without copying its names.
        if let Some(count) = groups.get_mut(group).and_then(|entries| entries.get_mut(entry)) {
            *count += difference;
            return;
        }
        let entries = groups.entry(group.to_owned()).or_default();
        *entries.entry(entry.to_owned()).or_default() += difference;
    }

    fn add_state(&mut self, counts: &DeliveryCounts, counted_state: &CountedState, times: i64) {
        if counts.is_first {
            self.add_count(MESSAGES, "", "", times);
        }
        let failure_name = counted_state.failure.as_deref().unwrap_or_default();
        self.add_count(STATES, counted_state.state.as_str(), failure_name, times);
        if counted_state.is_opened {
            self.add_count(OPENED, "", "", times);
        }
        let hour = hour_group(counts.hour);
        self.add_count(HOURS, &hour, "accepted", times);
        let (hour_entry, provider_entry) = match counted_state.state {
            DeliveryStateKind::Waiting => (None, None),
            DeliveryStateKind::Sent => (Some("sent"), Some("sent")),
            DeliveryStateKind::Delivered => (Some("sent"), Some("delivered")),
            DeliveryStateKind::Failed => (Some("failed"), (failure_name == "bounced").then_some("bounced")),
        };
        if let Some(rollup_entry) = hour_entry {
            self.add_count(HOURS, &hour, rollup_entry, times);
        }
        if let (Some(provider), Some(rollup_entry)) = (&counted_state.provider, provider_entry) {
            self.add_count(PROVIDER_DELIVERIES, provider, rollup_entry, times);
        }
    }

    /// Counts an attempt `times` times; a negative number subtracts the attempt.
    pub fn add_attempt(&mut self, attempt: &CountedAttempt, times: i64) {
        self.add_count(OUTCOMES, &attempt.provider, &attempt.outcome, times);
        let bucket = format!("{:02}", duration_bucket(attempt.duration_ms));
        self.add_count(DURATIONS, &attempt.provider, &bucket, times);
        let duration_ms = i64::try_from(attempt.duration_ms).unwrap_or(i64::MAX);
        self.add_count(ATTEMPT_TIMES, &attempt.provider, "attempts", times);
        self.add_count(ATTEMPT_TIMES, &attempt.provider, "ms", duration_ms.saturating_mul(times));
    }

    /// Returns the changes that are not zero: metric, group, entry, count.
    pub fn changes(&self) -> impl Iterator<Item = (&'static str, &str, &str, i64)> {
        let groups = self.0.iter().flat_map(|(metric, groups)| {
            groups.iter().map(move |(group, entries)| (*metric, group.as_str(), entries))
        });
        let changes = groups.flat_map(|(metric, group, entries)| {
            entries.iter().map(move |(entry, count)| (metric, group, entry.as_str(), *count))
        });
        changes.filter(|(.., count)| *count != 0)
    }
}

/// Returns the group of an hour since 1970; groups sort by time.
pub fn hour_group(hour: i64) -> String {
    format!("{:010}", hour.max(0))
}
