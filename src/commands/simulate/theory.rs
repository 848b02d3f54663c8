//! What theory expects of senders whose calls take exponentially spread times and fail by chance, and whether a run came
//! close enough.
//!
//! Pure. Limits are four standard deviations, which one run in some ten thousand exceeds by luck, and for times what a
//! machine adds.

use std::time::Duration;

use crate::commands::real;
use crate::config::simulation::Sender;
use crate::domain::report::Report;

/// Standard deviations that luck is granted.
const DEVIATIONS: f64 = 4.0;

/// A variance below this is no luck: what is that rare happens to one run in some ten thousand.
const NO_LUCK: f64 = 1e-4;

/// How much further up the longest sums of exponentially spread times lie than four deviations, in means, however many
/// are summed: (16 - 1) / 6 of their skewness, by Cornish and Fisher.
const LONGER: f64 = 5.0;

/// What a machine adds to a call, in seconds: timers are no finer than a millisecond, and somebody has to look.
const CALL_SLACK: f64 = 0.003;

/// What a machine adds to a run, in seconds: the start, the first message, and the last one.
const RUN_SLACK: f64 = 2.0;

/// What a machine adds to a run, as a share of it.
const RUN_SLACK_SHARE: f64 = 0.1;

/// Messages that a sender has in hand at once that takes no time, where nobody says.
const AT_ONCE: u32 = 1_024;

/// What is to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Messages.
    pub messages: u32,
    /// Who sends them.
    pub senders: Vec<Sender>,
    /// Messages that each of them has in hand at once, where that was said.
    pub places: Option<u32>,
    /// Whether what fails is tried again.
    pub retry: bool,
    /// How often at most.
    pub tries_max: u32,
}

impl Plan {
    /// Messages that a sender has in hand at once.
    pub fn places_of(&self, sender: Sender) -> u32 {
        let usual = if sender.mean_time.is_zero() { AT_ONCE } else { 1 };
        self.places.unwrap_or(usual)
    }
}

/// What one sender did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Calls.
    pub calls: u64,
    /// Of these, failed.
    pub faults: u64,
    /// How long they took together.
    pub seconds: f64,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run {
    /// How long it took.
    pub took: Duration,
    /// What each sender did, in the order of the plan.
    pub senders: Vec<Tally>,
    /// Messages taken in, by the metrics.
    pub accepted: u64,
    /// Messages sent, by the metrics.
    pub sent: u64,
    /// Messages failed for good, by the metrics.
    pub failed: u64,
    /// Whether somebody ended it early.
    pub interrupted: bool,
}

/// A figure beside what is expected of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What it is.
    pub what: &'static str,
    /// Its unit, or nothing.
    pub unit: &'static str,
    /// As it was.
    pub found: f64,
    /// As theory has it; none where it says nothing.
    pub expected: Option<f64>,
    /// From where to where it may lie.
    pub limits: (f64, f64),
}

impl Check {
    /// Itself, unless the run was interrupted: theory speaks of whole runs, and what has ended early was short.
    pub fn unless(self, interrupted: bool) -> Self {
        let expected = self.expected.filter(|_| !interrupted);
        Self { expected, ..self }
    }

    /// Whether it lies where it may.
    pub fn is_good(&self) -> bool {
        // A sum of many binary fractions may miss a limit that it meets on paper.
        let (least, most) = self.limits;
        self.expected.is_none() || (least - 1e-9..=most + 1e-9).contains(&self.found)
    }
}

/// How long a call took on average; none before the first.
pub fn mean_seconds(senders: &[Tally]) -> Option<f64> {
    let calls: u64 = senders.iter().map(|tally| tally.calls).sum();
    let seconds: f64 = senders.iter().map(|tally| tally.seconds).sum();
    (calls > 0).then(|| seconds / real(calls))
}

/// Every figure that theory speaks of.
pub fn checks(plan: &Plan, run: &Run) -> [Check; 4] {
    [faulty_calls, failed, mean, time].map(|check| check(plan, run).unless(run.interrupted))
}

/// What was found wrong, in words: figures outside their limits, and numbers that do not add up.
pub fn faults(plan: &Plan, run: &Run, report: &Report, waiting: u64) -> Vec<String> {
    let mut faults = sums(run, report, waiting);
    if !run.interrupted {
        if run.accepted != u64::from(plan.messages) {
            faults.push(format!(
                "{} of {} messages were taken in",
                run.accepted, plan.messages
            ));
        }
        let outside = checks(plan, run).into_iter().filter(|check| !check.is_good());
        faults.extend(outside.map(|check| check.what.to_owned()));
    }
    faults
}

/// Accepted is waiting, sent, delivered and failed together, whoever counts.
fn sums(run: &Run, report: &Report, waiting: u64) -> Vec<String> {
    let totals = &report.totals;
    let pairs = [
        ("accepted, by metrics and report", run.accepted, report.messages),
        ("accepted and the sum of states", report.messages, totals.sum()),
        (
            "sent, by metrics and report",
            run.sent,
            totals.sent + totals.delivered,
        ),
        ("failed, by metrics and report", run.failed, totals.failed_sum()),
        ("waiting, by store and report", waiting, totals.waiting),
    ];
    let unequal = pairs.into_iter().filter(|(_, one, other)| one != other);
    unequal
        .map(|(what, one, other)| format!("{what}: {one} is not {other}"))
        .collect()
}

