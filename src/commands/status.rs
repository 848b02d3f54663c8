//! `console status`: how it goes, on one screen: what was accepted, what waits, how the providers do.
//!
//! Counters come from the newest report and say how old it is; what waits is counted live, and health is asked of
//! the `serve` that runs.

use std::fmt::Write;

use super::provider_health::{self, ProviderHealthTexts};
use super::{format_age, format_time, open_gateway, print_text};
use crate::cli::Cli;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::report::{ProviderReportRow, Report};
use postrider_engine::config::Config;
use postrider_engine::sync_report::latest_report;
use postrider_store::Backlog;

/// Prints the counters.
pub async fn run(cli: &Cli) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let now = gateway.clock.now();
    let backlog = gateway.store.backlog(now).await?;
    let report = latest_report(&gateway).await?.map(|(_, report)| report);
    let mut text = String::new();
    write_backlog(&mut text, backlog, now);
    match &report {
        Some(report) => write_report(&mut text, report, now),
        None => text.push_str("\nno report yet: console sync:report makes one\n"),
    }
    let health = provider_health::fetch_provider_health(&gateway.config).await;
    let known = health.as_ref().ok();
    write_providers(&mut text, &gateway.config, report.as_ref(), known);
    if let Err(remark) = &health {
        let _ = writeln!(text, "{remark}");
    }
    if gateway.is_test_mode() {
        text.push_str("this is a sandbox: mock providers only play, and nothing really leaves\n");
    }
    print_text(text)
}

/// Writing into a string cannot fail, so results of `write!` are dropped here and below.
fn write_backlog(text: &mut String, backlog: Backlog, now: Timestamp) {
    let _ = writeln!(
        text,
        "waiting    {:>10}  now; {} due",
        backlog.waiting, backlog.due
    );
    let oldest = match backlog.oldest_due_at {
        Some(due_at) if due_at <= now => format!("due for {}", format_age(due_at, now)),
        _ => "nothing is late".to_owned(),
    };
    let _ = writeln!(text, "oldest     {:>10}  {oldest}", "");
}

fn write_report(text: &mut String, report: &Report, now: Timestamp) {
    let totals = &report.totals;
    let _ = writeln!(
        text,
        "\nreport as of {}, {} ago",
        format_time(report.as_of),
        format_age(report.as_of, now)
    );
    let rows = [
        ("accepted", report.messages, String::new()),
        ("sent", totals.sent, "with a provider, receipt awaited".to_owned()),
        ("delivered", totals.delivered, String::new()),
        ("failed", totals.failed_sum(), format_failures(&totals.failed)),
        (
            "unknown",
            totals.unknown,
            "attempts that may have been sent twice".to_owned(),
        ),
    ];
    for (word, count, remark) in rows {
        let line = format!("{word:<10} {count:>10}  {remark}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
}

fn format_failures(failed: &[(String, u64)]) -> String {
    let words = failed.iter().map(|(word, count)| format!("{count} {word}"));
    words.collect::<Vec<_>>().join(", ")
}

fn write_providers(
    text: &mut String,
    config: &Config,
    report: Option<&Report>,
    health: Option<&ProviderHealthTexts>,
) {
    let _ = writeln!(
        text,
        "\n{:<20} {:<10} {:>10} {:>8} {:>10}  now",
        "provider", "kind", "calls", "faults", "delivered"
    );
    let nothing = ProviderReportRow::default();
    for provider in &config.providers {
        let name = provider.name.as_str();
        let lines = report.map_or(&[][..], |report| &report.providers);
        let line = lines.iter().find(|line| line.name == name).unwrap_or(&nothing);
        let now = health
            .and_then(|health| health.get(name))
            .map_or("?", String::as_str);
        let _ = writeln!(
            text,
            "{name:<20} {:<10} {:>10} {:>8} {:>10}  {now}",
            provider.kind,
            line.attempts(),
            format_percent(line.fault_percent()),
            format_percent(line.delivered_percent())
        );
    }
    text.push('\n');
}

fn format_percent(part: Option<f64>) -> String {
    part.map_or_else(|| "-".to_owned(), |part| format!("{part:.1} %"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::clock::from_millis;
    use postrider_core::report::DeliveryTotals;

    #[test]
    fn what_is_late_is_named_with_its_age() {
        let now = from_millis(1_777_000_000_000);
        let backlog = Backlog {
            waiting: 12,
            due: 3,
            oldest_due_at: Some(now - chrono::TimeDelta::seconds(125)),
        };
        let mut text = String::new();
        write_backlog(&mut text, backlog, now);
        assert!(
            text.contains("12  now; 3 due") && text.contains("due for 2 min"),
            "{text}"
        );
    }

    #[test]
    fn failures_are_told_apart() {
        let report = Report {
            totals: DeliveryTotals {
                failed: vec![("rejected".to_owned(), 2), ("expired".to_owned(), 1)],
                ..DeliveryTotals::default()
            },
            ..Report::default()
        };
        let mut text = String::new();
        write_report(&mut text, &report, from_millis(0));
        assert!(
            text.contains("failed              3  2 rejected, 1 expired"),
            "{text}"
        );
    }

    #[test]
    fn a_provider_that_was_never_asked_has_a_line_too() {
        let mut text = String::new();
        let health = ProviderHealthTexts::from([("mock-red".to_owned(), "well".to_owned())]);
        write_providers(&mut text, &Config::test_mode(), None, Some(&health));
        let red = text.lines().find(|line| line.starts_with("mock-red")).unwrap();
        assert!(red.ends_with("well") && red.contains('-'), "{red}");
    }
}
