//! Maps HTTP statuses to outcomes, for every adapter that uses HTTP.
//!
//! The table applies when the response has no known code of the provider; an adapter overrides single codes in its own
//! code table. Only 401 and 403 are evidence about the account and become `Misconfigured`. A status about the URL or
//! the form of the request would be the same for every message, so it becomes `Unavailable` and the next provider is
//! tried.

use std::time::Duration;

use crate::outcome_kind::OutcomeKind;

/// Returns the outcome that a status implies.
///
/// A 2xx is `Unknown`: the adapter found no confirmation of the provider in the response, and the message may have been
/// sent. A 303 is `Unknown` too, because it redirects to the result of a request that was processed.
pub(crate) fn outcome_of_status(status: u16, retry_after: Option<Duration>) -> OutcomeKind {
    match status {
        200..=299 | 303 => OutcomeKind::Unknown,
        401 | 403 => OutcomeKind::Misconfigured,
        429 => OutcomeKind::Throttled,
        503 if retry_after.is_some() => OutcomeKind::Throttled,
        300..=399 | 402 | 404..=408 | 410 | 411 | 415 | 421 | 425 | 426 | 500..=599 => {
            OutcomeKind::Unavailable
        }
        400..=499 => OutcomeKind::Rejected,
        _ => OutcomeKind::Unknown,
    }
}

/// Describes the status for an operator.
pub(crate) fn describe_status(status: u16) -> &'static str {
    match status {
        200..=299 => "the response does not confirm the message",
        401 | 403 => "the provider refuses the account",
        402 => "the provider requires a payment",
        429 => "too many requests",
        300..=399 | 404..=407 | 410 | 411 | 415 | 421 | 426 => {
            "the provider does not serve this URL; see base_url"
        }
        408 | 425 | 500..=599 => "the provider has an internal error",
        400..=499 => "the provider refuses the message",
        _ => "the response has no valid HTTP status",
    }
}

/// Returns a status as an attempt's code: `HTTP 503`.
pub(crate) fn status_code(status: u16) -> String {
    format!("HTTP {status}")
}

#[cfg(test)]
mod tests;
