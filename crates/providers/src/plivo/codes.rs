//! Plivo's codes: HTTP statuses of send responses, error codes of callbacks, and the result of a response.
//!
//! A code that is not in the callback table is a temporary failure.

use postrider_core::attempt::{Outcome, SendResult};

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::{contains_word, parse_reference};

/// The code of a callback whose recipient opted out.
pub(super) const OPT_OUT_CODE: &str = "200";

/// HTTP statuses of send responses whose outcome differs from the shared table.
#[rustfmt::skip]
const SEND_STATUSES: &[OutcomeCode] = &[
    outcome_code("402", OutcomeKind::Misconfigured, "not enough credit"),
];

/// Error codes of callbacks.
#[rustfmt::skip]
const RECEIPT_CODES: &[OutcomeCode] = &[
    outcome_code("000", OutcomeKind::Accepted, "no error"),
    outcome_code("10", OutcomeKind::Rejected, "invalid message"),
    outcome_code("20", OutcomeKind::Unavailable, "network error of the carrier"),
    outcome_code("30", OutcomeKind::Rejected, "blocked as spam"),
    outcome_code("40", OutcomeKind::Unavailable, "invalid sender"),
    outcome_code("50", OutcomeKind::InvalidRecipient, "invalid phone number or landline"),
    outcome_code("60", OutcomeKind::Rejected, "message loop detected"),
    outcome_code("70", OutcomeKind::InvalidRecipient, "the phone number does not exist any more"),
    outcome_code("80", OutcomeKind::Deferred, "the handset is off or out of coverage"),
    outcome_code("90", OutcomeKind::Unavailable, "no route to the destination"),
    outcome_code("100", OutcomeKind::Rejected, "forbidden by the carrier"),
    outcome_code("110", OutcomeKind::Rejected, "the text is too long"),
    outcome_code("200", OutcomeKind::Rejected, "the recipient sent STOP"),
    outcome_code("201", OutcomeKind::Unavailable, "toll-free numbers cannot send to Canada"),
    outcome_code("300", OutcomeKind::Unavailable, "the message could not be dispatched"),
    outcome_code("420", OutcomeKind::Rejected, "the message has expired"),
    outcome_code("450", OutcomeKind::Unavailable, "the destination country is blocked"),
    outcome_code("900", OutcomeKind::Misconfigured, "not enough credit"),
    outcome_code("910", OutcomeKind::Misconfigured, "the account is disabled"),
    outcome_code("1000", OutcomeKind::Unavailable, "unknown"),
];

/// Returns the line of a callback's `ErrorCode`.
pub(super) fn receipt_code(error_code: &str) -> OutcomeCode {
    OutcomeCode::find_or(RECEIPT_CODES, error_code, OutcomeKind::Unavailable, "")
}

/// Returns the result of a response. Plivo has no codes in responses, so the HTTP status decides.
pub(super) fn send_result(response: &JsonResponse) -> SendResult {
    if response.is_success() {
        return SendResult { outcome: accepted_outcome(response), code: Some(response.http_status_text()) };
    }
    let body_reason = response.body_reason();
    let error_text = response.json["error"].as_str().unwrap_or(&body_reason);
    let code_line = match response.status {
        400 if calls_recipient_invalid(error_text) => outcome_code("", OutcomeKind::InvalidRecipient, ""),
        status => {
            OutcomeCode::find_or(SEND_STATUSES, &status.to_string(), response.status_outcome().outcome, "")
        }
    };
    code_line.send_result(response.http_status_text(), Some(error_text), response.retry_after())
}

/// Returns whether a text calls the recipient's number (`dst`) invalid. A text that mentions the number for another
/// reason, such as its country or a limit, does not make it invalid.
fn calls_recipient_invalid(error_text: &str) -> bool {
    let text = error_text.to_ascii_lowercase();
    let is_invalid = ["invalid", "not valid", "not a valid"].iter().any(|words| text.contains(words));
    let names_other =
        ["src", "country", "region", "url", "text"].iter().any(|word| contains_word(&text, word));
    is_invalid && contains_word(&text, "dst") && !names_other
}

fn accepted_outcome(response: &JsonResponse) -> Outcome {
    let uuid = response.json["message_uuid"][0].as_str().and_then(parse_reference);
    let invalid_numbers = response.json["invalid_number"].as_array();
    match uuid {
        _ if !response.is_complete() => response.unconfirmed_outcome(),
        Some(uuid) => Outcome::Accepted { reference: Some(uuid) },
        None if invalid_numbers.is_some_and(|numbers| !numbers.is_empty()) => {
            Outcome::InvalidRecipient { reason: "invalid phone number".to_owned() }
        }
        None => response.unconfirmed_outcome(),
    }
}

#[cfg(test)]
mod tests;
