//! The commands, one file each, and their shared code: configuration, gateway, output on stdout, number formats.
//!
//! A command reads its arguments, calls the engine and prints the result. Rules about messages live in the engine.

pub mod backup;
pub mod check;
pub mod completions;
pub mod config;
pub mod events;
mod http_server;
pub mod inbound;
mod lifecycle;
pub mod man;
pub mod message;
pub mod migrate;
pub mod monitor;
pub mod move_store;
pub mod produce;
pub mod progress;
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
mod systemd;
pub mod usage;
pub mod work;

use std::io::Write;
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli::Cli;
use crate::logging;
use postrider_core::address::mask_address;
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_core::job::ScheduledJob;
use postrider_core::printable::{to_printable, to_printable_lines};
use postrider_engine::config::{Config, Environment, mask_url};
use postrider_engine::gateway::Gateway;
use postrider_engine::job_lock::{self, JobRun, SAME_RUN_WINDOW};
use postrider_store::{DEFAULT_LOCK_TIMEOUT, missing_store};

/// Name of the configuration file in the folders of [`config_folders`].
const CONFIG_FILE: &str = "console.toml";

/// Maximum time for a remote queue to accept pushed entries.
const QUEUE_FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

/// Notice of a gateway in test mode.
const TEST_MODE_NOTICE: &str = "test mode: only mock providers are configured, no message leaves";

/// A configuration key and the value from the command line that replaces it.
type ConfigOverride = (&'static str, String);

/// Returns the configuration file to read: that of `--config`, else the first that exists in [`config_folders`].
fn find_config_file(cli: &Cli) -> Option<PathBuf> {
    let default = || {
        let mut files =
            config_folders(&Environment::from_process()).into_iter().map(|folder| folder.join(CONFIG_FILE));
        files.find(|file| file.exists())
    };
    cli.config().or_else(default)
}

/// Returns the folders that are searched for a configuration file, in this order: the working directory, the folder of
/// the user (XDG base directories), the folder of the system.
fn config_folders(environment: &Environment) -> Vec<PathBuf> {
    let home_config = || environment.get("HOME").map(|home| Path::new(home).join(".config"));
    let user_config = environment.get("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home_config);
    let user_folder = user_config.map(|folder| folder.join("postrider"));
    iter::once(PathBuf::new()).chain(user_folder).chain([PathBuf::from("/etc/postrider")]).collect()
}

/// Loads and checks the configuration from file, environment and command line; applies `[log]` and logs the warnings.
fn load_config(cli: &Cli, overrides: &[ConfigOverride]) -> Result<Config> {
    let config_file = find_config_file(cli);
    let (config, warnings) = Config::load(config_file.as_deref(), &Environment::from_process(), overrides)?;
    logging::configure(cli, &config.log);
    for warning in warnings {
        log::warn!("{warning}");
    }
    Ok(config)
}

/// Opens the configured gateway on a store that exists. Commands that create a store call `Gateway::open`.
async fn open_gateway(cli: &Cli) -> Result<Gateway> {
    let config = load_config(cli, &[])?;
    if let Some(problem) = find_missing_store(&config).await? {
        return Err(Error::usage(problem));
    }
    Gateway::open(config).await
}

/// Returns an error text if the configured store does not exist: its location and the remedy. Returns `None` if it
/// exists.
async fn find_missing_store(config: &Config) -> Result<Option<String>> {
    let url = config.store_url.clone();
    let search = tokio::task::spawn_blocking(move || missing_store(&url, DEFAULT_LOCK_TIMEOUT)).await;
    let place = search
        .map_err(|panic| Error::with_source(ErrorKind::Internal, "opening the store failed", panic))??;
    Ok(place.map(|place| {
        format!(
            "no store at {}: {place}; run the command in the folder of the store, name its configuration with --config, or \
             create a store with `console serve` or `console migrate`",
            mask_url(&config.store_url)
        )
    }))
}

/// Prints lines on stdout without characters that would change the terminal. Data for programs is printed with
/// [`print_text`].
fn print_line(line: impl std::fmt::Display) -> Result<()> {
    print_text(to_printable_lines(&format!("{line}\n")))
}

/// Prints a text on stdout. A closed pipe (`console status | head -1`) is not an error.
fn print_text(text: impl std::fmt::Display) -> Result<()> {
    try_print(text).map(drop)
}

/// Prints a text on stdout and returns whether the reader still exists.
fn try_print(text: impl std::fmt::Display) -> Result<bool> {
    let mut stdout = std::io::stdout().lock();
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(cause) if cause.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(cause) => Err(Error::with_source(ErrorKind::Unavailable, "cannot write to stdout", cause)),
    }
}

/// Waits until the queue has accepted the pushed entries. If it does not, prints that workers will find these messages
/// in the store.
async fn flush_queue(gateway: &Gateway) -> Result<()> {
    if gateway.queue.flush(QUEUE_FLUSH_TIMEOUT).await {
        return Ok(());
    }
    let problem = gateway.queue.problem().await;
    let problem = problem.as_deref().unwrap_or("cannot reach the queue");
    print_line(format_args!("{problem}; nothing is lost, workers find these messages in the store"))
}

/// Formats a percentage with one decimal, or a dash if it cannot be computed.
fn format_percent(percent: Option<f64>) -> String {
    or_dash(percent.map(|percent| format!("{percent:.1} %")))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

fn format_time(time: Timestamp) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Formats the time from `start` to `now` in its two largest units; a negative time is `0 s`.
fn format_age(start: Timestamp, now: Timestamp) -> String {
    let seconds = u64::try_from((now - start).num_seconds()).unwrap_or(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Runs a job under its lock. If another process is running it, or has just run it, prints that and returns `None`.
async fn run_job<T>(
    gateway: &Gateway,
    job: ScheduledJob,
    work: impl Future<Output = Result<T>>,
) -> Result<Option<T>> {
    let owner = match job_lock::run_unless_locked(gateway, job, SAME_RUN_WINDOW, work).await? {
        JobRun::Ran(result) => return Ok(Some(result)),
        JobRun::Skipped(owner) => owner,
    };
    let run = if owner.is_done { "ran at" } else { "is running since" };
    let (job_name, time) = (job.as_str(), format_time(owner.acquired_at));
    print_line(format_args!("skipped: {job_name} {run} {time} on {}", owner.process_name))?;
    Ok(None)
}

/// Returns text from outside on one line, without control and format characters. A terminal would execute such
/// characters, or show the text in another order.
fn replace_control_characters(text: &str) -> String {
    to_printable(text)
}

/// Returns the address as the configuration allows it to be shown.
fn displayed_address(address: &str, config: &Config) -> String {
    if config.mask_numbers { mask_address(address) } else { address.to_owned() }
}

/// Returns `1 message`, `2 messages`, `2 deliveries`.
fn format_count(count: u64, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if count == 1 => format!("1 {noun}"),
        Some(stem) => format!("{count} {stem}ies"),
        None => format!("{count} {noun}s"),
    }
}

fn to_u64(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
