//! Arguments of `sandbox`. Ranges of values are checked by the parsers of `postrider-loadgen`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;

use postrider_loadgen::options::{parse_failure_rate, parse_mean_time};
use postrider_loadgen::sandbox_server::{
    SandboxReceiptShares, parse_gateway_url, parse_receipt_delay, parse_receipt_shares,
};

/// Help below the options. A test of `postrider-loadgen` compares the test numbers with the sandbox server.
pub(super) const AFTER_HELP: &str = "Examples:\n  \
    console sandbox | tee console.toml      then, in the same folder: console serve\n  \
    console sandbox --failure-rate 0 --receipts delivered=1 --receipt-delay 0\n  \
    curl -X PUT http://127.0.0.1:8090/faults -H 'Content-Type: application/json' -d '{\"fault\":\"throttle\",\"seconds\":30,\"retry_after\":7}'\n\n\
    Test numbers, on every API:\n  \
    +12025550100 accepts, receipt delivered\n  \
    +12025550101 rejects the number as invalid\n  \
    +12025550102 fails with a server error\n  \
    +12025550103 throttles: 429 with Retry-After\n  \
    +12025550104 accepts, receipt failed\n  \
    +12025550105 accepts, receipt invalid\n  \
    +12025550106 accepts, no receipt\n  \
    +12025550107 responds slowly, byte by byte; receipt delivered\n  \
    +12025550108 does not respond\n  \
    +12025550109 responds 200 with a malformed body";

/// Arguments of `console sandbox`.
#[derive(Args, Debug)]
pub struct SandboxArgs {
    /// Address and port to listen on
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,

    /// Share of messages answered with a server error: 0 to 1
    #[arg(long, value_name = "SHARE", default_value = "0.1", value_parser = parse_failure_rate, allow_negative_numbers = true)]
    pub failure_rate: f64,

    /// Mean response time, exponentially distributed: 0 to 60s
    #[arg(long, value_name = "DURATION", default_value = "100ms", value_parser = parse_mean_time, allow_negative_numbers = true)]
    pub mean_time: Duration,

    /// Constant delay between acceptance and receipt: 0 to 1h
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = parse_receipt_delay, allow_negative_numbers = true)]
    pub receipt_delay: Duration,

    /// Shares of receipt states, from 0 to 1; the remaining messages get no receipt
    #[arg(long, value_name = "SHARES", default_value = "delivered=0.9,failed=0.08,invalid=0.02", value_parser = parse_receipt_shares)]
    pub receipts: SandboxReceiptShares,

    /// Random seed: the same calls in the same order get the same results
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u32>,

    /// Gateway URL, for receipts of Twilio messages without a StatusCallback
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080", value_parser = parse_gateway_url)]
    pub gateway_url: String,
}
