//! One file for each command, and what they share: the configuration, the wired program, lines on stdout.
//!
//! A command reads its arguments, calls `flow/`, and says in a line or a table what was done. Nothing here
//! decides what becomes of a message.

mod background;
pub mod backup;
pub mod check;
pub mod completions;
pub mod events;
pub mod man;
pub mod message;
pub mod migrate;
pub mod monitor;
pub mod move_store;
pub mod produce;
mod provider_health;
pub mod prune;
pub mod recipient;
pub mod resend;
pub mod sandbox;
pub mod send;
mod send_via;
pub mod serve;
mod signals;
pub mod simulate;
pub mod status;
pub mod sync_report;
pub mod usage;
pub mod work;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::Cli;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::JobLockOwner;
use postrider_engine::config::{Config, Environment};
use postrider_engine::gateway::Gateway;

/// Read when no configuration file is named, if it is there.
const DEFAULT_CONFIG_FILE: &str = "console.toml";

/// How long a command waits for a queue over the network to take what it pushed.
const QUEUE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// A value from the command line laid over a key of the configuration.
type ConfigOverride = (&'static str, String);

/// The configuration file that is read; none when there is none.
fn find_config_file(cli: &Cli) -> Option<PathBuf> {
    cli.config().or_else(|| {
        Path::new(DEFAULT_CONFIG_FILE)
            .exists()
            .then(|| PathBuf::from(DEFAULT_CONFIG_FILE))
    })
}

/// File, environment and command line as one checked configuration; what is odd about it is logged.
fn load_config(cli: &Cli, overrides: &[ConfigOverride]) -> Result<Config> {
    let file = find_config_file(cli);
    let (config, oddities) = Config::load(file.as_deref(), &Environment::from_process(), overrides)?;
    for oddity in oddities {
        log::warn!("{oddity}");
    }
    Ok(config)
}

/// The wired program as configured.
async fn open_gateway(cli: &Cli) -> Result<Gateway> {
    Gateway::open(load_config(cli, &[])?).await
}

/// Prints a line on stdout. A reader who has gone away (`console status | head -1`) is no failure.
fn print_line(line: impl std::fmt::Display) -> Result<()> {
    print_text(format_args!("{line}\n"))
}

/// Prints on stdout as it is.
fn print_text(text: impl std::fmt::Display) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let written = write!(out, "{text}").and_then(|()| out.flush());
    match written {
        Err(cause) if cause.kind() != std::io::ErrorKind::BrokenPipe => Err(Error::with_source(
            ErrorKind::Unavailable,
            "cannot write to stdout",
            cause,
        )),
        _ => Ok(()),
    }
}

/// Waits until the queue has what was pushed; says what follows when it does not get it.
async fn flush_queue(gateway: &Gateway) -> Result<()> {
    if gateway.queue.flush(QUEUE_FLUSH_TIMEOUT).await {
        return Ok(());
    }
    print_line(
        "the queue cannot be reached; nothing is lost: workers find these messages in the store by themselves",
    )
}

/// A bar on stderr, drawn on a terminal only. Without a length it counts.
fn progress_bar(length: Option<u64>, what: &'static str) -> ProgressBar {
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let template = match length {
        Some(_) => "{msg} {wide_bar} {human_pos}/{human_len}",
        None => "{spinner} {msg} {human_pos}",
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_message(what)
}

/// A moment as people read it.
fn format_time(at: Timestamp) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// How long ago a moment was, in the two largest units; nothing when it lies ahead.
fn format_age(at: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from((now - at).num_seconds()).unwrap_or(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Says who does the work that was asked for, or has just done it.
fn job_skipped_message(work: &str, owner: &JobLockOwner) -> String {
    let (holder, began_at) = (&owner.process_name, format_time(owner.acquired_at));
    if owner.is_done {
        format!("nothing to do here: {work} was done at {began_at} by {holder}")
    } else {
        format!("nothing to do here: {work} is being done since {began_at} by {holder}")
    }
}

/// Other people's text without anything a terminal would obey.
fn replace_control_characters(text: &str) -> String {
    let visible = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(visible).collect()
}

/// `1 message`, `2 messages`.
fn format_count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A count as a number with a fraction: exact far beyond what is counted here.
#[allow(clippy::cast_precision_loss)]
fn to_f64(count: u64) -> f64 {
    count as f64
}

/// `produced 1000 messages in 0.02 s, 50000 a second`; no rate where no time has passed.
fn format_rate(what: &str, verb: &str, count: u64, seconds: f64) -> String {
    if count > 0 && seconds > 0.0 {
        let rate = to_f64(count) / seconds;
        format!("{verb} {what} in {seconds:.2} s, {rate:.0} a second")
    } else {
        format!("{verb} {what}")
    }
}

/// A count for printing; no machine counts further.
fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_has_the_two_largest_units() {
        let now: Timestamp = "2026-05-03T12:00:00Z".parse().unwrap();
        for (seconds, words) in [
            (-5, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(format_age(now - chrono::TimeDelta::seconds(seconds), now), words);
        }
    }

    #[test]
    fn one_is_not_plural() {
        assert_eq!(format_count(1, "message"), "1 message");
        assert_eq!(format_count(0, "message"), "0 messages");
    }
}
