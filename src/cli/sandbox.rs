//! The options of `sandbox`, a stand-in for providers.
//!
//! Ranges are `config::sandbox`'s and `config::simulation`'s; what they do is `sandbox/`'s.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use postrider_engine::config::mock_sender::{parse_failure_rate, parse_mean_time};
use postrider_engine::config::options::{
    SandboxReceiptShares, parse_gateway_url, parse_receipt_delay, parse_receipt_shares,
};

/// What stands below the options. A test compares the numbers with what the sandbox does.
pub(super) const AFTER_HELP: &str = "Examples:\n  \
    console sandbox | tee console.toml      then, in the same folder: console serve\n  \
    console sandbox --failure-rate 0 --receipts delivered=1 --receipt-delay 0\n  \
    curl -X PUT http://127.0.0.1:8090/faults -d '{\"fault\":\"throttle\",\"seconds\":30,\"retry_after\":7}'\n\n\
    Numbers with a fate of their own, on every wire:\n  \
    +12025550100 takes it and delivers it\n  \
    +12025550101 refuses the number as invalid\n  \
    +12025550102 fails at once\n  \
    +12025550103 is too busy: 429 with Retry-After\n  \
    +12025550104 takes it, and it fails\n  \
    +12025550105 takes it, and the number is invalid\n  \
    +12025550106 takes it and is never heard of again\n  \
    +12025550107 answers slowly, byte by byte, and delivers it\n  \
    +12025550108 never answers\n  \
    +12025550109 answers 200 with something else";

/// `console sandbox`
#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// The share of messages that it fails to take: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: f64,

    /// How long an answer takes on average, exponentially spread: 0 to 60s
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Duration,

    /// How long after a message was taken its receipt comes, always the same: 0 to 1h
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_receipt_delay, allow_negative_numbers = true)]
    pub receipt_delay: Duration,

    /// What receipts say, as shares from 0 to 1; the rest of the messages gets none
    #[arg(long, value_name = "SHARES", default_value = "delivered=0.9,failed=0.08,invalid=0.02", value_parser = parse_receipt_shares)]
    pub receipts: SandboxReceiptShares,

    /// The same luck again, for the same calls in the same order
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,

    /// Where the gateway is; receipts go there when a message to the Twilio-like wire names no callback
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = parse_gateway_url)]
    pub receipts_to: String,
}
