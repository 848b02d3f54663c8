//! Facebook's codes, by code or by code and subcode, and the result of a response.
//!
//! A line without a subcode applies to all subcodes without a line of their own.

use std::time::Duration;

use serde_json::Value;

use postrider_core::attempt::{Outcome, SendResult};

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;

/// Cooldown after a throttling error without a time.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Maximum cooldown that Facebook's estimate can request.
const REGAIN_ACCESS_MAX: Duration = Duration::from_secs(60 * 60);

/// Headers with an estimate: JSON with minutes in `estimated_time_to_regain_access`.
const USAGE_HEADERS: [&str; 2] = ["x-business-use-case-usage", "x-app-usage"];

/// Codes, and codes with a subcode.
#[rustfmt::skip]
const MESSENGER_CODES: &[OutcomeCode] = &[
    outcome_code("1/1357046", OutcomeKind::Unknown, "reported as invalid, although it may have been sent"),
    outcome_code("1", OutcomeKind::Unavailable, "unknown error, often a missing permission"),
    outcome_code("2/2018344", OutcomeKind::Misconfigured, "an admin of the page must accept the terms"),
    // Facebook also reports this code if the recipient blocked the page, so the code does not concern the provider
    // alone.
    outcome_code("2", OutcomeKind::Deferred, "temporary error"),
    outcome_code("4/2018354", OutcomeKind::Rejected, "too soon after the last marketing message"),
    outcome_code("4", OutcomeKind::Throttled, "too many requests of the app"),
    outcome_code("9/2018352", OutcomeKind::Rejected, "too many marketing messages to this person"),
    outcome_code("10/2018278", OutcomeKind::Rejected, "the person last wrote more than 24 hours ago"),
    outcome_code("10/2534022", OutcomeKind::Rejected, "the person last wrote more than 24 hours ago"),
    outcome_code("10", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("17", OutcomeKind::Throttled, "too many requests of the user"),
    outcome_code("32", OutcomeKind::Throttled, "too many requests of the page"),
    outcome_code("100/2018001", OutcomeKind::InvalidRecipient, "unknown person"),
    outcome_code("100/33", OutcomeKind::InvalidRecipient, "this page cannot write to this id"),
    outcome_code("100", OutcomeKind::Rejected, "invalid message"),
    outcome_code("102", OutcomeKind::Misconfigured, "the session has expired"),
    outcome_code("190", OutcomeKind::Misconfigured, "the token is not valid or has expired"),
    outcome_code("200/1545041", OutcomeKind::Rejected, "the person cannot be written to now"),
    outcome_code("200/2018108", OutcomeKind::Misconfigured, "the app is in development mode and the person is not a tester"),
    outcome_code("200", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("230", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("299", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("368", OutcomeKind::Misconfigured, "the page is blocked for policy violations"),
    outcome_code("463", OutcomeKind::Misconfigured, "the token has expired"),
    outcome_code("467", OutcomeKind::Misconfigured, "the token is no longer valid"),
    outcome_code("551", OutcomeKind::Rejected, "the person cannot be written to now"),
    outcome_code("613", OutcomeKind::Throttled, "too many requests of this kind"),
    outcome_code("1200", OutcomeKind::Unavailable, "temporary failure"),
    outcome_code("80006", OutcomeKind::Throttled, "too many requests of the page"),
];

/// Returns the result of a response.
pub(super) fn send_result(response: &JsonResponse) -> SendResult {
    if response.status == 200
        && let Some(id) = response.str_at("/message_id").and_then(parse_reference)
    {
        return Outcome::Accepted { reference: Some(id) }.into();
    }
    let error = &response.json["error"];
    let messenger_code = error["code"].as_i64().map(|messenger_code| messenger_code.to_string());
    let subcode = error["error_subcode"].as_i64();
    let code_and_subcode = messenger_code
        .as_ref()
        .zip(subcode)
        .map(|(messenger_code, subcode)| format!("{messenger_code}/{subcode}"));
    let find = |messenger_code: &Option<String>| {
        OutcomeCode::find(MESSENGER_CODES, messenger_code.as_deref()?).copied()
    };
    let code_line = find(&code_and_subcode).or_else(|| find(&messenger_code));
    let code_line = match code_line {
        // A transient error is not evidence against the account.
        Some(code_line) if code_line.outcome != OutcomeKind::Misconfigured => code_line,
        _ if error["is_transient"] == true => {
            outcome_code("", OutcomeKind::Unavailable, "marked as transient")
        }
        _ => code_line.unwrap_or_else(|| response.status_outcome()),
    };
    let retry_after = (code_line.outcome == OutcomeKind::Throttled).then(|| throttle_delay(response));
    let messenger_code = code_and_subcode.or(messenger_code).unwrap_or_else(|| response.http_status_text());
    code_line.send_result(messenger_code, response.str_at("/error/message"), retry_after)
}

/// Returns the cooldown after a throttling error.
fn throttle_delay(response: &JsonResponse) -> Duration {
    let minutes = USAGE_HEADERS.into_iter().find_map(|header| {
        let usage: Value = serde_json::from_slice(response.headers.get(header)?.as_bytes()).ok()?;
        regain_access_minutes(&usage)
    });
    let estimate =
        minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)).min(REGAIN_ACCESS_MAX));
    response.retry_after().or(estimate).unwrap_or(THROTTLED_RETRY_AFTER)
}

/// Returns the largest estimate at any depth.
fn regain_access_minutes(usage: &Value) -> Option<u64> {
    let minutes_max = match usage {
        Value::Object(fields) => {
            let estimate = fields.get("estimated_time_to_regain_access").and_then(Value::as_u64);
            fields.values().filter_map(regain_access_minutes).chain(estimate).max()
        }
        Value::Array(elements) => elements.iter().filter_map(regain_access_minutes).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    minutes_max.filter(|minutes| *minutes > 0)
}

#[cfg(test)]
mod tests;
