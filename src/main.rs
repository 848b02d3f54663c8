//! Parses, starts the log, matches a command, sets the exit code: 0 the duty is done, 1 a failure, 2 wrong usage.
//!
//! A failure is told once, on stderr, in one line; what lies beneath it only with -v.

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

/// How long threads that wait on a network may hold up the end of the program.
const RUNTIME_SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    init_logging(&cli);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let what = if cli.verbose > 0 {
                error.chain()
            } else {
                error.to_string()
            };
            eprintln!("console: {what}");
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

/// The command line decides what is logged, else the environment, else what is usual for the command.
fn log_filter<'a>(cli: &Cli, environment: &'a Environment) -> &'a str {
    let usual = if is_long_running(&cli.command) {
        "warn,postrider=info"
    } else {
        "warn"
    };
    let asked = || LOG_VARIABLES.iter().find_map(|name| environment.get(name));
    match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (false, 0) => asked().unwrap_or(usual),
        (false, 1) => "info,postrider=debug",
        (false, _) => "debug,postrider=trace",
    }
}

fn is_long_running(command: &Command) -> bool {
    matches!(
        command,
        Command::Serve(_) | Command::Work(_) | Command::Sandbox(_)
    )
}

fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gateway")
        .build()
        .map_err(|cause| {
            Error::with_source(ErrorKind::Unavailable, "cannot start the worker threads", cause)
        })?;
    let done = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(RUNTIME_SHUTDOWN_TIMEOUT);
    done
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
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_before_the_environment_and_that_before_what_is_usual() {
        let logged = |line: &str, variables: &[(&str, &str)]| {
            let variables = variables
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            let cli = Cli::parse_from(line.split(' '));
            log_filter(&cli, &variables.collect()).to_owned()
        };
        let ours = ("POSTRIDER_LOG", "trace");
        let rusts = ("RUST_LOG", "info");
        assert_eq!(logged("console status", &[]), "warn");
        assert_eq!(logged("console serve", &[]), "warn,postrider=info");
        assert_eq!(logged("console serve", &[rusts]), "info");
        assert_eq!(logged("console serve", &[rusts, ours]), "trace");
        assert_eq!(logged("console -q status", &[ours]), "error");
        assert_eq!(logged("console -v status", &[ours]), "info,postrider=debug");
    }
}
