//! The options of `simulate`, `produce` and `monitor`: the parts of an emergency alert, together and apart.
//!
//! Ranges are `config::simulation`'s, which has them for the variables, too.

use std::time::Duration;

use clap::Args;
use clap::builder::ArgPredicate;

use postrider_engine::config::mock_sender::{
    MockSender, ReceiptRatios, parse_broadcast_count, parse_failure_rate, parse_interval, parse_mean_time,
    parse_message_count, parse_ratio, parse_sender, parse_user_count,
};

/// `console simulate`
#[derive(Args, Debug)]
pub struct SimulateArgs {
    /// How many messages
    #[arg(long, value_name = "N", default_value = "1000", value_parser = parse_message_count, allow_negative_numbers = true)]
    pub messages: u32,

    /// How many senders, each taking messages by itself
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub senders: u32,

    /// How long a sender takes for a message on average, exponentially spread: 0 to 60s; with --users 0s if not said
    #[arg(long, value_name = "DURATION", default_value = "100ms", default_value_if("users", ArgPredicate::IsPresent, "0s"), value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Duration,

    /// The share of messages that a sender fails to send: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.2", default_value_if("users", ArgPredicate::IsPresent, "0"), value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: f64,

    /// A sender with values of its own, in place of --senders: mean=2s,failure=0.1 (repeat it for more)
    #[arg(long, value_name = "VALUES", conflicts_with = "senders")]
    pub sender: Vec<String>,

    /// Messages that a sender has in hand at once; 1, or 1024 for one that takes no time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub concurrency: Option<u32>,

    /// The same run again: the same messages, the same luck
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,

    /// In place of an alert: so many users register, and messages are published to all of them
    #[arg(long, value_name = "N", value_parser = parse_user_count, allow_negative_numbers = true,
        conflicts_with_all = ["messages", "sender", "failure_rate", "no_retry"])]
    pub users: Option<u32>,

    /// How many messages are published
    #[arg(long, value_name = "N", default_value = "5", requires = "users", value_parser = parse_broadcast_count, allow_negative_numbers = true)]
    pub messages_per_user: u32,

    /// The share of messages that do not arrive: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.1", requires = "users", value_parser = parse_ratio, allow_negative_numbers = true)]
    pub loss_ratio: f64,

    /// The share of what arrived that its user opens: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.6", requires = "users", value_parser = parse_ratio, allow_negative_numbers = true)]
    pub open_ratio: f64,

    /// What fails has failed; without it, it is tried again as configured, with waits 3000 times shorter
    #[arg(long)]
    pub no_retry: bool,

    /// Keep the store: an empty one to use and leave there
    #[arg(long, value_name = "URL", num_args = 0..=1, require_equals = true, default_missing_value = "sqlite:postrider-simulation.db")]
    pub keep: Option<String>,
}

impl SimulateArgs {
    /// What follows what was sent; nothing in an alert.
    pub fn receipt_ratios(&self) -> Option<ReceiptRatios> {
        self.users.map(|_| ReceiptRatios {
            loss_ratio: self.loss_ratio,
            open_ratio: self.open_ratio,
        })
    }

    /// The senders that were asked for; an error says how to write one.
    pub fn mock_senders(&self) -> Result<Vec<MockSender>, String> {
        let usual = MockSender {
            mean_time: self.mean_time,
            failure_rate: self.failure_rate,
        };
        if self.sender.is_empty() {
            return Ok((0..self.senders).map(|_| usual).collect());
        }
        self.sender.iter().map(|text| parse_sender(text, usual)).collect()
    }
}

/// `console produce`
#[derive(Args, Debug)]
pub struct ProduceArgs {
    /// How many messages; else MESSAGE_COUNT from the environment, else 1000
    #[arg(long, value_name = "N", value_parser = parse_message_count, allow_negative_numbers = true)]
    pub messages: Option<u32>,

    /// Over which channel
    #[arg(long, value_name = "NAME", default_value = "sms")]
    pub channel: String,

    /// The same numbers and texts again
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,
}

/// `console monitor`
#[derive(Args, Debug)]
pub struct MonitorArgs {
    /// How often to look; else MONITOR_INTERVAL (seconds) from the environment, else 5s
    #[arg(long, value_name = "DURATION", value_parser = parse_interval, allow_negative_numbers = true)]
    pub interval: Option<Duration>,

    /// Lines also on a terminal
    #[arg(long)]
    pub plain: bool,
}
