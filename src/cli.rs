//! The command line: commands, options and their help texts.
//!
//! Parses and checks values; `commands` executes them. The `--help` output of each command is a golden file in
//! `tests/golden/help`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::version::VERSION_LINE;
use postrider_core::duration::parse_duration;
use postrider_core::id::MessageId;
use postrider_core::name::ConfigName;
use postrider_core::recipient::RecipientStatus;
use postrider_loadgen::options::{parse_failure_rate, parse_mean_time};

mod events;
mod inbound;
mod loadgen;
mod sandbox;
mod store;
mod values;

pub use events::{EventsArgs, EventsCommand, EventsListArgs, EventsReplayArgs, EventsShowArgs};
pub use inbound::{InboundArgs, InboundFormat};
pub use loadgen::{MonitorArgs, ProduceArgs, SimulateArgs};
pub use sandbox::SandboxArgs;
pub use store::{BackupArgs, MoveArgs, PruneArgs};
pub use values::{TimeArg, parse_interval};

use values::{parse_message_id, parse_name, parse_recipient_status, parse_time};

/// Heading of the options that every command has.
const GLOBAL_OPTIONS_HEADING: &str = "Global options";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "console",
    version = VERSION_LINE,
    max_term_width = 100,
    about = "Message gateway: accepts messages durably and delivers them through the first provider that works",
    after_help = "Examples:\n  \
        console serve                         test mode (mock providers) at http://127.0.0.1:8080\n  \
        console send 09122222222 'hello'      send a message\n  \
        console status                        show counters, backlog and providers\n\n\
        Exit status: 0 success, 1 failure, 2 invalid usage or configuration."
)]
pub struct Cli {
    /// Configuration file [default: console.toml in the working directory, else in $XDG_CONFIG_HOME/postrider, else in
    /// /etc/postrider]
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL_OPTIONS_HEADING)]
    #[arg(env = "POSTRIDER_CONFIG", hide_env_values = true)]
    config: Option<OsString>,

    /// Log more: -v shows causes of errors and debug messages, -vv everything
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL_OPTIONS_HEADING)]
    pub verbose: u8,

    /// Log errors only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL_OPTIONS_HEADING)]
    pub quiet: bool,

    /// The command
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Returns the configuration file of `--config`; an empty name counts as none.
    pub fn config(&self) -> Option<PathBuf> {
        let config = self.config.as_ref()?;
        (!config.is_empty()).then(|| PathBuf::from(config))
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accept messages over HTTP, deliver them, and show the report
    #[command(after_help = "Examples:\n  \
        console serve\n  \
        console serve --listen 127.0.0.1:9000\n  \
        console serve --concurrency 0         accept messages only; `console work` delivers")]
    Serve(ServeArgs),

    /// Deliver messages that another process accepts
    #[command(after_help = "Examples:\n  \
        console work\n  \
        console work --concurrency 64\n  \
        console work --listen 127.0.0.1:9100                  with its own /metrics\n  \
        console work --mean-time 100ms --failure-rate 0.2     one mock sender")]
    Work(WorkArgs),

    /// Generate messages into the store and the queue
    #[command(after_help = "Examples:\n  \
        console produce\n  \
        console produce --messages 1000000")]
    Produce(ProduceArgs),

    /// Monitor a store: three lines every interval, or a live screen on a terminal
    #[command(after_help = "Examples:\n  \
        console monitor\n  \
        console monitor --interval 1s | tee monitor.log")]
    Monitor(MonitorArgs),

    /// Run a load simulation end to end with mock senders on a separate store, and compare it with the expected values
    #[command(after_help = "Examples:\n  \
        console simulate --no-retry\n  \
        console simulate --messages 500 --sender mean=50ms,failure=0 --sender mean=200ms,failure=0.5\n  \
        console simulate --messages 1000000 --mean-time 0 --failure-rate 0 --keep\n  \
        console simulate --users 1000 --messages-per-user 5 --loss-ratio 0.1 --open-ratio 0.6\n\n\
        Exit status: 0 within the expected range, 1 outside it or interrupted.")]
    Simulate(SimulateArgs),

    /// Run a sandbox server that imitates providers, with receipts and injected faults
    #[command(after_help = sandbox::AFTER_HELP)]
    Sandbox(SandboxArgs),

    /// Enqueue due deliveries again (for cron)
    #[command(
        name = "resend:msg",
        alias = "resend",
        after_help = "Examples:\n  \
        console resend:msg                                 due deliveries\n  \
        console resend:msg --now                           also retries that are not due yet\n  \
        console resend:msg --failed --since 2h --dry-run   show what would be sent again\n  \
        console resend:msg --failed --provider twilio-eu"
    )]
    Resend(ResendArgs),

    /// Update the report (for cron)
    #[command(
        name = "sync:report",
        alias = "sync-report",
        after_help = "Examples:\n  \
        console sync:report\n  \
        console sync:report --full"
    )]
    SyncReport(SyncReportArgs),

    /// Send one message, as a client would over HTTP
    #[command(after_help = "Examples:\n  \
        console send 09122222222 'your code is 1234'\n  \
        console send 09122222222 hello --wait=30s\n  \
        console send user@example.org hello --channel email --subject 'Good morning'\n  \
        console send user@example.org hello --via ses            print the transcript with one provider")]
    Send(SendArgs),

    /// Show counters, backlog and providers
    #[command(after_help = "Example:\n  console status")]
    Status,

    /// Show the timeline of one message
    #[command(after_help = "Example:\n  console message 019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69")]
    Message(MessageArgs),

    /// Show sent messages, and totals by day, user and channel
    #[command(after_help = "Examples:\n  \
        console usage --since 7d\n  \
        console usage --user 5689c3cf --since 2026-05-01 --until 2026-06-01\n  \
        console usage --since 30d --totals --output csv > totals.csv")]
    Usage(UsageArgs),

    /// Show the texts that people sent to our numbers
    #[command(after_help = "Examples:\n  \
        console inbound --since 2h\n  \
        console inbound --from 09122222222 -o json")]
    Inbound(InboundArgs),

    /// Show or change the status of a recipient
    #[command(after_help = "Examples:\n  \
        console recipient 09122222222\n  \
        console recipient 09122222222 --set active --reason \"has written to us\" --by night-shift")]
    Recipient(RecipientArgs),

    /// List, show and replay webhook events
    #[command(after_help = "Examples:\n  \
        console events list --state dead\n  \
        console events replay --dead --since 2d\n  \
        console events secret                  generate a secret for events.secrets")]
    Events(EventsArgs),

    /// Delete old finished messages; their counters stay in the report
    #[command(after_help = "Example:\n  console prune --older-than 90d")]
    Prune(PruneArgs),

    /// Copy the store to a new file while it is in use
    #[command(after_help = "Example:\n  console backup postrider-monday.db")]
    Backup(BackupArgs),

    /// Move to another store while this one is in use
    #[command(
        name = "move",
        after_help = "Examples:\n  \
        console move --to postgres://gateway@db/gateway             copy, then ask before switching\n  \
        console move --to postgres://gateway@db/gateway --switch    copy and switch without asking\n  \
        console move --from postgres://gateway@db/gateway --to sqlite:gateway.db\n\n\
        Run the same command again to continue an interrupted move."
    )]
    Move(MoveArgs),

    /// Check the configuration and every connection, and print what to fix
    #[command(after_help = "Example:\n  console check --config console.toml && console serve")]
    Check,

    /// Print the commented example configuration
    #[command(after_help = "Example:\n  console config > console.toml")]
    Config,

    /// Apply schema migrations (every other command does this automatically)
    #[command(after_help = "Example:\n  console migrate")]
    Migrate,

    /// Print a completion script for a shell
    #[command(
        after_help = "Example:\n  console completions bash > ~/.local/share/bash-completion/completions/console"
    )]
    Completions(CompletionsArgs),

    /// Print the manual page, or write all of them to a folder
    #[command(after_help = "Examples:\n  \
        console man | man -l -\n  \
        console man /usr/local/share/man/man1")]
    Man(ManArgs),
}

