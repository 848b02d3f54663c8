//! The result of a simulation with users: counts and ratios of each broadcast, and the expected values of all
//! broadcasts together.
//!
//! Pure functions. The ranges are computed by `theory`.

use std::{fmt::Write, time::Duration};

use serde::Serialize;

use super::options::SimulationAudience;
use super::table::{report_count_row, write_conclusion, write_counts, write_expectations};
use super::theory::{Expectation, find_mismatches, unmet_names};
use crate::rate::format_rate;
use postrider_core::broadcast::{Broadcast, BroadcastCounts};
use postrider_core::report::Report;

/// Measured values of a run with users.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BroadcastRun {
    pub elapsed: Duration,
    pub registered_users: u64,
    /// The broadcasts in the order of their publication.
    pub broadcasts: Vec<(Broadcast, BroadcastCounts)>,
    /// Accepted messages, from the metrics.
    pub accepted: u64,
    /// Messages that were sent, delivered and failed, from the metrics.
    pub state_changes: [u64; 3],
    pub is_interrupted: bool,
}

impl BroadcastRun {
    fn sum_counts(&self, count_of: impl Fn(&BroadcastCounts) -> u64) -> u64 {
        self.broadcasts.iter().map(|(_, counts)| count_of(counts)).sum()
    }
}

/// The counts and ratios of a broadcast, as system E printed them.
#[derive(Serialize)]
struct RatioBlock {
    sent: u64,
    received: u64,
    opened: u64,
    received_ratio: Option<String>,
    opened_ratio: Option<String>,
}

impl RatioBlock {
    fn from_counts(broadcast_counts: &BroadcastCounts) -> Self {
        Self {
            sent: broadcast_counts.messages,
            received: broadcast_counts.received,
            opened: broadcast_counts.opened,
            received_ratio: broadcast_counts.received_ratio(),
            opened_ratio: broadcast_counts.opened_ratio(),
        }
    }
}

/// Returns the text of a run with users. Writing into a string cannot fail, so results of `write!` are dropped.
pub fn render_broadcast_result(
    audience: &SimulationAudience,
    run: &BroadcastRun,
    report: &Report,
    faults: &[String],
) -> String {
    let mut result_text = String::new();
    for (Broadcast { id, body, .. }, counts) in &run.broadcasts {
        let block = serde_json::to_string_pretty(&RatioBlock::from_counts(counts)).unwrap_or_default();
        let _ = writeln!(result_text, "id: {id}\nbody: {body}\n{block}\n");
    }
    let counted_items = format!("{} messages to {} users", run.accepted, run.registered_users);
    let rate = format_rate("published", &counted_items, run.accepted, run.elapsed.as_secs_f64());
    let _ = writeln!(result_text, "{rate}");
    write_counts(&mut result_text, &count_rows(run, report));
    write_expectations(&mut result_text, &broadcast_expectations(audience, run));
    write_conclusion(&mut result_text, faults, run.is_interrupted);
    result_text
}

fn count_rows(run: &BroadcastRun, report: &Report) -> [(&'static str, [u64; 5]); 3] {
    let [sent, received, lost] = run.state_changes;
    let metrics = [
        run.accepted,
        run.accepted.saturating_sub(sent),
        sent.saturating_sub(received + lost),
        received,
        lost,
    ];
    let broadcasts = [
        run.sum_counts(|counts| counts.messages),
        run.sum_counts(|counts| counts.waiting),
        run.sum_counts(|counts| counts.unconfirmed),
        run.sum_counts(|counts| counts.received),
        run.sum_counts(|counts| counts.failed),
    ];
    [report_count_row(report), ("metrics", metrics), ("broadcasts", broadcasts)]
}

/// Returns all values that theory predicts.
pub fn broadcast_expectations(audience: &SimulationAudience, run: &BroadcastRun) -> [Expectation; 2] {
    let [sent, received, opened] = [
        run.sum_counts(|counts| counts.messages),
        run.sum_counts(|counts| counts.received),
        run.sum_counts(|counts| counts.opened),
    ];
    let ratios = audience.receipt_ratios;
    let binomial = |name, actual, trials, probability| {
        Expectation::binomial(name, actual, [(trials, probability)]).ignore_if_interrupted(run.is_interrupted)
    };
    [
        binomial("received messages", received, sent, 1.0 - ratios.loss_ratio),
        binomial("opened messages", opened, received, ratios.open_ratio),
    ]
}

/// Returns the faults of a run: values outside their range, and counts that disagree.
pub fn find_broadcast_faults(
    audience: &SimulationAudience,
    run: &BroadcastRun,
    report: &Report,
    waiting: u64,
) -> Vec<String> {
    let totals = &report.totals;
    let [sent, received, lost] = run.state_changes;
    let reported_sent = totals.sent + totals.delivered + totals.failed_sum();
    let metrics = |count| ("metrics", count);
    let reported = |count| ("report", count);
    let summed = |count_of: fn(&BroadcastCounts) -> u64| ("broadcasts", run.sum_counts(count_of));
    let mut faults = find_mismatches(&[
        ("accepted", metrics(run.accepted), reported(report.messages)),
        ("accepted", reported(report.messages), ("sum of states", totals.sum())),
        ("accepted", metrics(run.accepted), summed(|counts| counts.messages)),
        ("sent", metrics(sent), reported(reported_sent)),
        ("received", metrics(received), reported(totals.delivered)),
        ("received", reported(totals.delivered), summed(|counts| counts.received)),
        ("lost", metrics(lost), reported(totals.failed_sum())),
        ("lost", reported(totals.failed_sum()), summed(|counts| counts.failed)),
        ("opened", reported(totals.opened), summed(|counts| counts.opened)),
        ("waiting", ("store", waiting), reported(totals.waiting)),
        ("waiting", reported(totals.waiting), summed(|counts| counts.waiting)),
    ]);
    if !run.is_interrupted {
        let users = u64::from(audience.users);
        let messages = users * u64::from(audience.broadcasts);
        faults.extend(find_mismatches(&[
            ("users", ("registered", run.registered_users), ("expected", users)),
            ("accepted", metrics(run.accepted), ("expected", messages)),
            ("sent messages without a receipt", reported(totals.sent), ("expected", 0)),
        ]));
        faults.extend(unmet_names(&broadcast_expectations(audience, run)));
    }
    faults
}

#[cfg(test)]
mod tests;
