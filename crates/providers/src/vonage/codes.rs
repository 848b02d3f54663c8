//! Vonage's codes: one table for send responses, one for receipts; and the result of a response.
//!
//! A code that is not in a table is a temporary failure.

use serde_json::Value;

use postrider_core::attempt::{Outcome, SendResult};

use super::segments::VonageSegments;
use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::{join_reasons, parse_reference};

/// The code of a receipt whose recipient opted out.
pub(super) const OPT_OUT_CODE: &str = "9";

/// The status of an accepted segment.
const ACCEPTED_STATUS: &str = "0";

/// The status of an invalid parameter.
const INVALID_PARAMETER_STATUS: &str = "3";

/// The HTTP status, beside 429, with which the edge of the API refuses too many requests.
const ENHANCE_YOUR_CALM: u16 = 420;

/// Statuses of send responses.
#[rustfmt::skip]
/// Codes about the destination of a message. Messages to other destinations are not affected.
pub(super) const DESTINATION_CODES: [&str; 1] = ["15"];

const VONAGE_SUBMIT_CODES: &[OutcomeCode] = &[
    outcome_code("0", OutcomeKind::Accepted, "accepted"),
    outcome_code("1", OutcomeKind::Throttled, "the account's rate limit is exceeded"),
    outcome_code("2", OutcomeKind::Rejected, "a parameter is missing"),
    outcome_code("3", OutcomeKind::Rejected, "a parameter is invalid"),
    outcome_code("4", OutcomeKind::Misconfigured, "wrong API key or secret"),
    outcome_code("5", OutcomeKind::Unavailable, "internal error of Vonage"),
    outcome_code("6", OutcomeKind::InvalidRecipient, "the phone number's prefix is unknown"),
    outcome_code("7", OutcomeKind::Rejected, "the phone number is blocked at Vonage"),
    outcome_code("8", OutcomeKind::Misconfigured, "the account is suspended"),
    outcome_code("9", OutcomeKind::Misconfigured, "not enough credit"),
    outcome_code("10", OutcomeKind::Throttled, "too many concurrent connections"),
    outcome_code("11", OutcomeKind::Misconfigured, "the account is not enabled for this API"),
    outcome_code("12", OutcomeKind::Rejected, "the text is too long"),
    outcome_code("13", OutcomeKind::Unavailable, "the communication failed"),
    outcome_code("14", OutcomeKind::Misconfigured, "invalid signature"),
    outcome_code("15", OutcomeKind::Unavailable, "the sender is not allowed for this destination"),
    outcome_code("16", OutcomeKind::Rejected, "invalid time to live"),
    outcome_code("17", OutcomeKind::Rejected, "the destination cannot be reached"),
    outcome_code("18", OutcomeKind::Rejected, "too many destinations"),
    outcome_code("19", OutcomeKind::Rejected, "the facility is not allowed"),
    outcome_code("20", OutcomeKind::Rejected, "invalid message class"),
    outcome_code("22", OutcomeKind::Rejected, "invalid network code"),
    outcome_code("23", OutcomeKind::Misconfigured, "invalid callback URL; see public_url"),
    outcome_code("29", OutcomeKind::Unavailable, "a demo account can send to listed numbers only"),
    outcome_code("32", OutcomeKind::Misconfigured, "both a signature and a secret were sent"),
    outcome_code("33", OutcomeKind::InvalidRecipient, "the phone number was deactivated"),
];

/// Error codes of receipts.
#[rustfmt::skip]
const VONAGE_RECEIPT_CODES: &[OutcomeCode] = &[
    outcome_code("0", OutcomeKind::Accepted, "delivered"),
    outcome_code("1", OutcomeKind::Unavailable, "unknown"),
    outcome_code("2", OutcomeKind::Deferred, "the handset is off or out of coverage"),
    outcome_code("3", OutcomeKind::InvalidRecipient, "the subscriber does not exist any more"),
    outcome_code("4", OutcomeKind::InvalidRecipient, "the subscriber blocks messages"),
    outcome_code("5", OutcomeKind::InvalidRecipient, "the phone number was ported and not found"),
    outcome_code("6", OutcomeKind::Rejected, "blocked as spam"),
    outcome_code("7", OutcomeKind::Deferred, "the handset is busy"),
    outcome_code("8", OutcomeKind::Unavailable, "network error"),
    outcome_code("9", OutcomeKind::Rejected, "the recipient sent STOP"),
    outcome_code("10", OutcomeKind::Rejected, "invalid message"),
    outcome_code("11", OutcomeKind::Unavailable, "no route to the destination"),
    outcome_code("12", OutcomeKind::Unavailable, "the destination cannot be reached"),
    outcome_code("13", OutcomeKind::Rejected, "the subscriber is under age"),
    outcome_code("14", OutcomeKind::InvalidRecipient, "the carrier blocks the phone number"),
    outcome_code("15", OutcomeKind::Deferred, "the subscriber has no credit"),
    outcome_code("39", OutcomeKind::Unavailable, "the sender is not allowed for this destination"),
    outcome_code("50", OutcomeKind::Rejected, "filtered: the sending entity"),
    outcome_code("51", OutcomeKind::Rejected, "filtered: the header"),
    outcome_code("52", OutcomeKind::Rejected, "filtered: the content"),
    outcome_code("53", OutcomeKind::Rejected, "filtered: no consent"),
    outcome_code("54", OutcomeKind::Rejected, "violates a regulation"),
    outcome_code("99", OutcomeKind::Unavailable, "routing error"),
];

