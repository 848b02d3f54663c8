//! The Send API's answers as outcomes, by code and subcode.
//!
//! A code alone stands for all subcodes that have no line of their own.

use std::time::Duration;

use serde_json::Value;

use crate::domain::attempt::{Answer, Outcome};
use crate::provider::api::{Heard, Meaning, means};
use crate::provider::fate::Fate;
use crate::provider::reading::reference;

/// How long Facebook is left alone when it says "too fast" and no time.
const THROTTLED_RETRY: Duration = Duration::from_secs(60);

/// The longest pause that its own estimate can ask for.
const REGAIN_MAX: Duration = Duration::from_secs(60 * 60);

/// Where it says how long: JSON with minutes in `estimated_time_to_regain_access`.
const USAGE_HEADERS: [&str; 2] = ["x-business-use-case-usage", "x-app-usage"];

/// Code and subcode.
const CODES: &[Meaning] = &[
    means("1/1357046", Fate::Unknown, "called invalid, although it was sent"),
    means(
        "1",
        Fate::Unavailable,
        "an error it does not name, often a missing permission",
    ),
    means(
        "2/2018344",
        Fate::Misconfigured,
        "an admin of the page has to accept the terms",
    ),
    // Also what a person who blocked the page comes to, so it does not speak of Facebook alone.
    means("2", Fate::Deferred, "an error that may pass"),
    means(
        "4/2018354",
        Fate::Rejected,
        "too soon after the last marketing message",
    ),
    means("4", Fate::Throttled, "too many requests of the app"),
    means(
        "9/2018352",
        Fate::Rejected,
        "too many marketing messages to this person",
    ),
    means(
        "10/2018278",
        Fate::Rejected,
        "the person last wrote more than 24 hours ago",
    ),
    means(
        "10/2534022",
        Fate::Rejected,
        "the person last wrote more than 24 hours ago",
    ),
    means("10", Fate::Misconfigured, "the app lacks a permission"),
    means("17", Fate::Throttled, "too many requests of the user"),
    means("32", Fate::Throttled, "too many requests of the page"),
    means("100/2018001", Fate::InvalidRecipient, "there is no such person"),
    means(
        "100/33",
        Fate::InvalidRecipient,
        "this page cannot write to that id",
    ),
    means("100", Fate::Rejected, "something in the message is wrong"),
    means("102", Fate::Misconfigured, "the session has ended"),
    means("190", Fate::Misconfigured, "the token is wrong or has ended"),
    means(
        "200/1545041",
        Fate::Rejected,
        "the person cannot be written to now",
    ),
    means(
        "200/2018108",
        Fate::Misconfigured,
        "the app is in development mode, and the person is no tester",
    ),
    means("200", Fate::Misconfigured, "the app lacks a permission"),
    means("230", Fate::Misconfigured, "the app lacks a permission"),
    means("299", Fate::Misconfigured, "the app lacks a permission"),
    means(
        "368",
        Fate::Misconfigured,
        "the page is blocked for breaking the rules",
    ),
    means("463", Fate::Misconfigured, "the token has ended"),
    means("467", Fate::Misconfigured, "the token is no longer valid"),
    means("551", Fate::Rejected, "the person cannot be written to now"),
    means("613", Fate::Throttled, "too many requests of this kind"),
    means("1200", Fate::Unavailable, "a failure that passes"),
    means("80006", Fate::Throttled, "too many requests of the page"),
];

/// What an answer means.
pub(super) fn answer(heard: &Heard) -> Answer {
    if heard.status == 200
        && let Some(id) = heard.text("/message_id").and_then(reference)
    {
        return Outcome::Accepted { reference: Some(id) }.into();
    }
    let number = |field: &str| heard.json.pointer(field).and_then(Value::as_i64);
    let code = number("/error/code").map(|code| code.to_string());
    let exact = code
        .as_ref()
        .zip(number("/error/error_subcode"))
        .map(|(code, sub)| format!("{code}/{sub}"));
    let find = |code: &Option<String>| Meaning::find(CODES, code.as_deref()?);
    let passes = heard.json.pointer("/error/is_transient") == Some(&Value::Bool(true));
    let of_status = Meaning::of_status(heard.status);
    let transient = means("", Fate::Unavailable, "says itself that it will pass");
    let meaning = match find(&exact).or_else(|| find(&code)) {
        Some(known) if passes && known.fate == Fate::Misconfigured => &transient,
        Some(known) => known,
        None if passes => &transient,
        None => &of_status,
    };
    let wait = (meaning.fate == Fate::Throttled).then(|| wait(heard));
    let shown = exact.or(code).unwrap_or_else(|| heard.status_code());
    meaning.answer(shown, heard.text("/error/message"), wait)
}

fn wait(heard: &Heard) -> Duration {
    let told = USAGE_HEADERS.into_iter().find_map(|name| {
        let usage: Value = serde_json::from_slice(heard.headers.get(name)?.as_bytes()).ok()?;
        minutes(&usage)
    });
    let told = told.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)).min(REGAIN_MAX));
    heard.retry_after().or(told).unwrap_or(THROTTLED_RETRY)
}

/// The longest time in it, however deep it lies.
fn minutes(usage: &Value) -> Option<u64> {
    let inner = match usage {
        Value::Object(fields) => {
            let own = fields
                .get("estimated_time_to_regain_access")
                .and_then(Value::as_u64);
            own.into_iter().chain(fields.values().filter_map(minutes)).max()
        }
        Value::Array(values) => values.iter().filter_map(minutes).max(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    };
    inner.filter(|minutes| *minutes > 0)
}
