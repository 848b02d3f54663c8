//! FCM's error codes and Google's statuses, and the result of a response.
//!
//! FCM's error code decides first, then Google's status, then the HTTP status. A response without a message name, such as
//! the page of a proxy, never means acceptance.

use std::time::Duration;

use serde_json::Value;

use postrider_core::attempt::{Outcome, SendResult};

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;

/// The error code of a device token that belongs to another project.
pub(super) const SENDER_ID_MISMATCH: &str = "SENDER_ID_MISMATCH";

/// Cooldown after a 429 without `Retry-After`, as FCM advises.
const QUOTA_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Type of the detail with FCM's error code.
const FCM_ERROR_TYPE: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";

/// Type of the detail with the exceeded quota.
const QUOTA_FAILURE_TYPE: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// Type of the detail with the invalid fields.
const BAD_REQUEST_TYPE: &str = "type.googleapis.com/google.rpc.BadRequest";

/// FCM's error codes.
#[rustfmt::skip]
const FCM_ERROR_CODES: &[OutcomeCode] = &[
    outcome_code("UNREGISTERED", OutcomeKind::InvalidRecipient, "the token is no longer valid"),
    outcome_code("INVALID_ARGUMENT", OutcomeKind::Rejected, "invalid message"),
    outcome_code(SENDER_ID_MISMATCH, OutcomeKind::InvalidRecipient, "the token belongs to another project"),
    outcome_code("QUOTA_EXCEEDED", OutcomeKind::Throttled, "too many messages"),
    outcome_code("UNAVAILABLE", OutcomeKind::Unavailable, "FCM is overloaded"),
    outcome_code("INTERNAL", OutcomeKind::Unavailable, "internal error of FCM"),
    outcome_code("THIRD_PARTY_AUTH_ERROR", OutcomeKind::Unavailable, "the project lacks APNs or web push credentials"),
    outcome_code("APNS_AUTH_ERROR", OutcomeKind::Unavailable, "the project lacks APNs credentials"),
    outcome_code("UNSPECIFIED_ERROR", OutcomeKind::Unavailable, "unspecified error of FCM"),
];

/// Google's statuses, for errors without an FCM error code.
#[rustfmt::skip]
const GOOGLE_STATUS_CODES: &[OutcomeCode] = &[
    outcome_code("UNAUTHENTICATED", OutcomeKind::Misconfigured, "refuses the access token, even a new one"),
    outcome_code("PERMISSION_DENIED", OutcomeKind::Misconfigured, "the service account lacks the permission, or the project the API"),
    outcome_code("NOT_FOUND", OutcomeKind::Unavailable, "unknown project or device"),
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
    let google_status = response.str_at("/error/status");
    let known_code_line = match error_code {
        Some(error_code) => OutcomeCode::find(FCM_ERROR_CODES, error_code),
        None => google_status.and_then(|status| OutcomeCode::find(GOOGLE_STATUS_CODES, status)),
    };
    let code_line = known_code_line.copied().unwrap_or_else(|| response.status_outcome());
    let default_retry_after = (code_line.outcome == OutcomeKind::Throttled).then_some(QUOTA_RETRY_AFTER);
    let code = error_code.or(google_status).map_or_else(|| response.http_status_text(), str::to_owned);
    refine(code_line, response).send_result(
        code,
        response.str_at("/error/message"),
        response.retry_after().or(default_retry_after),
    )
}

/// Returns the line of the code table that applies if more than the code decides.
fn refine(code_line: OutcomeCode, response: &JsonResponse) -> OutcomeCode {
    let error_text = response.str_at("/error/message").unwrap_or_default().to_ascii_lowercase();
    let has_error_code = fcm_error_code(response).is_some();
    match code_line.code {
        "INVALID_ARGUMENT" if has_token_violation(response) => {
            outcome_code("", OutcomeKind::InvalidRecipient, "invalid device token")
        }
        "INVALID_ARGUMENT" if has_error_code && error_text.contains("registration token") => {
            outcome_code("", OutcomeKind::InvalidRecipient, "invalid device token")
        }
        "UNAVAILABLE" if response.retry_after().is_some() => {
            OutcomeCode { outcome: OutcomeKind::Throttled, ..code_line }
        }
        _ if code_line.outcome == OutcomeKind::Throttled && is_device_quota(response) => {
            outcome_code("", OutcomeKind::Deferred, "too many messages to this device")
        }
        _ => code_line,
    }
}

/// Returns the detail of this type from the list of details of an error.
fn error_detail<'a>(response: &'a JsonResponse, detail_type: &str) -> Option<&'a Value> {
    let details = response.json["error"]["details"].as_array()?;
    details.iter().find(|detail| detail["@type"] == *detail_type)
}

fn fcm_error_code(response: &JsonResponse) -> Option<&str> {
    error_detail(response, FCM_ERROR_TYPE)?["errorCode"].as_str()
}

/// Returns whether the list of invalid fields names the device token.
fn has_token_violation(response: &JsonResponse) -> bool {
    let violations = error_detail(response, BAD_REQUEST_TYPE).map(|detail| &detail["fieldViolations"]);
    let violations = violations.and_then(Value::as_array);
    violations.into_iter().flatten().any(|violation| violation["field"] == "message.token")
}

/// Returns whether the exceeded quota belongs to one device. Such a quota must not delay messages to other devices.
fn is_device_quota(response: &JsonResponse) -> bool {
    let quota_failure = error_detail(response, QUOTA_FAILURE_TYPE);
    let violations = quota_failure.and_then(|detail| detail["violations"].as_array());
    violations.into_iter().flatten().any(|violation| {
        let texts = ["subject", "description"].map(|field| violation[field].as_str().unwrap_or_default());
        texts.iter().any(|text| text.to_ascii_lowercase().contains("device"))
    })
}

#[cfg(test)]
mod tests;
