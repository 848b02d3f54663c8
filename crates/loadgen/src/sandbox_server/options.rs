//! The options of the sandbox server, and the parsers of their values.

use std::time::Duration;

use crate::options::{parse_duration_in_range, parse_share};

/// Range of the delay of receipts.
const RECEIPT_DELAY_RANGE: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3_600));

/// Maximum rounding error by which a sum of shares may exceed 1.
const SHARE_ROUNDING_MAX: f64 = 1e-9;

/// Options of a sandbox server.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Share of calls that fail with a server error.
    pub failure_rate: f64,
    /// Mean response time, exponentially distributed.
    pub mean_time: Duration,
    /// Constant delay between acceptance and receipt.
    pub receipt_delay: Duration,
    /// Shares of receipt statuses.
    pub receipt_shares: SandboxReceiptShares,
    /// URL of the gateway, for receipts of Twilio messages without a callback URL.
    pub gateway_url: String,
    /// Random seed: the same calls in the same order get the same results.
    pub seed: Option<u32>,
}

/// Shares of receipt statuses; the remaining messages get no receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SandboxReceiptShares {
    /// Share of messages delivered.
    pub delivered: f64,
    /// Share of messages not delivered.
    pub failed: f64,
    /// Share of messages whose number does not exist.
    pub invalid: f64,
}

/// Parses the delay of receipts: `2s`, or a number of seconds.
pub fn parse_receipt_delay(text: &str) -> Result<Duration, String> {
    parse_duration_in_range(text, "receipt delay", RECEIPT_DELAY_RANGE)
}

/// Parses shares of receipts: `delivered=0.9,failed=0.08,invalid=0.02`; a status that is left out has the share 0.
pub fn parse_receipt_shares(text: &str) -> Result<SandboxReceiptShares, String> {
    let mut shares = SandboxReceiptShares::default();
    for assignment in text.split(',').map(str::trim) {
        let (status, share_text) = assignment.split_once('=').unwrap_or((assignment, ""));
        let share = match status.trim() {
            "delivered" => &mut shares.delivered,
            "failed" => &mut shares.failed,
            "invalid" => &mut shares.invalid,
            _ => {
                return Err(format!(
                    "unknown share \"{assignment}\"; expected delivered=0.9,failed=0.08,invalid=0.02"
                ));
            }
        };
        *share =
            parse_share(share_text, "number", "0.9").map_err(|problem| format!("{status}: {problem}"))?;
    }
    if shares.delivered + shares.failed + shares.invalid > 1.0 + SHARE_ROUNDING_MAX {
        return Err("expected shares whose sum is from 0 to 1".to_owned());
    }
    Ok(shares)
}

/// Parses the URL of a gateway: `http://HOST:PORT`. The result has no slash at its end.
pub fn parse_gateway_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text.trim()).ok();
    let is_bare = |url: &reqwest::Url| {
        url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none()
    };
    url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && is_bare(url))
        .map(|url| url.as_str().trim_end_matches('/').to_owned())
        .ok_or_else(|| "expected the URL of the gateway, as http://HOST:PORT".to_owned())
}

#[cfg(test)]
mod tests;