/// Each call fails by itself, whoever made it.
fn faulty_calls(plan: &Plan, run: &Run) -> Check {
    let found = real(run.senders.iter().map(|tally| tally.faults).sum());
    Check {
        what: "failed calls",
        unit: "",
        found,
        ..binomial(plan, run)
    }
}

/// How far a count may lie from what is expected. Four deviations are too few where hardly one is: a call in twenty fails,
/// and the only call of a run is it.
pub fn luck(variance: f64) -> f64 {
    let least = if variance < NO_LUCK { 0.0 } else { 1.0 };
    DEVIATIONS * variance.max(least).sqrt()
}

fn binomial(plan: &Plan, run: &Run) -> Check {
    let both = || plan.senders.iter().zip(&run.senders);
    let expected: f64 = both()
        .map(|(sender, tally)| real(tally.calls) * sender.failure_rate)
        .sum();
    let variance: f64 = both()
        .map(|(sender, tally)| real(tally.calls) * sender.failure_rate * (1.0 - sender.failure_rate))
        .sum();
    let spread = luck(variance);
    let calls = real(run.senders.iter().map(|tally| tally.calls).sum());
    Check {
        what: "",
        unit: "",
        found: 0.0,
        expected: Some(expected),
        limits: ((expected - spread).max(0.0), (expected + spread).min(calls)),
    }
}

/// Without a second try a message fails with its call. With some, it fails when all of them do: no more often than if the
/// worst sender, and no less often than if the best had made them all.
fn failed(plan: &Plan, run: &Run) -> Check {
    let found = real(run.failed);
    if !plan.retry {
        return Check {
            what: "failed messages",
            found,
            ..binomial(plan, run)
        };
    }
    let rates = || plan.senders.iter().map(|sender| sender.failure_rate);
    let all = |rate: f64| rate.powi(i32::try_from(plan.tries_max).unwrap_or(i32::MAX));
    let (best, worst) = (all(rates().fold(1.0, f64::min)), all(rates().fold(0.0, f64::max)));
    let messages = real(run.accepted);
    let spread = |share: f64| luck(messages * share * (1.0 - share));
    Check {
        what: "failed messages",
        unit: "",
        found,
        expected: Some(messages * (best + worst) / 2.0),
        limits: (
            (messages * best - spread(best)).max(0.0),
            (messages * worst + spread(worst)).min(messages),
        ),
    }
}

/// The deviation of an exponentially spread time is its mean.
fn mean(plan: &Plan, run: &Run) -> Check {
    let calls = real(run.senders.iter().map(|tally| tally.calls).sum());
    let both = || plan.senders.iter().zip(&run.senders);
    let means = || both().map(|(sender, tally)| (sender.mean_time.as_secs_f64(), real(tally.calls)));
    let expected = means().map(|(mean, calls)| mean * calls).sum::<f64>() / calls;
    let moment = |power: i32| {
        let sums = means().map(|(mean, calls)| mean.powi(power) * calls);
        sums.sum::<f64>()
    };
    let spread = DEVIATIONS * moment(2).sqrt() / calls;
    let longer = match moment(2) {
        0.0 => 0.0,
        variance => LONGER * moment(3) / variance / calls,
    };
    Check {
        what: "average time of a call",
        unit: "s",
        found: mean_seconds(&run.senders).unwrap_or(0.0),
        expected: (calls > 0.0).then_some(expected),
        limits: (
            (expected - spread).max(0.0),
            expected + spread + longer + CALL_SLACK,
        ),
    }
}

/// All senders work until nothing is left: the calls, divided by what all of them do in a second.
fn time(plan: &Plan, run: &Run) -> Check {
    let calls = real(run.senders.iter().map(|tally| tally.calls).sum());
    let places = |sender: &Sender| f64::from(plan.places_of(*sender));
    let all_places: f64 = plan.senders.iter().map(places).sum();
    let speeds = plan
        .senders
        .iter()
        .map(|sender| places(sender) / sender.mean_time.as_secs_f64());
    let speed: f64 = speeds.sum();
    let expected = calls / speed;
    let means = plan.senders.iter().map(|sender| sender.mean_time.as_secs_f64());
    let slowest = means.fold(0.0, f64::max);
    let spread = DEVIATIONS * slowest * calls.sqrt() / all_places;
    // At the end the others wait for the last one, which has some of its time ahead of it and, by luck, a long one.
    let last = slowest * (DEVIATIONS + all_places.ln());
    let most = if plan.retry {
        f64::INFINITY
    } else {
        (expected + spread + last) * (1.0 + RUN_SLACK_SHARE) + RUN_SLACK
    };
    let speaks = calls > 0.0 && speed.is_finite();
    Check {
        what: "time",
        unit: "s",
        found: run.took.as_secs_f64(),
        expected: speaks.then_some(expected),
        limits: ((expected - spread).max(0.0), most),
    }
}

#[cfg(test)]
mod tests;
