//! What theory expects of senders whose calls take exponentially spread times and fail by chance, and whether a run came
//! close enough.
//!
//! Pure. Limits are four standard deviations, which one run in some ten thousand exceeds by luck, and for times what a
//! machine adds.

use std::time::Duration;

use crate::commands::to_f64;
use postrider_core::report::Report;
use postrider_engine::config::mock_sender::MockSender;

/// Standard deviations that luck is granted.
const STANDARD_DEVIATIONS_MAX: f64 = 4.0;

/// A variance below this is no luck: what is that rare happens to one run in some ten thousand.
const VARIANCE_NEGLIGIBLE: f64 = 1e-4;

/// How much further up the longest sums of exponentially spread times lie than four deviations, in means, however many
/// are summed: (16 - 1) / 6 of their skewness, by Cornish and Fisher.
const SKEWNESS_MARGIN_MEANS: f64 = 5.0;

/// What a machine adds to a call, in seconds: timers are no finer than a millisecond, and somebody has to look.
const CALL_OVERHEAD_SECONDS: f64 = 0.003;

/// What a machine adds to a run, in seconds: the start, the first message, and the last one.
const RUN_OVERHEAD_SECONDS: f64 = 2.0;

/// What a machine adds to a run, as a share of it.
const RUN_OVERHEAD_RATIO: f64 = 0.1;

/// Messages that a sender has in hand at once that takes no time, where nobody says.
const INSTANT_SENDER_CONCURRENCY: u32 = 1_024;

/// What is to be played.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulationPlan {
    /// Messages.
    pub messages: u32,
    /// Who sends them.
    pub senders: Vec<MockSender>,
    /// Messages that each of them has in hand at once, where that was said.
    pub concurrency: Option<u32>,
    /// Whether what fails is tried again.
    pub has_retries: bool,
    /// How often at most.
    pub tries_max: u32,
}

impl SimulationPlan {
    /// Messages that a sender has in hand at once.
    pub fn concurrency_of(&self, sender: MockSender) -> u32 {
        let usual = if sender.mean_time.is_zero() {
            INSTANT_SENDER_CONCURRENCY
        } else {
            1
        };
        self.concurrency.unwrap_or(usual)
    }
}

