//! What was typed: every command, every option, and the words of `--help`.
//!
//! Reads text into checked values and nothing more; what a command does stands in `commands/`. The help of each
//! command is a golden file in `tests/golden/help`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use postrider_core::clock::Timestamp;
use postrider_core::duration::parse_duration;
use postrider_core::id::MessageId;
use postrider_core::name::ConfigName;
use postrider_core::recipient::RecipientStatus;
use postrider_engine::config::mock_sender::{parse_failure_rate, parse_mean_time};

mod events;
mod loadgen;
mod sandbox;
mod store;

pub use events::{EventsArgs, EventsCommand, EventsListArgs, EventsReplayArgs, EventsShowArgs};
pub use loadgen::{MonitorArgs, ProduceArgs, SimulateArgs};
pub use sandbox::SandboxArgs;
pub use store::{BackupArgs, MoveArgs, PruneArgs};

/// Where the help shows what every command takes.
const GLOBAL_OPTIONS_HEADING: &str = "Options of every command";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(
    name = "console",
    version,
    max_term_width = 100,
    about = "A message gateway: accepts a message, keeps it safe, and gets it to a person",
    after_help = "Examples:\n  \
        console serve                         a sandbox at http://127.0.0.1:8080\n  \
        console send 09122222222 'hello'      hand in a message\n  \
        console status                        how it goes\n\n\
        Exit status: 0 the duty is done, 1 a failure, 2 wrong usage or configuration."
)]
pub struct Cli {
    /// Configuration file; console.toml in the working directory when there is one
    #[arg(long, global = true, value_name = "FILE", help_heading = GLOBAL_OPTIONS_HEADING)]
    #[arg(env = "POSTRIDER_CONFIG", hide_env_values = true)]
    config: Option<OsString>,

    /// Say more: why something failed, then what is done (-vv)
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = GLOBAL_OPTIONS_HEADING)]
    pub verbose: u8,

    /// Log failures only
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = GLOBAL_OPTIONS_HEADING)]
    pub quiet: bool,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// The configuration file that was named; an empty name counts as none.
    pub fn config(&self) -> Option<PathBuf> {
        let config = self.config.as_ref()?;
        (!config.is_empty()).then(|| PathBuf::from(config))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accept messages over HTTP, deliver them, and show the report
    #[command(after_help = "Examples:\n  \
        console serve\n  \
        console serve --listen 127.0.0.1:9000\n  \
        console serve --workers 0             intake and page only; `console work` delivers")]
    Serve(ServeArgs),

    /// Deliver messages that another process accepts
    #[command(after_help = "Examples:\n  \
        console work\n  \
        console work --workers 64\n  \
        console work --listen 127.0.0.1:9100                  metrics of its own\n  \
        console work --mean-time 100ms --failure-rate 0.2     one sender that only plays")]
    Work(WorkArgs),

    /// Put any number of invented messages into the store and the queue
    #[command(after_help = "Examples:\n  \
        console produce\n  \
        console produce --messages 1000000")]
    Produce(ProduceArgs),

    /// Watch how it goes: three lines every interval, on a terminal a live screen
    #[command(after_help = "Examples:\n  \
        console monitor\n  \
        console monitor --interval 1s | tee monitor.log")]
    Monitor(MonitorArgs),

    /// Try an emergency alert, or messages to all users, end to end with senders that only play, on a store of its own
    #[command(after_help = "Examples:\n  \
        console simulate --no-retry\n  \
        console simulate --messages 500 --sender mean=50ms,failure=0 --sender mean=200ms,failure=0.5\n  \
        console simulate --messages 1000000 --mean-time 0 --failure-rate 0 --keep\n  \
        console simulate --users 1000 --messages-per-user 5 --loss-ratio 0.1 --open-ratio 0.6\n\n\
        Exit status: 0 as theory expects, 1 outside of it or interrupted.")]
    Simulate(SimulateArgs),

    /// Play providers that others can be tried with, faults and receipts included
    #[command(after_help = sandbox::AFTER_HELP)]
    Sandbox(SandboxArgs),

    /// Queue unsent messages again (for cron)
    #[command(
        name = "resend:msg",
        alias = "resend",
        after_help = "Examples:\n  \
        console resend:msg                                 what is due\n  \
        console resend:msg --now                           also what waits for its time\n  \
        console resend:msg --failed --since 2h --dry-run   what would be sent again\n  \
        console resend:msg --failed --provider twilio-eu"
    )]
    Resend(ResendArgs),

    /// Bring the report up to date (for cron)
    #[command(
        name = "sync:report",
        alias = "sync-report",
        after_help = "Examples:\n  \
        console sync:report\n  \
        console sync:report --full"
    )]
    SyncReport(SyncReportArgs),

    /// Hand in one message, as a client would over HTTP
    #[command(after_help = "Examples:\n  \
        console send 09122222222 'your code is 1234'\n  \
        console send 09122222222 hello --wait=30s\n  \
        console send user@example.org hello --channel email --subject 'Good morning'\n  \
        console send user@example.org hello --via ses            the whole conversation with one provider")]
    Send(SendArgs),

    /// Show how it goes: counters, what waits, the providers
    #[command(after_help = "Example:\n  console status")]
    Status,

    /// Show all that happened to one message
    #[command(after_help = "Example:\n  console message 019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69")]
    Message(MessageArgs),

    /// Show what was sent to whom, and what it comes to by day, person and channel
    #[command(after_help = "Examples:\n  \
        console usage --since 7d\n  \
        console usage --user 5689c3cf --since 2026-05-01 --until 2026-06-01\n  \
        console usage --since 30d --totals --as csv > totals.csv")]
    Usage(UsageArgs),

    /// Show whether an address may be written to, and change it
    #[command(after_help = "Examples:\n  \
        console recipient 09122222222\n  \
        console recipient 09122222222 --set active --reason \"has written to us\" --by night-shift")]
    Recipient(RecipientArgs),

    /// What clients were told of their messages, and telling it again
    #[command(after_help = "Examples:\n  \
        console events list --state dead\n  \
        console events replay --dead --since 2d\n  \
        console events secret                  a secret for events.secrets")]
    Events(EventsArgs),

    /// Delete old messages that have ended; the report keeps counting them
    #[command(after_help = "Example:\n  console prune --older-than 90d")]
    Prune(PruneArgs),

    /// Copy the whole store to a new file while it is in use
    #[command(after_help = "Example:\n  console backup postrider-monday.db")]
    Backup(BackupArgs),

    /// Move everything to another store while this one is in use
    #[command(
        name = "move",
        after_help = "Examples:\n  \
        console move --to postgres://gateway@db/gateway             copy, then ask for the switch\n  \
        console move --to postgres://gateway@db/gateway --switch    copy and switch without asking\n  \
        console move --from postgres://gateway@db/gateway --to sqlite:gateway.db\n\n\
        What is interrupted goes on when the same command is run again."
    )]
    Move(MoveArgs),

    /// Read the configuration, try every connection, and say what is wrong and what to do
    #[command(after_help = "Example:\n  console check --config console.toml && console serve")]
    Check,

    /// Bring the store's tables up to this version; every other command does so by itself
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

