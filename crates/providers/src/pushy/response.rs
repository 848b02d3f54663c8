//! Pushy's answers to a send as outcomes: its code first, then the HTTP status.
//!
//! Pushy says yes (`success`) also when it knows no such device; that is in `info`.

use serde_json::Value;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::parse_reference;
use postrider_core::attempt::SendResult;

/// Pushy's codes.
const PUSHY_CODES: &[OutcomeCode] = &[
    outcome_code(
        "NO_RECIPIENTS",
        OutcomeKind::InvalidRecipient,
        "there is no such device",
    ),
    outcome_code(
        "INVALID_PARAM",
        OutcomeKind::Rejected,
        "something in the message is wrong",
    ),
    outcome_code(
        "PAYLOAD_LIMIT_EXCEEDED",
        OutcomeKind::Rejected,
        "the message is longer than 4 kB",
    ),
    outcome_code(
        "NO_APNS_AUTH",
        OutcomeKind::Misconfigured,
        "the app has no credentials of Apple's",
    ),
    outcome_code(
        "INVALID_API_KEY",
        OutcomeKind::Misconfigured,
        "the key (api_key) is wrong",
    ),
    outcome_code(
        "AUTH_LIMIT_EXCEEDED",
        OutcomeKind::Misconfigured,
        "the plan allows no more devices",
    ),
    outcome_code(
        "ACCOUNT_SUSPENDED",
        OutcomeKind::Misconfigured,
        "the account is suspended",
    ),
    outcome_code("RATE_LIMIT_EXCEEDED", OutcomeKind::Throttled, "too many requests"),
    outcome_code(
        "INTERNAL_SERVER_ERROR",
        OutcomeKind::Unavailable,
        "Pushy has an error of its own",
    ),
    outcome_code(
        "INTERNAL_ERROR",
        OutcomeKind::Unavailable,
        "Pushy has an error of its own",
    ),
];

/// The code of an answer that says yes and knows no such device.
const UNKNOWN_DEVICE_CODE: &str = "devices 0";

/// The push's id, when the device was among those it goes to. Old answers say nothing of devices.
pub(super) fn accepted_push_id(heard: &JsonResponse, token: &str) -> Option<String> {
    let yes = heard.status == 200 && heard.json.pointer("/success") == Some(&Value::Bool(true));
    let id = heard.str_at("/id").and_then(parse_reference);
    id.filter(|_| yes && !is_unknown_device(heard, token))
}

fn is_unknown_device(heard: &JsonResponse, token: &str) -> bool {
    let failed = heard.json.pointer("/info/failed").and_then(Value::as_array);
    let is_failed = failed.is_some_and(|failed| failed.iter().any(|one| one.as_str() == Some(token)));
    is_failed || heard.json.pointer("/info/devices").and_then(Value::as_u64) == Some(0)
}

/// What an answer means that took nothing.
pub(super) fn send_result(heard: &JsonResponse, token: &str) -> SendResult {
    if heard.status == 200 && is_unknown_device(heard, token) {
        return outcome_code("", OutcomeKind::InvalidRecipient, "there is no such device").send_result(
            UNKNOWN_DEVICE_CODE.to_owned(),
            None,
            None,
        );
    }
    let code = heard.str_at("/code");
    let theirs = heard.str_at("/error");
    let of_status = heard.status_outcome();
    let meaning = code
        .and_then(|code| OutcomeCode::find(PUSHY_CODES, code))
        .unwrap_or(&of_status);
    let names_token = theirs.is_some_and(|text| {
        let text = text.to_ascii_lowercase();
        text.contains("device token") || text.contains("'to'") || text.contains("\"to\"")
    });
    let meaning = match meaning.code {
        "INVALID_PARAM" if names_token => {
            &outcome_code("", OutcomeKind::InvalidRecipient, "this is no token of a device")
        }
        _ => meaning,
    };
    let code = code.map_or_else(|| heard.http_status_text(), str::to_owned);
    meaning.send_result(code, theirs, heard.retry_after())
}
