//! Maps Pushy responses to outcomes, by the code and then by the HTTP status.
//!
//! Pushy reports `success` for an unknown device as well; `info` lists the devices.

use serde_json::Value;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::SendResult;

/// Outcome of each code.
#[rustfmt::skip]
const PUSHY_CODES: &[OutcomeCode] = &[
    outcome_code("NO_RECIPIENTS", OutcomeKind::InvalidRecipient, "unknown device"),
    outcome_code("INVALID_PARAM", OutcomeKind::Rejected, "invalid message"),
    outcome_code("PAYLOAD_LIMIT_EXCEEDED", OutcomeKind::Rejected, "message longer than 4 kB"),
    outcome_code("NO_APNS_AUTH", OutcomeKind::Misconfigured, "the app has no APNs credentials"),
    outcome_code("INVALID_API_KEY", OutcomeKind::Misconfigured, "api_key is not valid"),
    outcome_code("AUTH_LIMIT_EXCEEDED", OutcomeKind::Misconfigured, "the plan allows no more devices"),
    outcome_code("ACCOUNT_SUSPENDED", OutcomeKind::Misconfigured, "the account is suspended"),
    outcome_code("RATE_LIMIT_EXCEEDED", OutcomeKind::Throttled, "too many requests"),
    outcome_code("INTERNAL_SERVER_ERROR", OutcomeKind::Unavailable, "internal error of Pushy"),
    outcome_code("INTERNAL_ERROR", OutcomeKind::Unavailable, "internal error of Pushy"),
];

/// Code of a successful response without a known device.
const UNKNOWN_DEVICE_CODE: &str = "devices 0";

/// Returns the id of the push if Pushy accepted it for a known device. Old responses do not list devices.
pub(super) fn accepted_push_id(response: &JsonResponse, token: &str) -> Option<String> {
    let is_success = response.status == 200 && response.json.pointer("/success") == Some(&Value::Bool(true));
    let id = response.str_at("/id").and_then(parse_reference);
    id.filter(|_| is_success && !is_unknown_device(response, token))
}

fn is_unknown_device(response: &JsonResponse, token: &str) -> bool {
    let failed = response.json.pointer("/info/failed").and_then(Value::as_array);
    let is_failed = failed.is_some_and(|failed| failed.iter().any(|device| device.as_str() == Some(token)));
    is_failed || response.json.pointer("/info/devices").and_then(Value::as_u64) == Some(0)
}

/// Returns the result of a response that accepted nothing.
pub(super) fn send_result(response: &JsonResponse, token: &str) -> SendResult {
    if response.status == 200 && is_unknown_device(response, token) {
        return outcome_code("", OutcomeKind::InvalidRecipient, "unknown device").send_result(
            UNKNOWN_DEVICE_CODE.to_owned(),
            None,
            None,
        );
    }
    let code = response.str_at("/code");
    let error = response.str_at("/error");
    let http_status = response.status_outcome();
    let line = code.and_then(|code| OutcomeCode::find(PUSHY_CODES, code)).unwrap_or(&http_status);
    let names_token = error.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("device token") || text.contains("'to'") || text.contains("\"to\"")
    });
    let line = match line.code {
        "INVALID_PARAM" if names_token => {
            &outcome_code("", OutcomeKind::InvalidRecipient, "invalid device token")
        }
        _ => line,
    };
    let code = code.map_or_else(|| response.http_status_text(), str::to_owned);
    line.send_result(code, error, response.retry_after())
}
