//! Plivo's codes: HTTP statuses of send responses, and error codes of callbacks.
//!
//! A code that is not in the callback table is a temporary failure.

use crate::json_api::JsonResponse;
use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;

/// The code of a callback whose recipient opted out.
pub(super) const OPT_OUT_CODE: &str = "200";

/// Returns the outcome and the meaning of a refused send: Plivo has no codes there, so its HTTP statuses decide.
pub(super) fn classify_send(response: &JsonResponse) -> (OutcomeKind, &'static str) {
    OutcomeCode::find(&SEND_STATUSES, &response.status.to_string())
        .map_or((response.status_outcome().outcome, ""), |entry| (entry.outcome, entry.description))
}

/// Returns the outcome and the meaning of a callback's `ErrorCode`.
pub(super) fn classify_receipt(number: &str) -> (OutcomeKind, &'static str) {
    OutcomeCode::find(&RECEIPT_CODES, number)
        .map_or((OutcomeKind::Unavailable, ""), |entry| (entry.outcome, entry.description))
}

#[rustfmt::skip]
static SEND_STATUSES: [OutcomeCode; 3] = [
    outcome_code("402", OutcomeKind::Misconfigured, "not enough credit"),
    outcome_code("404", OutcomeKind::Misconfigured, "the account does not exist; see auth_id"),
    outcome_code("405", OutcomeKind::Misconfigured, "wrong HTTP method; see base_url"),
];

#[rustfmt::skip]
static RECEIPT_CODES: [OutcomeCode; 20] = [
    outcome_code("000", OutcomeKind::Accepted, "no error"),
    outcome_code("10", OutcomeKind::Rejected, "invalid message"),
    outcome_code("20", OutcomeKind::Unavailable, "network error of the carrier"),
    outcome_code("30", OutcomeKind::Rejected, "blocked as spam"),
    outcome_code("40", OutcomeKind::Misconfigured, "invalid sender"),
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
