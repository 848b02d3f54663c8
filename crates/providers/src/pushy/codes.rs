//! Pushy's error codes, and the result of a response.
//!
//! Pushy reports `success` for an unknown device as well; only `info` shows which devices are known.

use postrider_core::attempt::SendResult;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;

/// Pushy's error codes.
#[rustfmt::skip]
const PUSHY_CODES: &[OutcomeCode] = &[
    outcome_code("NO_RECIPIENTS", OutcomeKind::InvalidRecipient, "unknown device"),
    outcome_code("INVALID_PARAM", OutcomeKind::Rejected, "invalid message"),
    outcome_code("PAYLOAD_LIMIT_EXCEEDED", OutcomeKind::Rejected, "message longer than 4 kB"),
    outcome_code("NO_APNS_AUTH", OutcomeKind::Unavailable, "the app has no APNs credentials"),
    outcome_code("INVALID_API_KEY", OutcomeKind::Misconfigured, "api_key is not valid"),
    outcome_code("AUTH_LIMIT_EXCEEDED", OutcomeKind::Misconfigured, "the plan allows no more devices"),
    outcome_code("ACCOUNT_SUSPENDED", OutcomeKind::Misconfigured, "the account is suspended"),
    outcome_code("RATE_LIMIT_EXCEEDED", OutcomeKind::Throttled, "too many requests"),
    outcome_code("INTERNAL_SERVER_ERROR", OutcomeKind::Unavailable, "internal error of Pushy"),
    outcome_code("INTERNAL_ERROR", OutcomeKind::Unavailable, "internal error of Pushy"),
];

/// The code of a successful response without a known device.
const UNKNOWN_DEVICE_CODE: &str = "devices 0";

/// Returns the id of the push if Pushy accepted the push for a known device. Old responses do not list devices.
pub(super) fn accepted_push_id(response: &JsonResponse, device_token: &str) -> Option<String> {
    let is_success = response.status == 200 && response.json["success"] == true;
    let push_id = response.str_at("/id").and_then(parse_reference);
    push_id.filter(|_| is_success && !is_unknown_device(response, device_token))
}

fn is_unknown_device(response: &JsonResponse, device_token: &str) -> bool {
    let devices_info = &response.json["info"];
    let mut failed_devices = devices_info["failed"].as_array().into_iter().flatten();
    failed_devices.any(|device| *device == *device_token) || devices_info["devices"] == 0
}

/// Returns the result of a response that accepted nothing.
pub(super) fn send_result(response: &JsonResponse, device_token: &str) -> SendResult {
    if response.status == 200 && is_unknown_device(response, device_token) {
        let code_line = outcome_code("", OutcomeKind::InvalidRecipient, "unknown device");
        return code_line.send_result(UNKNOWN_DEVICE_CODE.to_owned(), None, None);
    }
    let pushy_code = response.str_at("/code");
    let error = response.str_at("/error");
    let known_code_line =
        pushy_code.and_then(|pushy_code| OutcomeCode::find(PUSHY_CODES, pushy_code)).copied();
    let code_line = match known_code_line {
        Some(code_line) if code_line.code == "INVALID_PARAM" && error.is_some_and(names_device_token) => {
            outcome_code("", OutcomeKind::InvalidRecipient, "invalid device token")
        }
        Some(code_line) => code_line,
        None => response.status_outcome(),
    };
    let pushy_code = pushy_code.map_or_else(|| response.http_status_text(), str::to_owned);
    code_line.send_result(pushy_code, error, response.retry_after())
}

/// Returns whether the text of an error names the device token, which is the parameter `to`.
fn names_device_token(error: &str) -> bool {
    let error = error.to_ascii_lowercase();
    ["device token", "'to'", "\"to\""].iter().any(|name| error.contains(name))
}

#[cfg(test)]
mod tests;
