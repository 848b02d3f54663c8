//! Arguments of `simulate`, `produce` and `monitor`. Ranges of values are checked by the parsers of `postrider-loadgen`.

use std::time::Duration;

use clap::Args;
use clap::builder::ArgPredicate;

use super::values::parse_interval;
use postrider_loadgen::mock_sender::{MockSender, ReceiptRatios};
use postrider_loadgen::options::{
    parse_broadcast_count, parse_failure_rate, parse_mean_time, parse_message_count, parse_ratio,
    parse_sender, parse_user_count,
};
use postrider_loadgen::simulate::SimulationAudience;

/// Arguments of `console simulate`.
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// Number of messages
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse_message_count, allow_negative_numbers = true)]
    pub messages: u32,

    /// Number of mock senders
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub senders: u32,

    /// Mean call time of a sender, exponentially distributed: 0 to 60s [with --users: 0s]
    #[arg(long, value_name = "DURATION", default_value = "100ms", default_value_if("users", ArgPredicate::IsPresent, "0s"), value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Duration,

    /// Share of calls that fail: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.2", default_value_if("users", ArgPredicate::IsPresent, "0"), value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: f64,

    /// One sender with its own values, instead of --senders: mean=2s,failure=0.1 (repeatable)
    #[arg(long, value_name = "VALUES", conflicts_with = "senders")]
    pub sender: Vec<String>,

    /// Calls in flight per sender [default: 1, or 1024 if the mean time is 0]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,

    /// Random seed: repeats the same messages and results
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,

    /// Register this many users and publish broadcasts to all of them, instead of single messages
    #[arg(long, value_name = "N", value_parser = parse_user_count, allow_negative_numbers = true,
        conflicts_with_all = ["messages", "sender", "failure_rate", "no_retry"])]
    pub users: Option<u32>,

    /// Number of broadcasts
    #[arg(long, value_name = "N", default_value = "5", requires = "users", value_parser = parse_broadcast_count, allow_negative_numbers = true)]
    pub messages_per_user: u32,

    /// Share of sent messages that are not delivered: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.1", requires = "users", value_parser = parse_ratio, allow_negative_numbers = true)]
    pub loss_ratio: f64,

    /// Share of delivered messages that are opened: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.6", requires = "users", value_parser = parse_ratio, allow_negative_numbers = true)]
    pub open_ratio: f64,

    /// Do not retry failed calls [default: retry as configured, with delays divided by 3000]
    #[arg(long)]
    pub no_retry: bool,

    /// Use this empty store and keep it
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "sqlite:postrider-simulation.db")]
    pub keep: Option<String>,
}

impl SimulateArgs {
    /// Returns the users and broadcasts of `--users`.
    pub fn audience(&self) -> Option<SimulationAudience> {
        self.users.map(|users| SimulationAudience {
            users,
            broadcasts: self.messages_per_user,
            receipt_ratios: ReceiptRatios { loss_ratio: self.loss_ratio, open_ratio: self.open_ratio },
        })
    }

    /// Returns the senders of `--sender` or `--senders`.
    ///
    /// # Errors
    ///
    /// The error text names the expected form of `--sender`.
    pub fn mock_senders(&self) -> Result<Vec<MockSender>, String> {
        let default = MockSender { mean_time: self.mean_time, failure_rate: self.failure_rate };
        if self.sender.is_empty() {
            return Ok((0..self.senders).map(|_| default).collect());
        }
        self.sender.iter().map(|text| parse_sender(text, default)).collect()
    }
}

/// Arguments of `console produce`.
#[derive(Args, Debug)]
pub struct ProduceArgs {
    /// Number of messages [env: MESSAGE_COUNT] [default: 1000]
    #[arg(long, value_name = "N", value_parser = parse_message_count, allow_negative_numbers = true)]
    pub messages: Option<u32>,

    /// Channel
    #[arg(long, value_name = "NAME", default_value = "sms")]
    pub channel: String,

    /// Random seed: repeats the same numbers and texts
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
}

/// Arguments of `console monitor`.
#[derive(Args, Debug)]
pub struct MonitorArgs {
    /// Poll interval [env: MONITOR_INTERVAL, in seconds] [default: 5s]
    #[arg(long, value_name = "DURATION", value_parser = parse_interval, allow_negative_numbers = true)]
    pub interval: Option<Duration>,

    /// Print plain lines even on a terminal
    #[arg(long)]
    pub plain: bool,
}
