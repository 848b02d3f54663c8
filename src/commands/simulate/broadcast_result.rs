//! What came of messages that were published to users: the counts and ratios of each, and what theory expects of all.
//!
//! Pure. Limits are four standard deviations, as in an alert.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::table::{report_count_row, write_checks, write_verdict};
use super::theory::{Expectation, count_tolerance};
use crate::commands::{format_rate, to_f64};
use postrider_core::broadcast::BroadcastCounts;
use postrider_core::report::Report;
use postrider_engine::config::mock_sender::ReceiptRatios;
use postrider_loadgen::users::GeneratedBroadcast;

/// To whom, and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct BroadcastPlan {
    /// Users who are to register.
    pub users: u32,
    /// Messages to be published to all of them.
    pub broadcasts: u32,
    /// What becomes of what was sent.
    pub receipts: ReceiptRatios,
    /// Users who have registered.
    pub registered_users: u64,
}

/// A message and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct CountedBroadcast {
    /// The message.
    pub broadcast: GeneratedBroadcast,
    /// What became of it.
    pub counts: BroadcastCounts,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BroadcastRun {
    /// How long it took.
    pub elapsed: Duration,
    /// The messages, in the order in which they were published.
    pub broadcasts: Vec<CountedBroadcast>,
    /// Messages taken in, by the metrics.
    pub accepted: u64,
    /// Messages that were sent, were delivered, and failed, by the metrics.
    pub state_changes: [u64; 3],
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

impl BroadcastRun {
    fn sum_counts(&self, of: impl Fn(&BroadcastCounts) -> u64) -> u64 {
        self.broadcasts.iter().map(|counted| of(&counted.counts)).sum()
    }
}

/// The block of counts and ratios.
#[derive(Serialize)]
struct RatioBlock {
    sent: u64,
    received: u64,
    opened: u64,
    received_ratio: Option<String>,
    opened_ratio: Option<String>,
}

impl RatioBlock {
    fn from_counts(tally: &BroadcastCounts) -> Self {
        Self {
            sent: tally.messages,
            received: tally.received,
            opened: tally.opened,
            received_ratio: tally.received_ratio(),
            opened_ratio: tally.opened_ratio(),
        }
    }
}

/// The whole text. Writing into a string cannot fail, so results of `write!` are dropped.
pub fn render_broadcast_result(
    audience: &BroadcastPlan,
    run: &BroadcastRun,
    report: &Report,
    faults: &[String],
) -> String {
    let mut text = String::new();
    for counted in &run.broadcasts {
        let block =
            serde_json::to_string_pretty(&RatioBlock::from_counts(&counted.counts)).unwrap_or_default();
        let GeneratedBroadcast { id, body } = &counted.broadcast;
        let _ = writeln!(text, "id: {id}\nbody: {body}\n{block}\n");
    }
    let what = format!("{} messages to {} users", run.accepted, audience.registered_users);
    let done = format_rate(&what, "published", run.accepted, run.elapsed.as_secs_f64());
    let _ = writeln!(text, "{done}");
    write_sums(&mut text, run, report);
    write_checks(&mut text, &broadcast_expectations(audience, run));
    write_verdict(&mut text, faults, run.interrupted);
    text
}

fn write_sums(text: &mut String, run: &BroadcastRun, report: &Report) {
    let [sent, received, lost] = run.state_changes;
    let rows = [
        report_count_row(report),
        (
            "metrics",
            [
                run.accepted,
                run.accepted.saturating_sub(sent),
                sent.saturating_sub(received + lost),
                received,
                lost,
            ],
        ),
        (
            "broadcasts",
            [
                run.sum_counts(|tally| tally.messages),
                run.sum_counts(|tally| tally.waiting),
                run.sum_counts(|tally| tally.unconfirmed),
                run.sum_counts(|tally| tally.received),
                run.sum_counts(|tally| tally.failed),
            ],
        ),
    ];
    super::table::write_counts(text, &rows);
}

/// Every figure that theory speaks of.
pub fn broadcast_expectations(audience: &BroadcastPlan, run: &BroadcastRun) -> [Expectation; 2] {
    let (sent, received) = (
        run.sum_counts(|tally| tally.messages),
        run.sum_counts(|tally| tally.received),
    );
    let ReceiptRatios {
        loss_ratio: lost,
        open_ratio: opened,
    } = audience.receipts;
    [
        share_expectation("received messages", received, sent, 1.0 - lost),
        share_expectation(
            "opened messages",
            run.sum_counts(|tally| tally.opened),
            received,
            opened,
        ),
    ]
    .map(|check| check.skip_if_interrupted(run.interrupted))
}

/// So many of a whole, when luck decides of each by itself.
fn share_expectation(what: &'static str, found: u64, whole: u64, rate: f64) -> Expectation {
    let expected = to_f64(whole) * rate;
    let spread = count_tolerance(expected * (1.0 - rate));
    Expectation {
        name: what,
        unit: "",
        actual: to_f64(found),
        expected: Some(expected),
        range: (
            (expected - spread).max(0.0),
            (expected + spread).min(to_f64(whole)),
        ),
    }
}

/// What was found wrong, in words: figures outside their limits, and numbers that do not add up.
pub fn find_broadcast_faults(
    audience: &BroadcastPlan,
    run: &BroadcastRun,
    report: &Report,
    waiting: u64,
) -> Vec<String> {
    let totals = &report.totals;
    let [sent, received, lost] = run.state_changes;
    let mut pairs = vec![
        ("accepted, by metrics and report", run.accepted, report.messages),
        ("accepted and the sum of states", report.messages, totals.sum()),
        (
            "accepted, by metrics and broadcasts",
            run.accepted,
            run.sum_counts(|tally| tally.messages),
        ),
        (
            "sent, by metrics and report",
            sent,
            totals.sent + totals.delivered + totals.failed_sum(),
        ),
        ("received, by metrics and report", received, totals.delivered),
        (
            "received, by report and broadcasts",
            totals.delivered,
            run.sum_counts(|tally| tally.received),
        ),
        ("lost, by metrics and report", lost, totals.failed_sum()),
        (
            "lost, by report and broadcasts",
            totals.failed_sum(),
            run.sum_counts(|tally| tally.failed),
        ),
        (
            "opened, by report and broadcasts",
            totals.opened,
            run.sum_counts(|tally| tally.opened),
        ),
        ("waiting, by store and report", waiting, totals.waiting),
        (
            "waiting, by report and broadcasts",
            totals.waiting,
            run.sum_counts(|tally| tally.waiting),
        ),
    ];
    let users = u64::from(audience.users);
    if !run.interrupted {
        pairs.extend([
            ("users who registered", audience.registered_users, users),
            (
                "messages, one for each user",
                run.accepted,
                users * u64::from(audience.broadcasts),
            ),
            (
                "messages of which nobody knows whether they arrived",
                totals.sent,
                0,
            ),
        ]);
    }
    let unequal = pairs.into_iter().filter(|(_, one, other)| one != other);
    let mut faults: Vec<String> = unequal
        .map(|(what, one, other)| format!("{what}: {one} is not {other}"))
        .collect();
    if !run.interrupted {
        let outside = broadcast_expectations(audience, run)
            .into_iter()
            .filter(|check| !check.is_met());
        faults.extend(outside.map(|check| check.name.to_owned()));
    }
    faults
}

#[cfg(test)]
mod tests;
