//! Parses the HTTP header `Retry-After`.
//!
//! A malformed header requests no delay.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::{DATE, HeaderMap, HeaderValue, RETRY_AFTER};

use postrider_core::clock::Timestamp;
use postrider_core::shared_health::COOLDOWN_MAX;

/// Maximum delay that a `Retry-After` header can request. The provider's `cooldown_max` limits it further.
const RETRY_AFTER_MAX: Duration = COOLDOWN_MAX;

/// Returns the delay that the header requests, at most a day. A date is compared with the response's own `Date`
/// header, or with `now` when there is none.
pub(crate) fn parse_retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let retry_after = headers.get(RETRY_AFTER)?;
    let delay = match retry_after.to_str().ok()?.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let server_now = headers.get(DATE).and_then(parse_date);
            let retry_at = parse_date(retry_after)?;
            (retry_at - server_now.unwrap_or(now)).to_std().unwrap_or_default()
        }
    };
    Some(delay.min(RETRY_AFTER_MAX))
}

fn parse_date(header: &HeaderValue) -> Option<DateTime<Utc>> {
    let date = DateTime::parse_from_rfc2822(header.to_str().ok()?.trim());
    date.ok().map(|date| date.to_utc())
}

#[cfg(test)]
mod tests;
