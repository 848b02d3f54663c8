//! The table at the end of a simulation: what was counted, by whom, and what theory expects.
//!
//! Words only; what is right and wrong is `theory`'s.

use std::fmt::Write;

use super::super::{format_rate, to_f64};
use super::theory::{Expectation, SimulationPlan, SimulationRun, expectations};
use postrider_core::duration::format_duration;
use postrider_core::report::Report;

/// The whole text. Writing into a string cannot fail, so results of `write!` are dropped.
pub fn render_result(
    plan: &SimulationPlan,
    run: &SimulationRun,
    report: &Report,
    faults: &[String],
) -> String {
    let mut text = String::new();
    let ended = run.sent + run.failed;
    let _ = writeln!(
        text,
        "{}",
        format_rate(
            &format!("{ended} messages"),
            "ended",
            ended,
            run.elapsed.as_secs_f64()
        )
    );
    write_counts(&mut text, &count_rows(run, report));
    write_senders(&mut text, plan, run);
    write_checks(&mut text, &expectations(plan, run));
    write_verdict(&mut text, faults, run.interrupted);
    text
}

/// Who counts, and what: accepted, waiting, sent, delivered, failed.
pub type CountRow = (&'static str, [u64; 5]);

/// What the report says.
pub fn report_count_row(report: &Report) -> CountRow {
    let totals = &report.totals;
    let (sent, delivered, failed) = (totals.sent, totals.delivered, totals.failed_sum());
    (
        "report",
        [report.messages, totals.waiting, sent, delivered, failed],
    )
}

fn count_rows(run: &SimulationRun, report: &Report) -> [CountRow; 2] {
    let waiting = run.accepted.saturating_sub(run.sent + run.failed);
    [
        report_count_row(report),
        ("metrics", [run.accepted, waiting, run.sent, 0, run.failed]),
    ]
}

/// A line for each who counts.
pub fn write_counts(text: &mut String, rows: &[CountRow]) {
    let _ = writeln!(
        text,
        "\n{:<10} {:>10} {:>10} {:>10} {:>10} {:>10}",
        "counted by", "accepted", "waiting", "sent", "delivered", "failed"
    );
    for (who, [accepted, waiting, sent, delivered, failed]) in rows {
        let _ = writeln!(
            text,
            "{who:<10} {accepted:>10} {waiting:>10} {sent:>10} {delivered:>10} {failed:>10}"
        );
    }
}

fn write_senders(text: &mut String, plan: &SimulationPlan, run: &SimulationRun) {
    let _ = writeln!(
        text,
        "\n{:<12} {:>8} {:>8} {:>10} {:>10} {:>12}",
        "sender", "mean", "failure", "calls", "failed", "average"
    );
    for (index, (sender, tally)) in plan.senders.iter().zip(&run.senders).enumerate() {
        let average = if tally.calls == 0 {
            "-".to_owned()
        } else {
            format!("{:.4} s", tally.seconds / to_f64(tally.calls))
        };
        let name = format!("sender-{}", index + 1);
        let _ = writeln!(
            text,
            "{name:<12} {:>8} {:>8} {:>10} {:>10} {average:>12}",
            format_duration(sender.mean_time),
            sender.failure_rate,
            tally.calls,
            tally.failed_calls
        );
    }
}

/// Figures beside what theory expects of them.
pub fn write_checks(text: &mut String, checks: &[Expectation]) {
    let _ = writeln!(
        text,
        "\n{:<24} {:>12} {:>12}  {:<28}",
        "theory", "found", "expected", "within"
    );
    for check in checks {
        write_check(text, check);
    }
    text.push('\n');
}

fn write_check(text: &mut String, check: &Expectation) {
    let figure = |value: f64| match check.unit {
        "" => format!("{value:.0}"),
        unit => format!("{value:.4} {unit}"),
    };
    let (least, most) = check.range;
    let expected = check.expected.map_or_else(|| "-".to_owned(), figure);
    let within = match check.expected {
        None => String::new(),
        Some(_) if most.is_finite() => format!("{} to {}", figure(least), figure(most)),
        Some(_) => format!("{} or more", figure(least)),
    };
    let verdict = if check.is_met() { "" } else { "  OUTSIDE" };
    let line = format!(
        "{:<24} {:>12} {expected:>12}  {within}{verdict}",
        check.name,
        figure(check.actual)
    );
    let _ = writeln!(text, "{}", line.trim_end());
}

/// What is wrong, or that nothing is. Of an interrupted run nobody can say that.
pub fn write_verdict(text: &mut String, faults: &[String], interrupted: bool) {
    for fault in faults {
        let _ = writeln!(text, "wrong: {fault}");
    }
    if interrupted {
        text.push_str("interrupted: what has not ended was left as it is\n");
    } else if faults.is_empty() {
        text.push_str("all as expected\n");
    }
}
