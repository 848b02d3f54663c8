//! Expected values of a simulation with exponentially distributed call times and random failures, and their check.
//!
//! Counts must lie within four standard deviations. About one run in ten thousand exceeds this range by chance. Times
//! are shown beside their expected values but not checked, because the speed of the machine adds to them.

use std::time::Duration;

use super::options::SimulateOptions;
use crate::{mock_sender::MockSender, rate::to_f64};
use postrider_core::report::Report;

/// Width of the range, in standard deviations.
const STANDARD_DEVIATIONS_MAX: f64 = 4.0;

/// Variance below which a count must equal its expected value.
const VARIANCE_NEGLIGIBLE: f64 = 1e-4;

/// The calls of one sender.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SenderStats {
    pub calls: u64,
    pub failed_calls: u64,
    /// Total time of the calls, in seconds.
    pub seconds: f64,
}

/// Measured values of a run with single messages. The numbers of messages come from the metrics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SimulationRun {
    pub elapsed: Duration,
    /// Work of each sender, in the order of the options.
    pub senders: Vec<SenderStats>,
    /// Maximum number of tries of a message.
    pub tries_max: u32,
    pub accepted: u64,
    pub sent: u64,
    pub failed: u64,
    pub is_interrupted: bool,
}

impl SimulationRun {
    fn call_count(&self) -> u64 {
        self.senders.iter().map(|stats| stats.calls).sum()
    }
}

/// A measured value beside its expected value.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    pub name: &'static str,
    /// Unit of the value; empty for a count.
    pub unit: &'static str,
    pub actual: f64,
    /// Expected value; none when nothing is expected.
    pub expected: Option<f64>,
    /// Range that the measured value must lie in; none when the value is not checked.
    pub range: Option<(f64, f64)>,
}

impl Expectation {
    /// Returns the expected number of events in independent trials. `trials` are pairs: a number of trials and the
    /// probability of the event in each.
    pub fn binomial(name: &'static str, actual: u64, trials: impl IntoIterator<Item = (u64, f64)>) -> Self {
        let (mut trial_count, mut expected, mut variance) = (0.0, 0.0, 0.0);
        for (count, probability) in trials {
            trial_count += to_f64(count);
            expected += to_f64(count) * probability;
            variance += to_f64(count) * probability * (1.0 - probability);
        }
        // For a rare event, four standard deviations would be less than one event. The variance therefore counts as at
        // least 1.
        let variance_min = if variance < VARIANCE_NEGLIGIBLE { 0.0 } else { 1.0 };
        let spread = STANDARD_DEVIATIONS_MAX * variance.max(variance_min).sqrt();
        Self {
            name,
            unit: "",
            actual: to_f64(actual),
            expected: Some(expected),
            range: Some(((expected - spread).max(0.0), (expected + spread).min(trial_count))),
        }
    }

    /// Returns the expectation of a time in seconds, which is shown but not checked.
    fn time(name: &'static str, actual: f64, expected: f64) -> Self {
        Self { name, unit: "s", actual, expected: expected.is_finite().then_some(expected), range: None }
    }

    /// Removes the expected value and the range if the run was interrupted, because theory describes complete runs only.
    pub fn ignore_if_interrupted(mut self, is_interrupted: bool) -> Self {
        if is_interrupted {
            (self.expected, self.range) = (None, None);
        }
        self
    }

    /// Returns whether the measured value lies in its range.
    pub fn is_met(&self) -> bool {
        // A rounding error of a sum must not make a value at the limit fail.
        self.range.is_none_or(|(min, max)| (min - 1e-9..=max + 1e-9).contains(&self.actual))
    }
}

/// Returns the mean time of a call in seconds; none without calls.
pub fn mean_seconds(senders: &[SenderStats]) -> Option<f64> {
    let calls: u64 = senders.iter().map(|stats| stats.calls).sum();
    let seconds: f64 = senders.iter().map(|stats| stats.seconds).sum();
    (calls > 0).then(|| seconds / to_f64(calls))
}

/// Returns all values that theory predicts. Without retries a message fails with its call.
pub fn expectations(simulate_options: &SimulateOptions, run: &SimulationRun) -> Vec<Expectation> {
    let mut expectations = if simulate_options.has_retries {
        vec![expect_failed_calls(simulate_options, run), expect_exhausted(simulate_options, run)]
    } else {
        vec![Expectation {
            name: "failed messages",
            actual: to_f64(run.failed),
            ..expect_failed_calls(simulate_options, run)
        }]
    };
    expectations.push(expect_mean_call_time(simulate_options, run));
    expectations.push(expect_total_time(simulate_options, run));
    expectations
        .into_iter()
        .map(|expectation| expectation.ignore_if_interrupted(run.is_interrupted))
        .collect()
}

