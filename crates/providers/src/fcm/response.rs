//! FCM's answers as outcomes: its own error codes first, then Google's status words, then the HTTP status.
//!
//! One table for each of the first two. An answer that is none of FCM's (a proxy's page) is never an acceptance.

use std::time::Duration;

use serde_json::Value;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::{Outcome, SendResult};

/// The token belongs to another project.
pub(super) const SENDER_ID_MISMATCH: &str = "SENDER_ID_MISMATCH";

/// The access token is not, or no longer, good.
const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// FCM's advice for 429 without a time.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The detail that holds FCM's own error code.
const FCM_ERROR_TYPE: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// The detail that says which quota broke.
const QUOTA_FAILURE_TYPE: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// FCM's own error codes.
const FCM_ERROR_CODES: &[OutcomeCode] = &[
    outcome_code(
        "UNREGISTERED",
        OutcomeKind::InvalidRecipient,
        "the token is no longer valid",
    ),
    outcome_code(
        "INVALID_ARGUMENT",
        OutcomeKind::Rejected,
        "something in the message is wrong",
    ),
    outcome_code(
        SENDER_ID_MISMATCH,
        OutcomeKind::InvalidRecipient,
        "the token belongs to another project",
    ),
    outcome_code("QUOTA_EXCEEDED", OutcomeKind::Throttled, "too many messages"),
    outcome_code("UNAVAILABLE", OutcomeKind::Unavailable, "FCM is overloaded"),
    outcome_code(
        "INTERNAL",
        OutcomeKind::Unavailable,
        "FCM has an error of its own",
    ),
    outcome_code(
        "THIRD_PARTY_AUTH_ERROR",
        OutcomeKind::Misconfigured,
        "the project lacks Apple's or web-push credentials",
    ),
    outcome_code(
        "APNS_AUTH_ERROR",
        OutcomeKind::Misconfigured,
        "the project lacks Apple's credentials",
    ),
    outcome_code(
        "UNSPECIFIED_ERROR",
        OutcomeKind::Unavailable,
        "FCM does not say what is wrong",
    ),
];

/// Google's status words, where there is no error code of FCM's own.
const GOOGLE_STATUS_CODES: &[OutcomeCode] = &[
    outcome_code(
        UNAUTHENTICATED,
        OutcomeKind::Misconfigured,
        "refuses our access token, also a new one",
    ),
    outcome_code(
        "PERMISSION_DENIED",
        OutcomeKind::Misconfigured,
        "the service account lacks the right, or the project the API",
    ),
    outcome_code(
        "NOT_FOUND",
        OutcomeKind::Misconfigured,
        "there is no such project",
    ),
    outcome_code(
        "INVALID_ARGUMENT",
        OutcomeKind::Rejected,
        "something in the message is wrong",
    ),
    outcome_code("RESOURCE_EXHAUSTED", OutcomeKind::Throttled, "too many messages"),
    outcome_code("UNAVAILABLE", OutcomeKind::Unavailable, "FCM is overloaded"),
    outcome_code(
        "INTERNAL",
        OutcomeKind::Unavailable,
        "FCM has an error of its own",
    ),
];

/// Whether the access token was refused, so that nothing of the message was looked at.
pub(super) fn is_token_refused(heard: &JsonResponse) -> bool {
    heard.status == 401 && fcm_error_code(heard).is_none()
}

/// What an answer means.
pub(super) fn send_result(heard: &JsonResponse) -> SendResult {
    if heard.status == 200
        && let Some(name) = heard.str_at("/name").and_then(parse_reference)
    {
        return Outcome::Accepted {
            reference: Some(name),
        }
        .into();
    }
    let own = fcm_error_code(heard);
    let word = heard.str_at("/error/status");
    let theirs = heard.str_at("/error/message");
    let known = own
        .and_then(|code| OutcomeCode::find(FCM_ERROR_CODES, code))
        .or_else(|| OutcomeCode::find(GOOGLE_STATUS_CODES, word.filter(|_| own.is_none())?));
    let code = own
        .or(word)
        .map_or_else(|| heard.http_status_text(), str::to_owned);
    let of_status = heard.status_outcome();
    let meaning = known.unwrap_or(&of_status);
    refine(meaning, heard).send_result(code, theirs, retry_after(meaning, heard))
}

/// The meaning, where more than the code decides.
fn refine(meaning: &OutcomeCode, heard: &JsonResponse) -> OutcomeCode {
    let theirs = heard
        .str_at("/error/message")
        .unwrap_or_default()
        .to_ascii_lowercase();
    let of_its_own = fcm_error_code(heard).is_some();
    match meaning.code {
        "INVALID_ARGUMENT" if of_its_own && theirs.contains("registration token") => {
            outcome_code("", OutcomeKind::InvalidRecipient, "this is no token of a device")
        }
        "UNAVAILABLE" if heard.retry_after().is_some() => {
            outcome_code("", OutcomeKind::Throttled, meaning.description)
        }
        _ if meaning.outcome == OutcomeKind::Throttled && is_device_quota(heard) => {
            outcome_code("", OutcomeKind::Deferred, "too many messages to this device")
        }
        code => outcome_code(code, meaning.outcome, meaning.description),
    }
}

fn retry_after(meaning: &OutcomeCode, heard: &JsonResponse) -> Option<Duration> {
    let usual = (meaning.outcome == OutcomeKind::Throttled).then_some(QUOTA_RETRY_AFTER);
    heard.retry_after().or(usual)
}

fn details(heard: &JsonResponse) -> impl Iterator<Item = &Value> {
    let list = heard.json.pointer("/error/details").and_then(Value::as_array);
    list.into_iter().flatten()
}

fn detail<'a>(heard: &'a JsonResponse, kind: &str) -> Option<&'a Value> {
    details(heard).find(|detail| detail.get("@type").and_then(Value::as_str) == Some(kind))
}

fn fcm_error_code(heard: &JsonResponse) -> Option<&str> {
    detail(heard, FCM_ERROR_TYPE)?.get("errorCode")?.as_str()
}

/// Whether the quota that broke is one device's, which must not hold up all others.
fn is_device_quota(heard: &JsonResponse) -> bool {
    let broken = detail(heard, QUOTA_FAILURE_TYPE).and_then(|detail| detail.get("violations")?.as_array());
    broken.into_iter().flatten().any(|violation| {
        ["subject", "description"]
            .into_iter()
            .filter_map(|field| violation.get(field)?.as_str())
            .any(|text| text.to_ascii_lowercase().contains("device"))
    })
}
