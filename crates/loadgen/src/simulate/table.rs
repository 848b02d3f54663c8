//! The text at the end of a simulation: counts by source, the senders, and measured values beside expected values.
//!
//! This module only formats; `theory` and `broadcast_result` find the faults. Writing into a string cannot fail, so
//! results of `write!` are dropped.

use std::fmt::Write;

use super::options::SimulateOptions;
use super::theory::{Expectation, SimulationRun, expectations, mean_seconds};
use crate::rate::format_rate;
use postrider_core::{duration::format_duration, report::Report};

/// Returns the text of a run with single messages.
pub fn render_result(
    simulate_options: &SimulateOptions,
    run: &SimulationRun,
    report: &Report,
    faults: &[String],
) -> String {
    let finished = run.sent + run.failed;
    let counted_items = format!("{finished} messages");
    let rate = format_rate("finished", &counted_items, finished, run.elapsed.as_secs_f64());
    let mut result_table = format!("{rate}\n");
    let waiting = run.accepted.saturating_sub(finished);
    let metrics = [run.accepted, waiting, run.sent, 0, run.failed];
    write_counts(&mut result_table, &[report_count_row(report), ("metrics", metrics)]);
    write_senders(&mut result_table, simulate_options, run);
    write_expectations(&mut result_table, &expectations(simulate_options, run));
    write_conclusion(&mut result_table, faults, run.is_interrupted);
    result_table
}

/// A source and its counts: accepted, waiting, sent, delivered, failed.
pub type CountRow = (&'static str, [u64; 5]);

/// Returns the counts of the report.
pub fn report_count_row(report: &Report) -> CountRow {
    let totals = &report.totals;
    let (sent, delivered, failed) = (totals.sent, totals.delivered, totals.failed_sum());
    ("report", [report.messages, totals.waiting, sent, delivered, failed])
}

/// Writes one line for each source.
pub fn write_counts(result_table: &mut String, rows: &[CountRow]) {
    let _ = writeln!(
        result_table,
        "\n{:<10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "source", "accepted", "waiting", "sent", "delivered", "failed"
    );
    for (source, [accepted, waiting, sent, delivered, failed]) in rows {
        let _ = writeln!(
            result_table,
            "{source:<10} {accepted:>10} {waiting:>10} {sent:>10} {delivered:>10} {failed:>10}"
        );
    }
}

fn write_senders(result_table: &mut String, options: &SimulateOptions, run: &SimulationRun) {
    let _ = writeln!(
        result_table,
        "\n{:<12} {:>8} {:>8} {:>10} {:>10} {:>12}",
        "sender", "mean", "failure", "calls", "failed", "average"
    );
    for (index, (sender, stats)) in options.senders.iter().zip(&run.senders).enumerate() {
        let average = mean_seconds(std::slice::from_ref(stats));
        let average = average.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.4} s"));
        let sender_name = format!("sender-{}", index + 1);
        let _ = writeln!(
            result_table,
            "{sender_name:<12} {:>8} {:>8} {:>10} {:>10} {average:>12}",
            format_duration(sender.mean_time),
            sender.failure_rate,
            stats.calls,
            stats.failed_calls
        );
    }
}

/// Writes one line for each measured value that has an expected one.
pub fn write_expectations(result_table: &mut String, expectations: &[Expectation]) {
    let _ = writeln!(result_table, "\n{:<24} {:>12} {:>12}  range", "check", "actual", "expected");
    for expectation in expectations {
        write_expectation(result_table, expectation);
    }
    result_table.push('\n');
}

fn write_expectation(text: &mut String, expectation: &Expectation) {
    let format_value = |value: f64| match expectation.unit {
        "" => format!("{value:.0}"),
        unit => format!("{value:.4} {unit}"),
    };
    let expected = expectation.expected.map_or_else(|| "-".to_owned(), format_value);
    let range = expectation
        .range
        .map_or_else(String::new, |(min, max)| format!("{} to {}", format_value(min), format_value(max)));
    let mark = if expectation.is_met() { "" } else { "  OUTSIDE" };
    let line = format!(
        "{:<24} {:>12} {expected:>12}  {range}{mark}",
        expectation.name,
        format_value(expectation.actual)
    );
    let _ = writeln!(text, "{}", line.trim_end());
}

/// Writes the faults, or that the result is as expected; for an interrupted run, that it is incomplete.
pub fn write_conclusion(result_table: &mut String, faults: &[String], is_interrupted: bool) {
    for fault in faults {
        let _ = writeln!(result_table, "mismatch: {fault}");
    }
    if is_interrupted {
        result_table.push_str("interrupted: unfinished messages were left waiting\n");
    } else if faults.is_empty() {
        result_table.push_str("result: as expected\n");
    }
}
