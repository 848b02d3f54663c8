//! The Send API's answers as outcomes, by code and subcode.
//!
//! A code alone stands for all subcodes that have no line of their own.

use std::time::Duration;

use serde_json::Value;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::{Outcome, SendResult};

/// How long Facebook is left alone when it says "too fast" and no time.
const THROTTLED_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The longest pause that its own estimate can ask for.
const REGAIN_ACCESS_MAX: Duration = Duration::from_secs(60 * 60);

/// Where it says how long: JSON with minutes in `estimated_time_to_regain_access`.
const USAGE_HEADERS: [&str; 2] = ["x-business-use-case-usage", "x-app-usage"];

/// Code and subcode.
const MESSENGER_CODES: &[OutcomeCode] = &[
    outcome_code(
        "1/1357046",
        OutcomeKind::Unknown,
        "called invalid, although it was sent",
    ),
    outcome_code(
        "1",
        OutcomeKind::Unavailable,
        "an error it does not name, often a missing permission",
    ),
    outcome_code(
        "2/2018344",
        OutcomeKind::Misconfigured,
        "an admin of the page has to accept the terms",
    ),
    // Also what a person who blocked the page comes to, so it does not speak of Facebook alone.
    outcome_code("2", OutcomeKind::Deferred, "an error that may pass"),
    outcome_code(
        "4/2018354",
        OutcomeKind::Rejected,
        "too soon after the last marketing message",
    ),
    outcome_code("4", OutcomeKind::Throttled, "too many requests of the app"),
    outcome_code(
        "9/2018352",
        OutcomeKind::Rejected,
        "too many marketing messages to this person",
    ),
    outcome_code(
        "10/2018278",
        OutcomeKind::Rejected,
        "the person last wrote more than 24 hours ago",
    ),
    outcome_code(
        "10/2534022",
        OutcomeKind::Rejected,
        "the person last wrote more than 24 hours ago",
    ),
    outcome_code("10", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("17", OutcomeKind::Throttled, "too many requests of the user"),
    outcome_code("32", OutcomeKind::Throttled, "too many requests of the page"),
    outcome_code(
        "100/2018001",
        OutcomeKind::InvalidRecipient,
        "there is no such person",
    ),
    outcome_code(
        "100/33",
        OutcomeKind::InvalidRecipient,
        "this page cannot write to that id",
    ),
    outcome_code("100", OutcomeKind::Rejected, "something in the message is wrong"),
    outcome_code("102", OutcomeKind::Misconfigured, "the session has ended"),
    outcome_code(
        "190",
        OutcomeKind::Misconfigured,
        "the token is wrong or has ended",
    ),
    outcome_code(
        "200/1545041",
        OutcomeKind::Rejected,
        "the person cannot be written to now",
    ),
    outcome_code(
        "200/2018108",
        OutcomeKind::Misconfigured,
        "the app is in development mode, and the person is no tester",
    ),
    outcome_code("200", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("230", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code("299", OutcomeKind::Misconfigured, "the app lacks a permission"),
    outcome_code(
        "368",
        OutcomeKind::Misconfigured,
        "the page is blocked for breaking the rules",
    ),
    outcome_code("463", OutcomeKind::Misconfigured, "the token has ended"),
    outcome_code("467", OutcomeKind::Misconfigured, "the token is no longer valid"),
    outcome_code(
        "551",
        OutcomeKind::Rejected,
        "the person cannot be written to now",
    ),
    outcome_code("613", OutcomeKind::Throttled, "too many requests of this kind"),
    outcome_code("1200", OutcomeKind::Unavailable, "a failure that passes"),
    outcome_code("80006", OutcomeKind::Throttled, "too many requests of the page"),
];

/// What an answer means.
pub(super) fn send_result(heard: &JsonResponse) -> SendResult {
    if heard.status == 200
        && let Some(id) = heard.str_at("/message_id").and_then(parse_reference)
    {
        return Outcome::Accepted { reference: Some(id) }.into();
    }
    let number = |field: &str| heard.json.pointer(field).and_then(Value::as_i64);
    let code = number("/error/code").map(|code| code.to_string());
    let exact = code
        .as_ref()
        .zip(number("/error/error_subcode"))
        .map(|(code, sub)| format!("{code}/{sub}"));
    let find = |code: &Option<String>| OutcomeCode::find(MESSENGER_CODES, code.as_deref()?);
    let passes = heard.json.pointer("/error/is_transient") == Some(&Value::Bool(true));
    let of_status = heard.status_outcome();
    let transient = outcome_code("", OutcomeKind::Unavailable, "says itself that it will pass");
    let meaning = match find(&exact).or_else(|| find(&code)) {
        Some(known) if passes && known.outcome == OutcomeKind::Misconfigured => &transient,
        Some(known) => known,
        None if passes => &transient,
        None => &of_status,
    };
    let wait = (meaning.outcome == OutcomeKind::Throttled).then(|| retry_after(heard));
    let shown = exact.or(code).unwrap_or_else(|| heard.http_status_text());
    meaning.send_result(shown, heard.str_at("/error/message"), wait)
}

fn retry_after(heard: &JsonResponse) -> Duration {
    let told = USAGE_HEADERS.into_iter().find_map(|name| {
        let usage: Value = serde_json::from_slice(heard.headers.get(name)?.as_bytes()).ok()?;
        regain_access_minutes(&usage)
    });
    let told = told.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)).min(REGAIN_ACCESS_MAX));
    heard.retry_after().or(told).unwrap_or(THROTTLED_RETRY_AFTER)
}

/// The longest time in it, however deep it lies.
fn regain_access_minutes(usage: &Value) -> Option<u64> {
    let inner = match usage {
        Value::Object(fields) => {
            let own = fields
                .get("estimated_time_to_regain_access")
                .and_then(Value::as_u64);
            own.into_iter()
                .chain(fields.values().filter_map(regain_access_minutes))
                .max()
        }
        Value::Array(values) => values.iter().filter_map(regain_access_minutes).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    inner.filter(|minutes| *minutes > 0)
}
