//! Arguments of `console inbound`.

use clap::{Args, ValueEnum};

use super::values::{TimeArg, parse_name, parse_time};
use postrider_core::name::ConfigName;

/// Arguments of `console inbound`.
#[derive(Args, Debug)]
pub struct InboundArgs {
    /// Only messages from this phone number or other address
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,

    /// Only messages to this number or name of ours, as the provider writes it
    #[arg(long, value_name = "NUMBER")]
    pub to: Option<String>,

    /// Only messages of this provider
    #[arg(long, value_name = "NAME", value_parser = parse_name)]
    pub provider: Option<ConfigName>,

    /// Only messages received since this time or age: 2h, 2026-05-01, 2026-05-01T12:00:00Z
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub since: Option<TimeArg>,

    /// Only messages received before this time or age
    #[arg(long, value_name = "TIME|DURATION", value_parser = parse_time)]
    pub until: Option<TimeArg>,

    /// Maximum number of messages, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub limit: u32,

    /// Output format; json is one line for each message
    #[arg(short, long, value_name = "FORMAT", default_value = "text")]
    pub output: InboundFormat,
}

/// Output format of `console inbound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum InboundFormat {
    /// Human-readable lines
    Text,
    /// JSON
    Json,
}
