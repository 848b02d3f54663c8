//! Kavenegar's codes, and the result of a response.
//!
//! The numbers are Kavenegar's own: 418 and 422 do not have their HTTP meanings.

use postrider_core::attempt::SendResult;

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;
use crate::provider_text::join_reasons;

/// The status with which Kavenegar reports a delivered message.
pub(super) const DELIVERED_STATUS: &str = "10";

/// The status with which Kavenegar marks an inbound message.
pub(super) const RECEIVED_STATUS: &str = "50";

/// Statuses about the carrier of the number that a message goes to: other destinations work.
pub(super) const DESTINATION_CODES: [&str; 1] = ["6"];

/// Results of calls, by `return.status`.
#[rustfmt::skip]
const KAVENEGAR_CALL_CODES: &[OutcomeCode] = &[
    outcome_code("400", OutcomeKind::Rejected, "a parameter is missing"),
    outcome_code("401", OutcomeKind::Misconfigured, "the account is disabled"),
    outcome_code("402", OutcomeKind::Unavailable, "the operation failed"),
    outcome_code("403", OutcomeKind::Misconfigured, "invalid API key"),
    outcome_code("404", OutcomeKind::Unavailable, "the API method does not exist; see base_url"),
    outcome_code("405", OutcomeKind::Unavailable, "wrong HTTP method"),
    outcome_code("406", OutcomeKind::Rejected, "a parameter is empty"),
    outcome_code("407", OutcomeKind::Misconfigured, "access denied; allow this host's IP address in the panel"),
    outcome_code("409", OutcomeKind::Unavailable, "Kavenegar is temporarily unavailable"),
    outcome_code("411", OutcomeKind::InvalidRecipient, "invalid phone number"),
    outcome_code("412", OutcomeKind::Unavailable, "invalid sender"),
    outcome_code("413", OutcomeKind::Rejected, "the text is empty or too long"),
    outcome_code("414", OutcomeKind::Rejected, "too many records"),
    outcome_code("415", OutcomeKind::Rejected, "the start index is out of range"),
    outcome_code("416", OutcomeKind::Misconfigured, "this host's IP address is not allowed in the panel"),
    outcome_code("417", OutcomeKind::Rejected, "invalid date"),
    outcome_code("418", OutcomeKind::Misconfigured, "not enough credit"),
    outcome_code("419", OutcomeKind::Rejected, "the lists have different lengths"),
    outcome_code("420", OutcomeKind::Rejected, "the account is not enabled for links"),
    outcome_code("422", OutcomeKind::Rejected, "the text contains an unsupported character"),
    outcome_code("424", OutcomeKind::Misconfigured, "the template does not exist or is not approved"),
    outcome_code("426", OutcomeKind::Misconfigured, "the account needs the advanced service"),
    outcome_code("427", OutcomeKind::Unavailable, "the line needs another access level"),
    outcome_code("428", OutcomeKind::Rejected, "a voice code must consist of digits"),
    outcome_code("429", OutcomeKind::Throttled, "this host's IP address is rate limited"),
    outcome_code("430", OutcomeKind::Misconfigured, "the account's identity is not verified"),
    outcome_code("431", OutcomeKind::Rejected, "the template's value has an invalid form"),
    outcome_code("432", OutcomeKind::Misconfigured, "the template has no such parameter"),
    outcome_code("451", OutcomeKind::Throttled, "too many requests"),
    outcome_code("501", OutcomeKind::Unavailable, "the account can send to its owner only"),
    outcome_code("607", OutcomeKind::Misconfigured, "the tag does not exist"),
];

/// Statuses of messages, in responses and in callbacks.
#[rustfmt::skip]
const KAVENEGAR_MESSAGE_CODES: &[OutcomeCode] = &[
    outcome_code("1", OutcomeKind::Accepted, "queued"),
    outcome_code("2", OutcomeKind::Accepted, "scheduled"),
    outcome_code("4", OutcomeKind::Accepted, "sent to the carrier"),
    outcome_code("5", OutcomeKind::Accepted, "sent to the carrier"),
    outcome_code("6", OutcomeKind::Unavailable, "sending to the carrier failed"),
    outcome_code("10", OutcomeKind::Accepted, "delivered"),
    outcome_code("11", OutcomeKind::Deferred, "not delivered: handset off, out of coverage or full"),
    outcome_code("13", OutcomeKind::Unavailable, "cancelled or failed"),
    outcome_code("14", OutcomeKind::Rejected, "the subscriber blocks advertising"),
    outcome_code("50", OutcomeKind::Accepted, "received"),
    outcome_code("100", OutcomeKind::Accepted, "unknown or too old"),
];

/// Returns the entry for a call's `return.status`.
fn call_code(status: &str) -> OutcomeCode {
    OutcomeCode::find_or(KAVENEGAR_CALL_CODES, status, OutcomeKind::Unavailable, "unknown status")
}

/// Returns the entry for a message status.
pub(super) fn message_code(status: &str) -> OutcomeCode {
    OutcomeCode::find_or(KAVENEGAR_MESSAGE_CODES, status, OutcomeKind::Accepted, "")
}

/// Returns the result of a response. The status in the body decides, even if the HTTP status differs.
pub(super) fn send_result(response: &JsonResponse) -> SendResult {
    let call_status = response.json["return"]["status"].as_u64();
    let call_status = call_status.or_else(|| scan_status(&response.body)).filter(|_| response.is_complete());
    match call_status {
        None => response.status_result(),
        Some(200) => message_result(response),
        Some(status) => {
            let status = status.to_string();
            call_code(&status).send_result(status, response.json["return"]["message"].as_str(), None)
        }
    }
}

/// Returns whether the result reports a message that had failed before. This call then sent nothing.
pub(super) fn is_failed_message(result: &SendResult) -> bool {
    let code_line = result.code.as_deref().and_then(|code| OutcomeCode::find(KAVENEGAR_MESSAGE_CODES, code));
    code_line.is_some_and(|code_line| code_line.outcome != OutcomeKind::Accepted)
}

/// Returns the number after the first `"status":`. This works although the bodies of errors are not always valid JSON.
fn scan_status(body: &[u8]) -> Option<u64> {
    let body_text = String::from_utf8_lossy(body);
    let (_, after_name) = body_text.split_once("\"status\"")?;
    let after_colon = after_name.trim_start().strip_prefix(':')?.trim_start();
    after_colon.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok()
}

fn message_result(response: &JsonResponse) -> SendResult {
    let entries = &response.json["entries"];
    let message_entry = entries.get(0).unwrap_or(entries);
    let Some(message_id) = message_entry["messageid"].as_u64() else {
        return SendResult { outcome: response.unconfirmed_outcome(), code: Some("200".to_owned()) };
    };
    let message_status = message_entry["status"].as_u64().unwrap_or_default().to_string();
    let code_line = message_code(&message_status);
    let reason =
        join_reasons(code_line.description, message_entry["statustext"].as_str().unwrap_or_default());
    SendResult {
        outcome: code_line.outcome.into_outcome(Some(message_id.to_string()), reason, None),
        code: Some(message_status),
    }
}

#[cfg(test)]
mod tests;
