//! `console monitor`: watches a store: three plain lines every interval, on a terminal a live screen.
//!
//! Needs the store and nothing else, and waits for one that is away. A look costs what has changed since the one
//! before, because it brings the report's roll-ups up to date and reads those.

mod screen;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use super::load_config;
use super::signals::TerminationSignals;
use crate::cli::{Cli, MonitorArgs};
use postrider_core::clock::{self, Clock};
use postrider_core::duration::format_duration;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::mock_sender::interval_from_environment;
use postrider_engine::config::{Config, Environment};
use postrider_engine::gateway::store_location;
use postrider_engine::status::{StatusOverview, read_overview, read_totals};
use postrider_store::Store;

/// How often to look, when nobody says, and at most how long a store that is away is left alone.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// Watches until a signal comes, or whoever reads has gone.
pub async fn run(cli: &Cli, arguments: &MonitorArgs) -> Result<()> {
    let mut signals = TerminationSignals::new()?;
    let told = arguments
        .interval
        .or(interval_from_environment(&Environment::from_process())?);
    let interval = told.unwrap_or(DEFAULT_INTERVAL);
    let mut watch = MonitoredStore {
        config: load_config(cli, &[])?,
        store: None,
    };
    if std::io::stdout().is_terminal() && !arguments.plain {
        screen::run_screen(&mut watch, interval, &mut signals).await
    } else {
        run_plain(&mut watch, interval, &mut signals).await
    }
}

/// A store that is watched, as soon as it can be opened.
struct MonitoredStore {
    config: Config,
    store: Option<Arc<dyn Store>>,
}

/// How much of a look is wanted.
#[derive(Clone, Copy)]
enum MonitorView {
    /// What three lines say.
    Lines,
    /// What a screen shows.
    Screen,
}

impl MonitoredStore {
    /// One look. An error is a sentence for people when the store is away, which may pass; others end the program.
    async fn read_status(
        &mut self,
        depth: MonitorView,
    ) -> Result<std::result::Result<StatusOverview, String>> {
        match self.try_read_status(depth).await {
            Ok(overview) => Ok(Ok(overview)),
            Err(error) if error.kind() == ErrorKind::Unavailable => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn try_read_status(&mut self, depth: MonitorView) -> Result<StatusOverview> {
        let store = match &self.store {
            Some(store) => store,
            None => &*self.store.insert(open_store(self.config.clone()).await?),
        };
        match depth {
            MonitorView::Lines => read_totals(&**store).await,
            MonitorView::Screen => read_overview(&**store).await,
        }
    }
}

/// Opening blocks, for long where the store is far away. The folder of a file may be made later.
async fn open_store(config: Config) -> Result<Arc<dyn Store>> {
    let opened = tokio::task::spawn_blocking(move || {
        let place = store_location(&config);
        match postrider_store::missing_folder(place.url) {
            Some(folder) => Err(Error::new(
                ErrorKind::Unavailable,
                format!("the store's folder {} does not exist yet", folder.display()),
            )),
            None => postrider_store::open_with(&place),
        }
    });
    let opened = opened.await;
    opened.map_err(|panic| Error::with_source(ErrorKind::Internal, "the store could not be opened", panic))?
}

/// How long to wait before the next look: not for hours when this one failed.
fn poll_delay(interval: Duration, failed: bool) -> Duration {
    if failed {
        interval.min(DEFAULT_INTERVAL)
    } else {
        interval
    }
}

async fn run_plain(
    watch: &mut MonitoredStore,
    interval: Duration,
    signals: &mut TerminationSignals,
) -> Result<()> {
    loop {
        let began = Clock::System.stopwatch();
        let seen = tokio::select! {
            seen = watch.read_status(MonitorView::Lines) => seen?,
            () = signals.recv() => return Ok(()),
        };
        let wait = poll_delay(interval, seen.is_err());
        match seen {
            Ok(overview) if !write_stdout(&format_status_lines(&overview))? => return Ok(()),
            Ok(_) => {}
            Err(why) => log::warn!("{why}; looking again in {}", format_duration(wait)),
        }
        tokio::select! {
            () = clock::sleep(wait.saturating_sub(began.elapsed())) => {}
            () = signals.recv() => return Ok(()),
        }
    }
}

/// As system D's monitor has it; an average of nothing is 0.
fn format_status_lines(overview: &StatusOverview) -> String {
    format!(
        "Total messages sent: {}\nTotal messages failed: {}\nAverage time per message: {:.4} seconds\n",
        overview.sent(),
        overview.failed(),
        overview.mean_seconds().unwrap_or(0.0)
    )
}

/// False when nobody reads any more.
fn write_stdout(text: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Error::with_source(
            ErrorKind::Unavailable,
            "cannot write to stdout",
            cause,
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::report::{DeliveryTotals, ProviderReportRow, Report};

    #[test]
    fn three_lines_say_how_it_goes() {
        let overview = StatusOverview {
            report: Report {
                totals: DeliveryTotals {
                    sent: 700,
                    delivered: 100,
                    failed: vec![("rejected".to_owned(), 200)],
                    ..DeliveryTotals::default()
                },
                providers: vec![ProviderReportRow {
                    timed_attempts: 1_000,
                    duration_sum_ms: 100_300,
                    ..ProviderReportRow::default()
                }],
                ..Report::default()
            },
            ..StatusOverview::default()
        };
        let wanted = "Total messages sent: 800\nTotal messages failed: 200\nAverage time per message: 0.1003 seconds\n";
        assert_eq!(format_status_lines(&overview), wanted);
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_soon() {
        let (hour, short) = (Duration::from_secs(3_600), Duration::from_millis(100));
        assert_eq!(
            (poll_delay(hour, false), poll_delay(hour, true)),
            (hour, DEFAULT_INTERVAL)
        );
        assert_eq!(
            (poll_delay(short, false), poll_delay(short, true)),
            (short, short)
        );
    }

    #[test]
    fn three_lines_of_nothing_divide_by_nothing() {
        let wanted =
            "Total messages sent: 0\nTotal messages failed: 0\nAverage time per message: 0.0000 seconds\n";
        assert_eq!(format_status_lines(&StatusOverview::default()), wanted);
    }
}
