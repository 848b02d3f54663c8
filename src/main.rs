//! Parses, starts the log, matches a command, sets the exit code: 0 the duty is done, 1 a failure, 2 wrong usage.
//!
//! A failure is told once, on stderr, in one line; what lies beneath it only with -v.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use env_logger::{Builder, Env};
use postrider::cli::{Cli, Command};
use postrider::commands;
use postrider::error::{Error, Kind, Result};

/// How long threads that wait on a network may hold up the end of the program.
const THREADS_GRACE: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(&cli);
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let what = if cli.verbose > 0 {
                error.chain()
            } else {
                error.to_string()
            };
            eprintln!("console: {what}");
            ExitCode::from(if error.kind() == Kind::Usage { 2 } else { 1 })
        }
    }
}

/// The command line decides what is logged, else `RUST_LOG`, else what is usual for the command.
fn start_log(cli: &Cli) {
    let lives_long = matches!(cli.command, Command::Serve(_) | Command::Work(_));
    let typed = match (cli.quiet, cli.verbose) {
        (true, _) => Some("error"),
        (false, 0) => None,
        (false, 1) => Some("info,postrider=debug"),
        (false, _) => Some("debug,postrider=trace"),
    };
    let usual = if lives_long { "warn,postrider=info" } else { "warn" };
    let mut log = match typed {
        Some(filter) => {
            let mut log = Builder::new();
            log.parse_filters(filter);
            log
        }
        None => Builder::from_env(Env::default().default_filter_or(usual)),
    };
    if !lives_long && std::io::stderr().is_terminal() {
        log.format_timestamp(None).format_target(false);
    }
    log.init();
}

fn run(cli: &Cli) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("gateway")
        .build()
        .map_err(|cause| Error::because(Kind::Unavailable, "cannot start the worker threads", cause))?;
    let done = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(THREADS_GRACE);
    done
}

async fn dispatch(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Serve(arguments) => commands::serve::run(cli, arguments).await,
        Command::Work(arguments) => commands::work::run(cli, arguments).await,
        Command::Resend(arguments) => commands::resend::run(cli, arguments).await,
        Command::SyncReport(arguments) => commands::sync_report::run(cli, arguments).await,
        Command::Send(arguments) => commands::send::run(cli, arguments).await,
        Command::Status => commands::status::run(cli).await,
        Command::Message(arguments) => commands::message::run(cli, arguments).await,
        Command::Recipient(arguments) => commands::recipient::run(cli, arguments).await,
        Command::Prune(arguments) => commands::prune::run(cli, arguments).await,
        Command::Backup(arguments) => commands::backup::run(cli, arguments).await,
        Command::Move(arguments) => commands::relocate::run(cli, arguments).await,
        Command::Check => commands::check::run(cli).await,
        Command::Migrate => commands::migrate::run(cli).await,
        Command::Completions(arguments) => commands::completions::run(arguments),
        Command::Man(arguments) => commands::man::run(arguments),
    }
}