/// `console serve`
#[derive(Args, Debug)]
pub struct ServeArgs {
    /// Address and port to listen on, instead of the configured one
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,

    /// Most calls to providers in flight; 0: none, other processes deliver
    #[arg(long, value_name = "N")]
    pub workers: Option<u32>,
}

/// `console work`
#[derive(Args, Debug)]
pub struct WorkArgs {
    /// Address and port where machines may ask for /metrics, /healthz and /readyz; nobody may without it
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub listen: Option<SocketAddr>,

    /// Most calls to providers in flight; of a sender that only plays 1 when not given
    #[arg(long, visible_alias = "concurrency", value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub workers: Option<u32>,

    /// Play a sender that takes so long for a message on average (0 to 60s) in place of every provider; else
    /// SENDER_MEAN_TIME (seconds) from the environment
    #[arg(long, value_name = "DURATION", value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Option<Duration>,

    /// The share of messages it fails to send (0 to 1), which have failed then; else SENDER_FAILURE_RATE
    #[arg(long, value_name = "SHARE", value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: Option<f64>,
}

/// `console resend:msg`
#[derive(Args, Debug)]
pub struct ResendArgs {
    /// Also those that still wait for their time
    #[arg(long)]
    pub now: bool,

    /// The failed ones, with fresh tries
    #[arg(long)]
    pub failed: bool,

    /// Only those that this provider was the last to be asked for
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub provider: Option<ConfigName>,

    /// Only those accepted since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// `console sync:report`
#[derive(Args, Debug)]
pub struct SyncReportArgs {
    /// Count everything again from nothing; it comes to the same numbers
    #[arg(long)]
    pub full: bool,
}

/// `console send`
#[derive(Args, Debug)]
pub struct SendArgs {
    /// To whom: a phone number, or whatever the channel takes
    #[arg(value_name = "NUMBER", allow_hyphen_values = true)]
    pub to: String,

