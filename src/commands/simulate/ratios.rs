//! What came of messages that were published to users: the counts and ratios of each, and what theory expects of all.
//!
//! Pure. Limits are four standard deviations, as in an alert.

use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::table::{of_report, write_checks, write_verdict};
use super::theory::{Check, luck};
use crate::commands::{rate_words, real};
use crate::config::simulation::Receipts;
use crate::domain::broadcast::Tally;
use crate::domain::report::Report;
use crate::flow::crowd::Notice;

/// To whom, and what is to become of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Audience {
    /// Users who are to register.
    pub users: u32,
    /// Messages to be published to all of them.
    pub published: u32,
    /// What becomes of what was sent.
    pub receipts: Receipts,
    /// Users who have registered.
    pub registered: u64,
}

/// A message and what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// The message.
    pub notice: Notice,
    /// What became of it.
    pub tally: Tally,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Notices {
    /// How long it took.
    pub took: Duration,
    /// The messages, in the order in which they were published.
    pub notices: Vec<Counted>,
    /// Messages taken in, by the metrics.
    pub accepted: u64,
    /// Messages that were sent, were delivered, and failed, by the metrics.
    pub moved: [u64; 3],
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

impl Notices {
    fn sum(&self, of: impl Fn(&Tally) -> u64) -> u64 {
        self.notices.iter().map(|counted| of(&counted.tally)).sum()
    }
}

/// The block of counts and ratios.
#[derive(Serialize)]
struct Block {
    sent: u64,
    received: u64,
    opened: u64,
    received_ratio: Option<String>,
    opened_ratio: Option<String>,
}

impl Block {
    fn of(tally: &Tally) -> Self {
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
pub fn text(audience: &Audience, run: &Notices, report: &Report, faults: &[String]) -> String {
    let mut text = String::new();
    for counted in &run.notices {
        let block = serde_json::to_string_pretty(&Block::of(&counted.tally)).unwrap_or_default();
        let Notice { id, body } = &counted.notice;
        let _ = writeln!(text, "id: {id}\nbody: {body}\n{block}\n");
    }
    let what = format!("{} messages to {} users", run.accepted, audience.registered);
    let done = rate_words(&what, "published", run.accepted, run.took.as_secs_f64());
    let _ = writeln!(text, "{done}");
    write_sums(&mut text, run, report);
    write_checks(&mut text, &checks(audience, run));
    write_verdict(&mut text, faults, run.interrupted);
    text
}

fn write_sums(text: &mut String, run: &Notices, report: &Report) {
    let [sent, received, lost] = run.moved;
    let rows = [
        of_report(report),
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
                run.sum(|tally| tally.messages),
                run.sum(|tally| tally.waiting),
                run.sum(|tally| tally.unconfirmed),
                run.sum(|tally| tally.received),
                run.sum(|tally| tally.failed),
            ],
        ),
    ];
    super::table::write_sums(text, &rows);
}

/// Every figure that theory speaks of.
pub fn checks(audience: &Audience, run: &Notices) -> [Check; 2] {
    let (sent, received) = (run.sum(|tally| tally.messages), run.sum(|tally| tally.received));
    let Receipts { lost, opened } = audience.receipts;
    [
        share("received messages", received, sent, 1.0 - lost),
        share("opened messages", run.sum(|tally| tally.opened), received, opened),
    ]
    .map(|check| check.unless(run.interrupted))
}

/// So many of a whole, when luck decides of each by itself.
fn share(what: &'static str, found: u64, whole: u64, rate: f64) -> Check {
    let expected = real(whole) * rate;
    let spread = luck(expected * (1.0 - rate));
    Check {
        what,
        unit: "",
        found: real(found),
        expected: Some(expected),
        limits: ((expected - spread).max(0.0), (expected + spread).min(real(whole))),
    }
}

/// What was found wrong, in words: figures outside their limits, and numbers that do not add up.
pub fn faults(audience: &Audience, run: &Notices, report: &Report, waiting: u64) -> Vec<String> {
    let totals = &report.totals;
    let [sent, received, lost] = run.moved;
    let mut pairs = vec![
        ("accepted, by metrics and report", run.accepted, report.messages),
        ("accepted and the sum of states", report.messages, totals.sum()),
        (
            "accepted, by metrics and broadcasts",
            run.accepted,
            run.sum(|tally| tally.messages),
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
            run.sum(|tally| tally.received),
        ),
        ("lost, by metrics and report", lost, totals.failed_sum()),
        (
            "lost, by report and broadcasts",
            totals.failed_sum(),
            run.sum(|tally| tally.failed),
        ),
        (
            "opened, by report and broadcasts",
            totals.opened,
            run.sum(|tally| tally.opened),
        ),
        ("waiting, by store and report", waiting, totals.waiting),
        (
            "waiting, by report and broadcasts",
            totals.waiting,
            run.sum(|tally| tally.waiting),
        ),
    ];
    let users = u64::from(audience.users);
    if !run.interrupted {
        pairs.extend([
            ("users who registered", audience.registered, users),
            (
                "messages, one for each user",
                run.accepted,
                users * u64::from(audience.published),
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
        let outside = checks(audience, run).into_iter().filter(|check| !check.is_good());
        faults.extend(outside.map(|check| check.what.to_owned()));
    }
    faults
}

#[cfg(test)]
mod tests;
