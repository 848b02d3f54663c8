//! `console monitor`: watches a store: three plain lines every interval, on a terminal a live screen.
//!
//! Needs the store and nothing else, and waits for one that is away. A look costs what has changed since the one
//! before, because it brings the report's roll-ups up to date and reads those.

mod screen;

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use super::configuration;
use super::signals::Signals;
use crate::cli::{Cli, Monitor};
use crate::clock::{self, Clock};
use crate::config::simulation::interval_variable;
use crate::config::{Config, Environment, duration_text};
use crate::error::{Error, Kind, Result};
use crate::flow::overview::{Overview, look, look_closely};
use crate::gateway::store_place;
use crate::store::{self, Store};

/// How often to look, when nobody says, and at most how long a store that is away is left alone.
const USUAL: Duration = Duration::from_secs(5);

/// Watches until a signal comes, or whoever reads has gone.
pub async fn run(cli: &Cli, arguments: &Monitor) -> Result<()> {
    let mut signals = Signals::new()?;
    let told = arguments
        .interval
        .or(interval_variable(&Environment::of_process())?);
    let interval = told.unwrap_or(USUAL);
    let mut watch = Watch {
        config: configuration(cli, &[])?,
        store: None,
    };
    if std::io::stdout().is_terminal() && !arguments.plain {
        screen::show(&mut watch, interval, &mut signals).await
    } else {
        lines(&mut watch, interval, &mut signals).await
    }
}

/// A store that is watched, as soon as it can be opened.
struct Watch {
    config: Config,
    store: Option<Arc<dyn Store>>,
}

/// How much of a look is wanted.
#[derive(Clone, Copy)]
enum Depth {
    /// What three lines say.
    Lines,
    /// What a screen shows.
    Screen,
}

impl Watch {
    /// One look. An error is a sentence for people when the store is away, which may pass; others end the program.
    async fn look(&mut self, depth: Depth) -> Result<std::result::Result<Overview, String>> {
        match self.try_look(depth).await {
            Ok(overview) => Ok(Ok(overview)),
            Err(error) if error.kind() == Kind::Unavailable => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn try_look(&mut self, depth: Depth) -> Result<Overview> {
        let store = match &self.store {
            Some(store) => store,
            None => &*self.store.insert(open(self.config.clone()).await?),
        };
        match depth {
            Depth::Lines => look(&**store).await,
            Depth::Screen => look_closely(&**store).await,
        }
    }
}

/// Opening blocks, for long where the store is far away. The folder of a file may be made later.
async fn open(config: Config) -> Result<Arc<dyn Store>> {
    let opened = tokio::task::spawn_blocking(move || {
        let place = store_place(&config);
        match store::missing_folder(place.url) {
            Some(folder) => Err(Error::new(
                Kind::Unavailable,
                format!("the store's folder {} does not exist yet", folder.display()),
            )),
            None => store::open_at(&place),
        }
    });
    let opened = opened.await;
    opened.map_err(|panic| Error::because(Kind::Internal, "the store could not be opened", panic))?
}

/// How long to wait before the next look: not for hours when this one failed.
fn wait(interval: Duration, failed: bool) -> Duration {
    if failed { interval.min(USUAL) } else { interval }
}

async fn lines(watch: &mut Watch, interval: Duration, signals: &mut Signals) -> Result<()> {
    loop {
        let began = Clock::System.stopwatch();
        let seen = tokio::select! {
            seen = watch.look(Depth::Lines) => seen?,
            () = signals.next() => return Ok(()),
        };
        let wait = wait(interval, seen.is_err());
        match seen {
            Ok(overview) if !write(&plain(&overview))? => return Ok(()),
            Ok(_) => {}
            Err(why) => log::warn!("{why}; looking again in {}", duration_text(wait)),
        }
        tokio::select! {
            () = clock::pause(wait.saturating_sub(began.passed())) => {}
            () = signals.next() => return Ok(()),
        }
    }
}

/// As system D's monitor has it; an average of nothing is 0.
fn plain(overview: &Overview) -> String {
    format!(
        "Total messages sent: {}\nTotal messages failed: {}\nAverage time per message: {:.4} seconds\n",
        overview.sent(),
        overview.failed(),
        overview.mean_seconds().unwrap_or(0.0)
    )
}

/// False when nobody reads any more.
fn write(text: &str) -> Result<bool> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Error::because(Kind::Unavailable, "cannot write to stdout", cause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::{ProviderLine, Report, Totals};

    #[test]
    fn three_lines_say_how_it_goes() {
        let overview = Overview {
            report: Report {
                totals: Totals {
                    sent: 700,
                    delivered: 100,
                    failed: vec![("rejected".to_owned(), 200)],
                    ..Totals::default()
                },
                providers: vec![ProviderLine {
                    timed: 1_000,
                    time_ms: 100_300,
                    ..ProviderLine::default()
                }],
                ..Report::default()
            },
            ..Overview::default()
        };
        let wanted = "Total messages sent: 800\nTotal messages failed: 200\nAverage time per message: 0.1003 seconds\n";
        assert_eq!(plain(&overview), wanted);
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_soon() {
        let (hour, short) = (Duration::from_secs(3_600), Duration::from_millis(100));
        assert_eq!((wait(hour, false), wait(hour, true)), (hour, USUAL));
        assert_eq!((wait(short, false), wait(short, true)), (short, short));
    }

    #[test]
    fn three_lines_of_nothing_divide_by_nothing() {
        let wanted =
            "Total messages sent: 0\nTotal messages failed: 0\nAverage time per message: 0.0000 seconds\n";
        assert_eq!(plain(&Overview::default()), wanted);
    }
}
