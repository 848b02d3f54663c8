//! `console status`: backlog, counters and providers on one screen.
//!
//! The backlog is counted now. The counters come from the newest report, and the circuit breaker states from the
//! running `serve`.

use std::fmt::Write;

use super::provider_health::{self, ProviderHealthTexts};
use super::{TEST_MODE_NOTICE, format_age, format_percent, format_time, open_gateway, print_text};
use crate::cli::Cli;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::report::{ProviderReportRow, Report};
use postrider_engine::config::Config;
use postrider_engine::problems::current_problems;
use postrider_engine::sync_report::latest_report;
use postrider_store::Backlog;

/// Prints the status.
pub async fn run(cli: &Cli) -> Result<()> {
    let gateway = open_gateway(cli).await?;
    let now = gateway.clock.now();
    let backlog = gateway.store.backlog(now).await?;
    let report = latest_report(&gateway).await?.map(|(_, report)| report);
    let mut status_text = String::new();
    write_backlog(&mut status_text, backlog, now);
    for gateway_problem in current_problems(&gateway).await {
        let _ = writeln!(status_text, "{:<10} {:>10}  {gateway_problem}", "problem", "");
    }
    match &report {
        Some(report) => write_report(&mut status_text, report, now),
        None => status_text.push_str("\nno report yet; create one with: console sync:report\n"),
    }
    let health = provider_health::fetch_provider_health(&gateway.config).await;
    let circuits = health.as_ref().ok();
    write_providers(&mut status_text, &gateway.config, report.as_ref(), circuits);
    if let Err(health_problem) = &health {
        let _ = writeln!(status_text, "{health_problem}");
    }
    if gateway.is_test_mode() {
        let _ = writeln!(status_text, "{TEST_MODE_NOTICE}");
    }
    print_text(status_text)
}

/// Writes the lines of the backlog. Writing into a string cannot fail, so results of `write!` are dropped in this file.
fn write_backlog(status_text: &mut String, backlog: Backlog, now: Timestamp) {
    let _ = writeln!(status_text, "backlog    {:>10}  waiting now, {} due", backlog.waiting, backlog.due);
    let oldest = match backlog.oldest_due_at {
        Some(due_at) if due_at <= now => format!("due {} ago", format_age(due_at, now)),
        _ => "none overdue".to_owned(),
    };
    let _ = writeln!(status_text, "oldest     {:>10}  {oldest}", "");
    if let Some(accepted_at) = backlog.oldest_accepted_at {
        let _ = writeln!(status_text, "{:<10} {:>10}  accepted {} ago", "", "", format_age(accepted_at, now));
    }
}

fn write_report(status_text: &mut String, report: &Report, now: Timestamp) {
    let totals = &report.totals;
    let _ = writeln!(
        status_text,
        "\nreport as of {}, {} ago",
        format_time(report.as_of),
        format_age(report.as_of, now)
    );
    let rows = [
        ("accepted", report.messages, String::new()),
        ("sent", totals.sent, "accepted by a provider, without a receipt".to_owned()),
        ("delivered", totals.delivered, String::new()),
        ("failed", totals.failed_sum(), format_failures(&totals.failed)),
        ("unknown", totals.unknown, "attempts with unknown outcome".to_owned()),
    ];
    for (name, count, remark) in rows {
        let counter_line = format!("{name:<10} {count:>10}  {remark}");
        let _ = writeln!(status_text, "{}", counter_line.trim_end());
    }
}

fn format_failures(failed: &[(String, u64)]) -> String {
    let failures = failed.iter().map(|(reason, count)| format!("{count} {reason}"));
    failures.collect::<Vec<_>>().join(", ")
}

fn write_providers(
    status_text: &mut String,
    config: &Config,
    report: Option<&Report>,
    circuits: Option<&ProviderHealthTexts>,
) {
    let _ = writeln!(
        status_text,
        "\n{:<20} {:<10} {:>10} {:>8} {:>10}  circuit",
        "provider", "kind", "attempts", "failures", "delivered"
    );
    let report_rows = report.map_or(&[][..], |report| &report.providers);
    let empty_row = ProviderReportRow::default();
    for provider in &config.providers {
        let provider_name = provider.name.as_str();
        let row = report_rows.iter().find(|row| row.name == provider_name).unwrap_or(&empty_row);
        let circuit = circuits.and_then(|circuits| circuits.get(provider_name)).map_or("?", String::as_str);
        let _ = writeln!(
            status_text,
            "{provider_name:<20} {:<10} {:>10} {:>8} {:>10}  {circuit}",
            provider.kind,
            row.attempts(),
            format_percent(row.fault_percent()),
            format_percent(row.delivered_percent())
        );
    }
    status_text.push('\n');
}

#[cfg(test)]
mod tests;
