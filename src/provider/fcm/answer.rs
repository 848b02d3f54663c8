//! FCM's answers as outcomes: its own error codes first, then Google's status words, then the HTTP status.
//!
//! One table for each of the first two. An answer that is none of FCM's (a proxy's page) is never an acceptance.

use std::time::Duration;

use serde_json::Value;

use crate::domain::attempt::{Answer, Outcome};
use crate::provider::api::{Heard, Meaning, means};
use crate::provider::fate::Fate;
use crate::provider::reading::reference;

/// The token belongs to another project.
pub(super) const WRONG_PROJECT: &str = "SENDER_ID_MISMATCH";

/// The access token is not, or no longer, good.
const STALE: &str = "UNAUTHENTICATED";

/// FCM's advice for 429 without a time.
const QUOTA_RETRY: Duration = Duration::from_secs(60);

/// The detail that holds FCM's own error code.
const DETAIL: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// The detail that says which quota broke.
const QUOTA_DETAIL: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// FCM's own error codes.
const CODES: &[Meaning] = &[
    means(
        "UNREGISTERED",
        Fate::InvalidRecipient,
        "the token is no longer valid",
    ),
    means(
        "INVALID_ARGUMENT",
        Fate::Rejected,
        "something in the message is wrong",
    ),
    means(
        WRONG_PROJECT,
        Fate::InvalidRecipient,
        "the token belongs to another project",
    ),
    means("QUOTA_EXCEEDED", Fate::Throttled, "too many messages"),
    means("UNAVAILABLE", Fate::Unavailable, "FCM is overloaded"),
    means("INTERNAL", Fate::Unavailable, "FCM has an error of its own"),
    means(
        "THIRD_PARTY_AUTH_ERROR",
        Fate::Misconfigured,
        "the project lacks Apple's or web-push credentials",
    ),
    means(
        "APNS_AUTH_ERROR",
        Fate::Misconfigured,
        "the project lacks Apple's credentials",
    ),
    means(
        "UNSPECIFIED_ERROR",
        Fate::Unavailable,
        "FCM does not say what is wrong",
    ),
];

/// Google's status words, where there is no error code of FCM's own.
const WORDS: &[Meaning] = &[
    means(
        STALE,
        Fate::Misconfigured,
        "refuses our access token, also a new one",
    ),
    means(
        "PERMISSION_DENIED",
        Fate::Misconfigured,
        "the service account lacks the right, or the project the API",
    ),
    means("NOT_FOUND", Fate::Misconfigured, "there is no such project"),
    means(
        "INVALID_ARGUMENT",
        Fate::Rejected,
        "something in the message is wrong",
    ),
    means("RESOURCE_EXHAUSTED", Fate::Throttled, "too many messages"),
    means("UNAVAILABLE", Fate::Unavailable, "FCM is overloaded"),
    means("INTERNAL", Fate::Unavailable, "FCM has an error of its own"),
];

/// Whether the access token was refused, so that nothing of the message was looked at.
pub(super) fn refuses_token(heard: &Heard) -> bool {
    heard.status == 401 && code_of_its_own(heard).is_none()
}

/// What an answer means.
pub(super) fn answer(heard: &Heard) -> Answer {
    if heard.status == 200
        && let Some(name) = heard.text("/name").and_then(reference)
    {
        return Outcome::Accepted {
            reference: Some(name),
        }
        .into();
    }
    let own = code_of_its_own(heard);
    let word = heard.text("/error/status");
    let theirs = heard.text("/error/message");
    let known = own
        .and_then(|code| Meaning::find(CODES, code))
        .or_else(|| Meaning::find(WORDS, word.filter(|_| own.is_none())?));
    let code = own.or(word).map_or_else(|| heard.status_code(), str::to_owned);
    let of_status = Meaning::of_status(heard.status);
    let meaning = known.unwrap_or(&of_status);
    exact(meaning, heard).answer(code, theirs, wait(meaning, heard))
}

/// The meaning, where more than the code decides.
fn exact(meaning: &Meaning, heard: &Heard) -> Meaning {
    let theirs = heard
        .text("/error/message")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let of_its_own = code_of_its_own(heard).is_some();
    match meaning.code {
        "INVALID_ARGUMENT" if of_its_own && theirs.contains("registration token") => {
            means("", Fate::InvalidRecipient, "this is no token of a device")
        }
        "UNAVAILABLE" if heard.retry_after().is_some() => means("", Fate::Throttled, meaning.words),
        _ if meaning.fate == Fate::Throttled && is_about_device(heard) => {
            means("", Fate::Deferred, "too many messages to this device")
        }
        code => means(code, meaning.fate, meaning.words),
    }
}

fn wait(meaning: &Meaning, heard: &Heard) -> Option<Duration> {
    let usual = (meaning.fate == Fate::Throttled).then_some(QUOTA_RETRY);
    heard.retry_after().or(usual)
}

fn details(heard: &Heard) -> impl Iterator<Item = &Value> {
    let list = heard.json.pointer("/error/details").and_then(Value::as_array);
    list.into_iter().flatten()
}

fn detail<'a>(heard: &'a Heard, kind: &str) -> Option<&'a Value> {
    details(heard).find(|detail| detail.get("@type").and_then(Value::as_str) == Some(kind))
}

fn code_of_its_own(heard: &Heard) -> Option<&str> {
    detail(heard, DETAIL)?.get("errorCode")?.as_str()
}

/// Whether the quota that broke is one device's, which must not hold up all others.
fn is_about_device(heard: &Heard) -> bool {
    let broken = detail(heard, QUOTA_DETAIL).and_then(|detail| detail.get("violations")?.as_array());
    broken.into_iter().flatten().any(|violation| {
        ["subject", "description"]
            .into_iter()
            .filter_map(|field| violation.get(field)?.as_str())
            .any(|text| text.to_ascii_lowercase().contains("device"))
    })
}
