//! `console monitor`: polls a store and prints three lines every interval, or draws a live screen on a terminal.
//!
//! The monitor needs only the store. If the store is unavailable, the monitor waits for it. Each poll updates the
//! rollups of the report and reads them, so the cost of a poll depends on the number of changes since the previous
//! poll.

mod monitored_store;
mod screen;

use std::io::IsTerminal;
use std::time::Duration;

use super::signals::TerminationSignals;
use super::{load_config, try_print};
use crate::cli::{Cli, MonitorArgs, parse_interval};
use monitored_store::{DEFAULT_INTERVAL, MonitorView, MonitoredStore, poll_delay};
use postrider_core::clock::{self, Clock};
use postrider_core::duration::format_duration;
use postrider_core::error::Result;
use postrider_engine::config::Environment;
use postrider_engine::status::StatusOverview;
use postrider_loadgen::options::parse_variable;

/// Polls until a signal arrives, or until the reader of stdout has ended.
pub async fn run(cli: &Cli, arguments: &MonitorArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let environment = Environment::from_process();
    let from_environment = parse_variable(&environment, "MONITOR_INTERVAL", parse_interval)?;
    let interval = arguments.interval.or(from_environment).unwrap_or(DEFAULT_INTERVAL);
    let mut store = MonitoredStore::new(load_config(cli, &[])?);
    if std::io::stdout().is_terminal() && !arguments.plain {
        screen::run_screen(&mut store, interval, &mut signals).await
    } else {
        run_plain(&mut store, interval, &mut signals).await
    }
}

async fn run_plain(
    store: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
) -> Result<()> {
    loop {
        let poll_stopwatch = Clock::System.stopwatch();
        let status_result = tokio::select! {
            status_result = store.read_status(MonitorView::Lines) => status_result?,
            () = signals.recv() => return Ok(()),
        };
        let delay = poll_delay(interval, status_result.is_err());
        match status_result {
            Ok(overview) if !try_print(format_status_lines(&overview))? => return Ok(()),
            Ok(_) => {}
            Err(store_problem) => {
                log::warn!(
                    "cannot read the store: error={store_problem} retry_in={}",
                    format_duration(delay)
                );
            }
        }
        tokio::select! {
            () = clock::sleep(delay.saturating_sub(poll_stopwatch.elapsed())) => {}
            () = signals.recv() => return Ok(()),
        }
    }
}

/// Formats the three lines that the monitor of system D prints; without calls the mean is 0.
fn format_status_lines(overview: &StatusOverview) -> String {
    format!(
        "Total messages sent: {}\nTotal messages failed: {}\nAverage time per message: {:.4} seconds\n",
        overview.sent(),
        overview.failed(),
        overview.mean_seconds().unwrap_or(0.0)
    )
}

#[cfg(test)]
mod tests;