/// Returns the line of a send status; `error_text` is the text beside the status.
fn submit_code(status: &str, error_text: &str) -> OutcomeCode {
    let code_line =
        OutcomeCode::find_or(VONAGE_SUBMIT_CODES, status, OutcomeKind::Unavailable, "unknown status");
    if status == INVALID_PARAMETER_STATUS && names_recipient(error_text) {
        return OutcomeCode { outcome: OutcomeKind::InvalidRecipient, ..code_line };
    }
    code_line
}

/// Returns whether the text about an invalid parameter names the parameter `to`, and does not only contain the word
/// "to".
fn names_recipient(error_text: &str) -> bool {
    let lower_error = error_text.to_ascii_lowercase();
    let words =
        lower_error.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty());
    let words: Vec<&str> = words.collect();
    let is_quoted = ["'to'", "\"to\"", "`to`"].iter().any(|quoted| lower_error.contains(quoted));
    let is_parameter = |pair: &[&str]| {
        matches!(pair, ["to", "parameter" | "param" | "address" | "number" | "field" | "value"])
            || matches!(pair, ["invalid" | "bad" | "illegal", "to"])
    };
    let is_last = matches!(words.as_slice(), [.., "parameter" | "param" | "field", "to"]);
    is_quoted || is_last || words.windows(2).any(is_parameter)
}

/// Returns the line of a receipt's `err-code`.
pub(super) fn receipt_code(error_code: &str) -> OutcomeCode {
    OutcomeCode::find_or(VONAGE_RECEIPT_CODES, error_code, OutcomeKind::Unavailable, "")
}

/// Returns the result of a response, and links the segments of an accepted message. Vonage responds with status 200 to
/// refused messages as well, and with one element for each segment.
pub(super) fn send_result(response: &JsonResponse, links: &VonageSegments) -> SendResult {
    let segments = response.json["messages"].as_array().filter(|segments| !segments.is_empty());
    if response.status == ENHANCE_YOUR_CALM {
        let retry_after = response.retry_after();
        let outcome = Outcome::Throttled { retry_after };
        return SendResult { outcome, code: Some(response.http_status_text()) };
    }
    let Some(segments) = segments.filter(|_| response.status == 200 && response.is_complete()) else {
        return response.status_result();
    };
    match segments.iter().find(|segment| !is_accepted(segment)) {
        Some(refused) => refused_result(refused, segments),
        None => SendResult {
            outcome: accepted_outcome(response, segments, links),
            code: Some(ACCEPTED_STATUS.to_owned()),
        },
    }
}

fn is_accepted(segment: &Value) -> bool {
    segment["status"] == ACCEPTED_STATUS
}

/// Returns the outcome of accepted segments. The reference is the id of the last segment, whose receipt stands for the
/// whole message.
fn accepted_outcome(response: &JsonResponse, segments: &[Value], links: &VonageSegments) -> Outcome {
    let segment_id = |segment: &Value| segment["message-id"].as_str().and_then(parse_reference);
    let segment_ids = segments.iter().map(segment_id).collect::<Option<Vec<_>>>();
    let Some((last, earlier_segments)) = segment_ids.as_deref().and_then(<[String]>::split_last) else {
        return response.unconfirmed_outcome();
    };
    links.link(earlier_segments, last);
    Outcome::Accepted { reference: Some(last.clone()) }
}

/// Returns the result for a refused segment. If other segments were accepted, the message is rejected, because a retry
/// would send those segments again.
fn refused_result(refused: &Value, segments: &[Value]) -> SendResult {
    let vonage_status = refused["status"].as_str().unwrap_or_default();
    let error_text = refused["error-text"].as_str().unwrap_or_default();
    let code_line = submit_code(vonage_status, error_text);
    let reason = join_reasons(code_line.description, error_text);
    let outcome = match segments.iter().filter(|segment| is_accepted(segment)).count() {
        0 => code_line.outcome.into_outcome(None, reason, None),
        accepted_count => Outcome::Rejected {
            reason: format!("only {accepted_count} of {} parts were accepted: {reason}", segments.len()),
        },
    };
    SendResult { outcome, code: Some(vonage_status.to_owned()) }
}

#[cfg(test)]
mod tests;