/// Arguments of `console serve`.
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on, instead of the configured one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Maximum provider calls in flight; 0: this process delivers nothing
    #[arg(long, value_name = "N")]
    pub concurrency: Option<u32>,
}

/// Arguments of `console work`.
#[derive(Args, Debug)]
pub struct WorkArgs {
    /// Address and port for /metrics, /healthz and /readyz [default: no listener]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Maximum provider calls in flight [default: work.concurrency; 1 for a mock sender]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub concurrency: Option<u32>,

    /// Replace every provider by a mock sender with this mean call time (0 to 60s) [env: SENDER_MEAN_TIME, in seconds]
    #[arg(long, value_name = "DURATION", value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Option<Duration>,

    /// Share of messages that the mock sender rejects: 0 to 1 [env: SENDER_FAILURE_RATE]
    #[arg(long, value_name = "SHARE", value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: Option<f64>,
}

/// Arguments of `console resend:msg`.
#[derive(Args, Debug)]
pub struct ResendArgs {
    /// Also retries that are not due yet; not messages scheduled with `send_at`
    #[arg(long)]
    pub now: bool,

    /// With --now: also messages scheduled with `send_at`
    #[arg(long, requires = "now")]
    pub scheduled: bool,

    /// Requeue failed deliveries, with all tries again
    #[arg(long)]
    pub failed: bool,