/// What one sender did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SenderStats {
    /// Calls.
    pub calls: u64,
    /// Of these, failed.
    pub failed_calls: u64,
    /// How long they took together.
    pub seconds: f64,
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulationRun {
    /// How long it took.
    pub elapsed: Duration,
    /// What each sender did, in the order of the plan.
    pub senders: Vec<SenderStats>,
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
pub struct Expectation {
    /// What it is.
    pub name: &'static str,
    /// Its unit, or nothing.
    pub unit: &'static str,
    /// As it was.
    pub actual: f64,
    /// As theory has it; none where it says nothing.
    pub expected: Option<f64>,
    /// From where to where it may lie.
    pub range: (f64, f64),
}

impl Expectation {
    /// Itself, unless the run was interrupted: theory speaks of whole runs, and what has ended early was short.
    pub fn skip_if_interrupted(self, interrupted: bool) -> Self {
        let expected = self.expected.filter(|_| !interrupted);
        Self { expected, ..self }
    }

    /// Whether it lies where it may.
    pub fn is_met(&self) -> bool {
        // A sum of many binary fractions may miss a limit that it meets on paper.
        let (least, most) = self.range;
        self.expected.is_none() || (least - 1e-9..=most + 1e-9).contains(&self.actual)
    }
}

/// How long a call took on average; none before the first.
pub fn mean_seconds(senders: &[SenderStats]) -> Option<f64> {
    let calls: u64 = senders.iter().map(|tally| tally.calls).sum();
    let seconds: f64 = senders.iter().map(|tally| tally.seconds).sum();
    (calls > 0).then(|| seconds / to_f64(calls))
}

/// Every figure that theory speaks of.
pub fn expectations(plan: &SimulationPlan, run: &SimulationRun) -> [Expectation; 4] {
    [
        expect_failed_calls,
        expect_failed_messages,
        expect_mean_call_time,
        expect_total_time,
    ]
    .map(|check| check(plan, run).skip_if_interrupted(run.interrupted))
}

/// What was found wrong, in words: figures outside their limits, and numbers that do not add up.
pub fn find_faults(plan: &SimulationPlan, run: &SimulationRun, report: &Report, waiting: u64) -> Vec<String> {
    let mut faults = find_count_mismatches(run, report, waiting);
    if !run.interrupted {
        if run.accepted != u64::from(plan.messages) {
            faults.push(format!(
                "{} of {} messages were taken in",
                run.accepted, plan.messages
            ));
        }
        let outside = expectations(plan, run)
            .into_iter()
            .filter(|check| !check.is_met());
        faults.extend(outside.map(|check| check.name.to_owned()));
    }
    faults
}

/// Accepted is waiting, sent, delivered and failed together, whoever counts.
fn find_count_mismatches(run: &SimulationRun, report: &Report, waiting: u64) -> Vec<String> {
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
fn expect_failed_calls(plan: &SimulationPlan, run: &SimulationRun) -> Expectation {
    let found = to_f64(run.senders.iter().map(|tally| tally.failed_calls).sum());
    Expectation {
        name: "failed calls",
        unit: "",
        actual: found,
        ..binomial_expectation(plan, run)
    }
}

/// How far a count may lie from what is expected. Four deviations are too few where hardly one is: a call in twenty fails,
/// and the only call of a run is it.
pub fn count_tolerance(variance: f64) -> f64 {
    let least = if variance < VARIANCE_NEGLIGIBLE { 0.0 } else { 1.0 };
    STANDARD_DEVIATIONS_MAX * variance.max(least).sqrt()
}

fn binomial_expectation(plan: &SimulationPlan, run: &SimulationRun) -> Expectation {
    let both = || plan.senders.iter().zip(&run.senders);
    let expected: f64 = both()
        .map(|(sender, tally)| to_f64(tally.calls) * sender.failure_rate)
        .sum();
    let variance: f64 = both()
        .map(|(sender, tally)| to_f64(tally.calls) * sender.failure_rate * (1.0 - sender.failure_rate))
        .sum();
    let spread = count_tolerance(variance);
    let calls = to_f64(run.senders.iter().map(|tally| tally.calls).sum());
    Expectation {
        name: "",
        unit: "",
        actual: 0.0,
        expected: Some(expected),
        range: ((expected - spread).max(0.0), (expected + spread).min(calls)),
    }
}

/// Without a second try a message fails with its call. With some, it fails when all of them do: no more often than if the
/// worst sender, and no less often than if the best had made them all.
fn expect_failed_messages(plan: &SimulationPlan, run: &SimulationRun) -> Expectation {
    let found = to_f64(run.failed);
    if !plan.has_retries {
        return Expectation {
            name: "failed messages",
            actual: found,
            ..binomial_expectation(plan, run)
        };
    }
    let rates = || plan.senders.iter().map(|sender| sender.failure_rate);
    let all = |rate: f64| rate.powi(i32::try_from(plan.tries_max).unwrap_or(i32::MAX));
    let (best, worst) = (all(rates().fold(1.0, f64::min)), all(rates().fold(0.0, f64::max)));
    let messages = to_f64(run.accepted);
    let spread = |share: f64| count_tolerance(messages * share * (1.0 - share));
    Expectation {
        name: "failed messages",
        unit: "",
        actual: found,
        expected: Some(messages * (best + worst) / 2.0),
        range: (
            (messages * best - spread(best)).max(0.0),
            (messages * worst + spread(worst)).min(messages),
        ),
    }
}

/// The deviation of an exponentially spread time is its mean.
fn expect_mean_call_time(plan: &SimulationPlan, run: &SimulationRun) -> Expectation {
    let calls = to_f64(run.senders.iter().map(|tally| tally.calls).sum());
    let both = || plan.senders.iter().zip(&run.senders);
    let means = || both().map(|(sender, tally)| (sender.mean_time.as_secs_f64(), to_f64(tally.calls)));
    let expected = means().map(|(mean, calls)| mean * calls).sum::<f64>() / calls;
    let moment = |power: i32| {
        let sums = means().map(|(mean, calls)| mean.powi(power) * calls);
        sums.sum::<f64>()
    };
    let spread = STANDARD_DEVIATIONS_MAX * moment(2).sqrt() / calls;
    let longer = match moment(2) {
        0.0 => 0.0,
        variance => SKEWNESS_MARGIN_MEANS * moment(3) / variance / calls,
    };
    Expectation {
        name: "average time of a call",
        unit: "s",
        actual: mean_seconds(&run.senders).unwrap_or(0.0),
        expected: (calls > 0.0).then_some(expected),
        range: (
            (expected - spread).max(0.0),
            expected + spread + longer + CALL_OVERHEAD_SECONDS,
        ),
    }
}

/// All senders work until nothing is left: the calls, divided by what all of them do in a second.
fn expect_total_time(plan: &SimulationPlan, run: &SimulationRun) -> Expectation {
    let calls = to_f64(run.senders.iter().map(|tally| tally.calls).sum());
    let places = |sender: &MockSender| f64::from(plan.concurrency_of(*sender));
    let all_places: f64 = plan.senders.iter().map(places).sum();
    let speeds = plan
        .senders
        .iter()
        .map(|sender| places(sender) / sender.mean_time.as_secs_f64());
    let speed: f64 = speeds.sum();
    let expected = calls / speed;
    let means = plan.senders.iter().map(|sender| sender.mean_time.as_secs_f64());
    let slowest = means.fold(0.0, f64::max);
    let spread = STANDARD_DEVIATIONS_MAX * slowest * calls.sqrt() / all_places;
    // At the end the others wait for the last one, which has some of its time ahead of it and, by luck, a long one.
    let last = slowest * (STANDARD_DEVIATIONS_MAX + all_places.ln());
    let most = if plan.has_retries {
        f64::INFINITY
    } else {
        (expected + spread + last) * (1.0 + RUN_OVERHEAD_RATIO) + RUN_OVERHEAD_SECONDS
    };
    let speaks = calls > 0.0 && speed.is_finite();
    Expectation {
        name: "time",
        unit: "s",
        actual: run.elapsed.as_secs_f64(),
        expected: speaks.then_some(expected),
        range: ((expected - spread).max(0.0), most),
    }
}

#[cfg(test)]
mod tests;