fn expect_failed_calls(options: &SimulateOptions, run: &SimulationRun) -> Expectation {
    let senders = options.senders.iter().zip(&run.senders);
    let trials = senders.map(|(sender, stats)| (stats.calls, sender.failure_rate));
    let failed_calls = run.senders.iter().map(|stats| stats.failed_calls).sum();
    Expectation::binomial("failed calls", failed_calls, trials)
}

/// Returns the expected number of failed messages with retries. A message fails if every try fails. The upper limit
/// assumes that the least reliable sender makes all tries.
fn expect_exhausted(options: &SimulateOptions, run: &SimulationRun) -> Expectation {
    let failure_rates = options.senders.iter().map(|sender| sender.failure_rate);
    let tries_max = i32::try_from(run.tries_max).unwrap_or(i32::MAX);
    let exhaustion_probability = failure_rates.fold(0.0, f64::max).powi(tries_max);
    let trials = [(run.accepted, exhaustion_probability)];
    let expectation = Expectation::binomial("failed messages", run.failed, trials);
    Expectation { range: expectation.range.map(|(_, max)| (0.0, max)), ..expectation }
}

fn expect_mean_call_time(options: &SimulateOptions, run: &SimulationRun) -> Expectation {
    let senders = options.senders.iter().zip(&run.senders);
    let expected_seconds: f64 =
        senders.map(|(sender, stats)| sender.mean_time.as_secs_f64() * to_f64(stats.calls)).sum();
    let actual = mean_seconds(&run.senders).unwrap_or(0.0);
    Expectation::time("mean call time", actual, expected_seconds / to_f64(run.call_count()))
}

/// Returns the expected time of the run. All senders work until no message is left: the time is the number of calls
/// divided by the calls per second of all senders.
fn expect_total_time(options: &SimulateOptions, run: &SimulationRun) -> Expectation {
    let call_rate =
        |sender: &MockSender| f64::from(options.concurrency_of(*sender)) / sender.mean_time.as_secs_f64();
    let expected = match run.call_count() {
        0 => f64::NAN,
        calls => to_f64(calls) / options.senders.iter().map(call_rate).sum::<f64>(),
    };
    Expectation::time("total time", run.elapsed.as_secs_f64(), expected)
}

/// Returns the faults of a run: values outside their range, and counts that disagree.
pub fn find_faults(
    simulate_options: &SimulateOptions,
    run: &SimulationRun,
    report: &Report,
    waiting: u64,
) -> Vec<String> {
    let totals = &report.totals;
    let mut faults = find_mismatches(&[
        ("accepted", ("metrics", run.accepted), ("report", report.messages)),
        ("accepted", ("report", report.messages), ("sum of states", totals.sum())),
        ("sent", ("metrics", run.sent), ("report", totals.sent + totals.delivered)),
        ("failed", ("metrics", run.failed), ("report", totals.failed_sum())),
        ("waiting", ("store", waiting), ("report", totals.waiting)),
    ]);
    if !run.is_interrupted {
        let expected = u64::from(simulate_options.messages);
        faults.extend(find_mismatches(&[("accepted", ("metrics", run.accepted), ("expected", expected))]));
        faults.extend(unmet_names(&expectations(simulate_options, run)));
    }
    faults
}

/// A count from a source.
pub type SourceCount = (&'static str, u64);

/// Returns a text for each count that two sources disagree on: `accepted: metrics 10, report 9`.
pub fn find_mismatches(pairs: &[(&str, SourceCount, SourceCount)]) -> Vec<String> {
    let unequal_pairs = pairs.iter().filter(|(_, (_, first), (_, second))| first != second);
    let describe =
        |(count_name, (first_source, first), (second_source, second)): &(&str, SourceCount, SourceCount)| {
            format!("{count_name}: {first_source} {first}, {second_source} {second}")
        };
    unequal_pairs.map(describe).collect()
}

/// Returns the names of the values outside their range.
pub fn unmet_names(expectations: &[Expectation]) -> impl Iterator<Item = String> + '_ {
    let unmet = expectations.iter().filter(|expectation| !expectation.is_met());
    unmet.map(|expectation| expectation.name.to_owned())
}

#[cfg(test)]
mod tests;