    /// What to say
    #[arg(allow_hyphen_values = true)]
    pub body: String,

    /// Over which channel
    #[arg(long, value_name = "NAME", default_value = "sms")]
    pub channel: String,

    /// The line above it, for channels that have one: the subject of a mail, the title of a push
    #[arg(long, value_name = "TEXT")]
    pub subject: Option<String>,

    /// Try this provider out: send it at once, through it alone, and print the whole conversation with secrets masked;
    /// nothing is stored, and nobody's wish to get no messages is looked up
    #[arg(long, value_name = "PROVIDER", value_parser = parse_name, conflicts_with_all = ["channel", "wait"])]
    pub via: Option<ConfigName>,

    /// Wait until it has left, at most so long
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, num_args = 0..=1, require_equals = true, default_missing_value = "30s")]
    pub wait: Option<Duration>,
}

/// `console message`
#[derive(Args, Debug)]
pub struct MessageArgs {
    /// The id that the message was accepted under
    #[arg(value_parser = parse_message_id)]
    pub id: MessageId,
}

/// `console usage`
#[derive(Args, Debug)]
pub struct UsageArgs {
    /// Only to this person: the user id that the client gave
    #[arg(long, value_name = "ID")]
    pub user: Option<String>,

    /// Only what was accepted since then: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// Only what was accepted before then
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub until: Option<TimeArg>,

    /// At most so many messages, the newest
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,

    /// Only the totals
    #[arg(long)]
    pub totals: bool,

    /// For people, for spreadsheets, or a line of JSON for each delivery (with --totals: for all)
    #[arg(long = "as", value_name = "FORM", default_value = "text")]
    pub format: OutputFormat,
}

/// How a listing is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Text,
    /// For spreadsheets
    Csv,
    /// For programs
    Json,
}

/// `console recipient`
#[derive(Args, Debug)]
pub struct RecipientArgs {
    /// The number or address
    pub address: String,

    /// On which channel
    #[arg(long, value_name = "NAME", value_parser = parse_name, default_value = "sms")]
    pub channel: ConfigName,

    /// Whether it may be written to from now on: active, inactive or opted_out
    #[arg(long, value_name = "STANDING", value_parser = parse_recipient_status)]
    pub set: Option<RecipientStatus>,

    /// Why it is changed, for whoever looks later
    #[arg(long, value_name = "TEXT", requires = "set")]
    pub reason: Option<String>,

    /// Who changes it [default: operator]
    #[arg(long, value_name = "NAME", requires = "set")]
    pub by: Option<String>,
}

/// `console completions`
#[derive(Args, Debug)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// `console man`
#[derive(Args, Debug)]
pub struct ManArgs {
    /// Write a page for every command into this folder
    pub folder: Option<PathBuf>,
}

/// A moment, as an operator names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeArg {
    /// At this moment.
    Absolute(Timestamp),
    /// So long ago.
    Relative(Duration),
}

impl TimeArg {
    /// The moment, seen from `now`; the beginning of time when it lies before that.
    pub fn resolve(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Absolute(moment) => moment,
            Self::Relative(duration) => chrono::TimeDelta::from_std(duration)
                .ok()
                .and_then(|duration| now.checked_sub_signed(duration))
                .unwrap_or(DateTime::UNIX_EPOCH),
        }
    }
}

fn parse_time(text: &str) -> Result<TimeArg, String> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Ok(TimeArg::Absolute(moment.with_timezone(&Utc)));
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(TimeArg::Absolute(day.and_time(NaiveTime::MIN).and_utc()));
    }
    parse_duration(text).map(TimeArg::Relative).map_err(|_| {
        "write a duration (90m, 2h, 7d), a day (2026-05-01) or a moment (2026-05-01T12:00:00Z)".to_owned()
    })
}

fn parse_recipient_status(text: &str) -> Result<RecipientStatus, String> {
    RecipientStatus::parse(text).ok_or_else(|| "write active, inactive or opted_out".to_owned())
}

fn parse_name(text: &str) -> Result<ConfigName, String> {
    text.parse()
        .map_err(|_| "a name has 1 to 64 letters, digits, '-', '_' or '.'".to_owned())
}

fn parse_message_id(text: &str) -> Result<MessageId, String> {
    text.parse()
        .map_err(|_| "an id looks like 019aa5f2-5c1e-7b5e-8f0a-3f1d2c4b5a69".to_owned())
}

#[cfg(test)]
mod tests;
