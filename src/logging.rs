//! The log of the program on stderr: selects the records to write, and writes them as text or as JSON lines.
//!
//! [`init`] starts the log before the configuration is read; [`configure`] applies `[log]` of the configuration, at the
//! start and again at a reload. Options (`-q`, `-v`) override `POSTRIDER_LOG` and `RUST_LOG`, which override `log.filter`.

use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

use env_logger::fmt::Formatter;
use env_logger::{Builder, Logger};
use log::{LevelFilter, Log, Metadata, Record};
use parking_lot::RwLock;
use serde_json::json;

use crate::cli::{Cli, Command};
use postrider_core::clock::Clock;
use postrider_engine::config::keys::LOG_VARIABLES;
use postrider_engine::config::{Environment, LogConfig, LogFormat};

/// The installed logger, replaced as a whole by [`configure`].
struct ReplaceableLogger(RwLock<Logger>);

static LOGGER: OnceLock<ReplaceableLogger> = OnceLock::new();

impl Log for ReplaceableLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.read().enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        self.0.read().log(record);
    }

    fn flush(&self) {
        self.0.read().flush();
    }
}

/// Starts the log with the options and the environment, in the text format.
pub fn init(cli: &Cli) {
    let logger = build_logger(cli, &LogConfig::default());
    let level = logger.filter();
    let installed = LOGGER.get_or_init(|| ReplaceableLogger(RwLock::new(logger)));
    // Only a second call can fail; the logger of the first call then stays.
    if log::set_logger(installed).is_ok() {
        log::set_max_level(level);
    }
}

/// Applies the settings of `[log]`.
pub fn configure(cli: &Cli, config: &LogConfig) {
    if let Some(installed) = LOGGER.get() {
        let logger = build_logger(cli, config);
        log::set_max_level(logger.filter());
        *installed.0.write() = logger;
    }
}

/// Returns the level of the most verbose records that pass the options, the environment and `[log]`.
pub fn level(cli: &Cli, config: &LogConfig) -> LevelFilter {
    build_logger(cli, config).filter()
}

fn build_logger(cli: &Cli, config: &LogConfig) -> Logger {
    let mut builder = Builder::new();
    builder.parse_filters(log_filter(cli, &Environment::from_process(), config));
    let is_interactive = !is_long_running(&cli.command) && io::stderr().is_terminal();
    match config.format {
        LogFormat::Json => builder.format(write_json),
        LogFormat::Text if is_interactive => builder.format(write_short_text),
        LogFormat::Text => builder.format(write_text),
    };
    builder.build()
}

/// Returns the log filter: from the options; otherwise from the environment, then from the configuration; otherwise the
/// default of the command.
fn log_filter<'a>(cli: &Cli, environment: &'a Environment, config: &'a LogConfig) -> &'a str {
    let default = if is_long_running(&cli.command) { "warn,postrider=info" } else { "warn" };
    let configured = Some(config.filter.as_str()).filter(|filter| !filter.is_empty());
    let from_environment = || LOG_VARIABLES.iter().find_map(|name| environment.get(name));
    match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => from_environment().or(configured).unwrap_or(default),
        (false, 1) => "info,postrider=debug",
        (false, _) => "debug,postrider=trace",
    }
}

fn is_long_running(command: &Command) -> bool {
    matches!(command, Command::Serve(_) | Command::Work(_) | Command::Sandbox(_))
}

fn timestamp() -> impl std::fmt::Display {
    Clock::System.now().format("%Y-%m-%dT%H:%M:%S%.3fZ")
}

/// Writes `TIME LEVEL target: message`.
fn write_text(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let style = line.default_level_style(record.level());
    let (level, target) = (record.level(), record.target());
    writeln!(line, "{} {style}{level:<5}{style:#} {target}: {}", timestamp(), record.args())
}

/// Writes `LEVEL message`, for a person at a terminal.
fn write_short_text(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let style = line.default_level_style(record.level());
    writeln!(line, "{style}{:<5}{style:#} {}", record.level(), record.args())
}

/// Writes one JSON object: `time`, `level`, `target`, `message`.
fn write_json(line: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let object = json!({
        "time": timestamp().to_string(),
        "level": record.level().as_str().to_ascii_lowercase(),
        "target": record.target(),
        "message": record.args().to_string(),
    });
    writeln!(line, "{object}")
}

#[cfg(test)]
mod tests;