    /// Only deliveries whose last attempt was through this provider
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub provider: Option<ConfigName>,

    /// Only messages accepted since this time or age: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// Maximum number of deliveries
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Print what would be done without doing it
    #[arg(long)]
    pub dry_run: bool,
}

/// Arguments of `console sync:report`.
#[derive(Args, Debug)]
pub struct SyncReportArgs {
    /// Rebuild all counters; the result is the same
    #[arg(long)]
    pub full: bool,
}

/// Arguments of `console send`.
#[derive(Args, Debug)]
pub struct SendArgs {
    /// Recipient: a phone number, or another address that the channel accepts
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    pub to: String,

    /// Message body
    #[arg(allow_hyphen_values = true)]
    pub body: String,

    /// Channel
    #[arg(long, value_name = "NAME", default_value = "sms")]
    pub channel: String,

    /// Subject of an email, title of a push notification
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,

    /// Send directly through this provider and print the transcript with secrets masked; nothing is stored, and opt-outs
    /// are not checked
    #[arg(long, value_name = "PROVIDER", value_parser = parse_name, conflicts_with_all = ["channel", "wait"])]
    pub via: Option<ConfigName>,

    /// Wait until the message is sent or failed, at most this long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    pub wait: Option<Duration>,
}

/// Arguments of `console message`.
#[derive(Args, Debug)]
pub struct MessageArgs {
    /// Message id
    #[arg(value_parser = parse_message_id)]
    pub id: MessageId,
}

/// Arguments of `console usage`.
#[derive(Args, Debug)]
pub struct UsageArgs {
    /// Only messages to this user id
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Only messages accepted since this time or age: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// Only messages accepted before this time or age
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub until: Option<TimeArg>,

    /// Maximum number of messages, newest first
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Print only the totals
    #[arg(long)]
    pub totals: bool,

    /// Output format; json is one line for each delivery, with --totals one document
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: OutputFormat,
}

/// Output format of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Human-readable table
    Text,
    /// Comma-separated values
    Csv,
    /// JSON
    Json,
}

/// Arguments of `console recipient`.
#[derive(Args, Debug)]
pub struct RecipientArgs {
    /// Phone number or other address
    pub address: String,

    /// Channel
    #[arg(long, value_name = "NAME", value_parser = parse_name, default_value = "sms")]
    pub channel: ConfigName,

    /// Set the status: active, inactive or opted_out
    #[arg(long, value_name = "STATUS", value_parser = parse_recipient_status)]
    pub set: Option<RecipientStatus>,

    /// Reason for the change
    #[arg(long, value_name = "TEXT", requires = "set")]
    pub reason: Option<String>,

    /// Name of the person making the change [default: operator]
    #[arg(long, value_name = "NAME", requires = "set")]
    pub by: Option<String>,
}

/// Arguments of `console completions`.
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// Shell
    pub shell: Shell,
}

/// Arguments of `console man`.
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Folder to write a page for every command into
    pub folder: Option<PathBuf>,
}

#[cfg(test)]
mod tests;
