//! Kavenegar's codes: results of calls, and statuses of messages.
//!
//! The numbers are Kavenegar's own: 418 and 422 do not have their HTTP meanings.

use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;

/// The status of a delivered message.
pub(super) const DELIVERED_STATUS: &str = "10";

/// Returns the outcome and the meaning of `return.status`.
pub(super) fn classify_call(number: &str) -> (OutcomeKind, &'static str) {
    OutcomeCode::find(&CALL_CODES, number)
        .map_or((OutcomeKind::Unavailable, "unknown status"), |entry| (entry.outcome, entry.description))
}

/// Returns the outcome and the meaning of a message status.
pub(super) fn classify_message(number: &str) -> (OutcomeKind, &'static str) {
    OutcomeCode::find(&MESSAGE_CODES, number)
        .map_or((OutcomeKind::Accepted, ""), |entry| (entry.outcome, entry.description))
}

#[rustfmt::skip]
static CALL_CODES: [OutcomeCode; 31] = [
    outcome_code("400", OutcomeKind::Rejected, "a parameter is missing"),
    outcome_code("401", OutcomeKind::Misconfigured, "the account is disabled"),
    outcome_code("402", OutcomeKind::Unavailable, "the operation failed"),
    outcome_code("403", OutcomeKind::Misconfigured, "invalid API key"),
    outcome_code("404", OutcomeKind::Misconfigured, "the API method does not exist; see base_url"),
    outcome_code("405", OutcomeKind::Misconfigured, "wrong HTTP method"),
    outcome_code("406", OutcomeKind::Rejected, "a parameter is empty"),
    outcome_code("407", OutcomeKind::Misconfigured, "access denied; allow this host's IP address in the panel"),
    outcome_code("409", OutcomeKind::Unavailable, "Kavenegar is temporarily unavailable"),
    outcome_code("411", OutcomeKind::InvalidRecipient, "invalid phone number"),
    outcome_code("412", OutcomeKind::Misconfigured, "invalid sender"),
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
    outcome_code("427", OutcomeKind::Misconfigured, "the line needs another access level"),
    outcome_code("428", OutcomeKind::Rejected, "a voice code must consist of digits"),
    outcome_code("429", OutcomeKind::Throttled, "this host's IP address is rate limited"),
    outcome_code("430", OutcomeKind::Misconfigured, "the account's identity is not verified"),
    outcome_code("431", OutcomeKind::Rejected, "the template's value has an invalid form"),
    outcome_code("432", OutcomeKind::Misconfigured, "the template has no such parameter"),
    outcome_code("451", OutcomeKind::Throttled, "too many requests"),
    outcome_code("501", OutcomeKind::Misconfigured, "the account can send to its owner only"),
    outcome_code("607", OutcomeKind::Misconfigured, "the tag does not exist"),
];

#[rustfmt::skip]
static MESSAGE_CODES: [OutcomeCode; 11] = [
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
