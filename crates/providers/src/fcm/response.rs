//! Maps FCM responses to outcomes: by FCM's error code, then by Google's status, then by the HTTP status.
//!
//! A response without a message name, such as the page of a proxy, never means acceptance.

use std::time::Duration;

use serde_json::Value;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::{Outcome, SendResult};

/// Error code: the device token belongs to another project.
pub(super) const SENDER_ID_MISMATCH: &str = "SENDER_ID_MISMATCH";

/// Status: the access token is not valid.
const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// Cooldown after a 429 without `Retry-After`, as FCM advises.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Type of the detail with FCM's error code.
const FCM_ERROR_TYPE: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// Type of the detail with the exceeded quota.
const QUOTA_FAILURE_TYPE: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// Outcome of each FCM error code.
#[rustfmt::skip]
const FCM_ERROR_CODES: &[OutcomeCode] = &[
    outcome_code("UNREGISTERED", OutcomeKind::InvalidRecipient, "the token is no longer valid"),
    outcome_code("INVALID_ARGUMENT", OutcomeKind::Rejected, "invalid message"),
    outcome_code(SENDER_ID_MISMATCH, OutcomeKind::InvalidRecipient, "the token belongs to another project"),
    outcome_code("QUOTA_EXCEEDED", OutcomeKind::Throttled, "too many messages"),
    outcome_code("UNAVAILABLE", OutcomeKind::Unavailable, "FCM is overloaded"),
    outcome_code("INTERNAL", OutcomeKind::Unavailable, "internal error of FCM"),
    outcome_code("THIRD_PARTY_AUTH_ERROR", OutcomeKind::Misconfigured, "the project lacks APNs or web push credentials"),
    outcome_code("APNS_AUTH_ERROR", OutcomeKind::Misconfigured, "the project lacks APNs credentials"),
    outcome_code("UNSPECIFIED_ERROR", OutcomeKind::Unavailable, "unspecified error of FCM"),
];

/// Outcome of each Google status, for errors without an FCM error code.
#[rustfmt::skip]
const GOOGLE_STATUS_CODES: &[OutcomeCode] = &[
    outcome_code(UNAUTHENTICATED, OutcomeKind::Misconfigured, "refuses the access token, even a new one"),
    outcome_code("PERMISSION_DENIED", OutcomeKind::Misconfigured, "the service account lacks the permission, or the project the API"),
    outcome_code("NOT_FOUND", OutcomeKind::Misconfigured, "unknown project"),
    outcome_code("INVALID_ARGUMENT", OutcomeKind::Rejected, "invalid message"),
    outcome_code("RESOURCE_EXHAUSTED", OutcomeKind::Throttled, "too many messages"),
    outcome_code("UNAVAILABLE", OutcomeKind::Unavailable, "FCM is overloaded"),
    outcome_code("INTERNAL", OutcomeKind::Unavailable, "internal error of FCM"),
];

/// Returns whether the access token was refused, in which case FCM did not process the message.
pub(super) fn is_token_refused(response: &JsonResponse) -> bool {
    response.status == 401 && fcm_error_code(response).is_none()
}

/// Returns the result of a response.
pub(super) fn send_result(response: &JsonResponse) -> SendResult {
    if response.status == 200
        && let Some(name) = response.str_at("/name").and_then(parse_reference)
    {
        return Outcome::Accepted { reference: Some(name) }.into();
    }
    let error_code = fcm_error_code(response);
    let status = response.str_at("/error/status");
    let text = response.str_at("/error/message");
    let code_entry = error_code
        .and_then(|code| OutcomeCode::find(FCM_ERROR_CODES, code))
        .or_else(|| OutcomeCode::find(GOOGLE_STATUS_CODES, status.filter(|_| error_code.is_none())?));
    let code = error_code.or(status).map_or_else(|| response.http_status_text(), str::to_owned);
    let http_status = response.status_outcome();
    let entry = code_entry.unwrap_or(&http_status);
    refine(entry, response).send_result(code, text, retry_after(entry, response))
}

/// Returns the line that applies where more than the code decides.
fn refine(entry: &OutcomeCode, response: &JsonResponse) -> OutcomeCode {
    let text = response.str_at("/error/message").unwrap_or_default().to_ascii_lowercase();
    let has_error_code = fcm_error_code(response).is_some();
    match entry.code {
        "INVALID_ARGUMENT" if has_error_code && text.contains("registration token") => {
            outcome_code("", OutcomeKind::InvalidRecipient, "invalid device token")
        }
        "UNAVAILABLE" if response.retry_after().is_some() => {
            outcome_code("", OutcomeKind::Throttled, entry.description)
        }
        _ if entry.outcome == OutcomeKind::Throttled && is_device_quota(response) => {
            outcome_code("", OutcomeKind::Deferred, "too many messages to this device")
        }
        code => outcome_code(code, entry.outcome, entry.description),
    }
}

fn retry_after(entry: &OutcomeCode, response: &JsonResponse) -> Option<Duration> {
    let default = (entry.outcome == OutcomeKind::Throttled).then_some(QUOTA_RETRY_AFTER);
    response.retry_after().or(default)
}

fn details(response: &JsonResponse) -> impl Iterator<Item = &Value> {
    let details = response.json.pointer("/error/details").and_then(Value::as_array);
    details.into_iter().flatten()
}

fn detail<'a>(response: &'a JsonResponse, kind: &str) -> Option<&'a Value> {
    details(response).find(|detail| detail.get("@type").and_then(Value::as_str) == Some(kind))
}

fn fcm_error_code(response: &JsonResponse) -> Option<&str> {
    detail(response, FCM_ERROR_TYPE)?.get("errorCode")?.as_str()
}

/// Returns whether the exceeded quota is that of one device, which must not delay other messages.
fn is_device_quota(response: &JsonResponse) -> bool {
    let violations =
        detail(response, QUOTA_FAILURE_TYPE).and_then(|detail| detail.get("violations")?.as_array());
    violations.into_iter().flatten().any(|violation| {
        ["subject", "description"]
            .into_iter()
            .filter_map(|field| violation.get(field)?.as_str())
            .any(|text| text.to_ascii_lowercase().contains("device"))
    })
}
