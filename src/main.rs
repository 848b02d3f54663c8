//! Entry point: parses arguments, starts the log, runs the command and sets the exit status.
//!
//! Exit status: 0 success, 1 failure, 2 invalid usage or configuration. An error is printed once, on stderr, in one line;
//! with -v together with its causes.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use env_logger::Builder;
use postrider::cli::{Cli, Command};
use postrider::commands;
use postrider_core::error::{Error, ErrorKind, Result};
use postrider_engine::config::Environment;
use postrider_engine::config::keys::LOG_VARIABLES;

/// Maximum time at exit for blocking threads, which may wait for a network.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logging(&cli);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let message = if cli.verbose > 0 { error.chain() } else { error.to_string() };
            eprintln!("console: {message}");
            ExitCode::from(if error.kind() == ErrorKind::Usage { 2 } else { 1 })
        }
    }
}

fn init_logging(cli: &Cli) {
    let mut log = Builder::new();
    log.parse_filters(log_filter(cli, &Environment::from_process()));
    if !is_long_running(&cli.command) && std::io::stderr().is_terminal() {
        log.format_timestamp(None).format_target(false);
    }
    log.init();
}

/// Returns the log filter: that of the options, else of the environment, else the default of the command.
fn log_filter<'a>(cli: &Cli, environment: &'a Environment) -> &'a str {
    let default = if is_long_running(&cli.command) { "warn,postrider=info" } else { "warn" };
    let from_environment = || LOG_VARIABLES.iter().find_map(|name| environment.get(name));
    match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => from_environment().unwrap_or(default),
        (false, 1) => "info,postrider=debug",
        (false, _) => "debug,postrider=trace",
    }
}

fn is_long_running(command: &Command) -> bool {
    matches!(command, Command::Serve(_) | Command::Work(_) | Command::Sandbox(_))
}

fn run(cli: &Cli) -> Result<()> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("gateway").build().map_err(
            |cause| Error::with_source(ErrorKind::Unavailable, "cannot start the runtime threads", cause),
        )?;
    let result = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    result
}

async fn dispatch(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Serve(arguments) => commands::serve::run(cli, arguments).await,
        Command::Work(arguments) => commands::work::run(cli, arguments).await,
        Command::Produce(arguments) => commands::produce::run(cli, arguments).await,
        Command::Monitor(arguments) => commands::monitor::run(cli, arguments).await,
        Command::Simulate(arguments) => commands::simulate::run(cli, arguments).await,
        Command::Sandbox(arguments) => commands::sandbox::run(arguments).await,
        Command::Resend(arguments) => commands::resend::run(cli, arguments).await,
        Command::SyncReport(arguments) => commands::sync_report::run(cli, arguments).await,
        Command::Send(arguments) => commands::send::run(cli, arguments).await,
        Command::Status => commands::status::run(cli).await,
        Command::Message(arguments) => commands::message::run(cli, arguments).await,
        Command::Usage(arguments) => commands::usage::run(cli, arguments).await,
        Command::Recipient(arguments) => commands::recipient::run(cli, arguments).await,
        Command::Events(arguments) => commands::events::run(cli, &arguments.command).await,
        Command::Prune(arguments) => commands::prune::run(cli, arguments).await,
        Command::Backup(arguments) => commands::backup::run(cli, arguments).await,
        Command::Move(arguments) => commands::move_store::run(cli, arguments).await,
        Command::Check => commands::check::run(cli).await,
        Command::Migrate => commands::migrate::run(cli).await,
        Command::Completions(arguments) => commands::completions::run(arguments),
        Command::Man(arguments) => commands::man::run(arguments),
    }
}

#[cfg(test)]
mod tests;
