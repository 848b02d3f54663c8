//! Vonage's codes: one table for send responses, one for receipts.
//!
//! A code that is not in a table is a temporary failure.

use crate::outcome_code::{OutcomeCode, outcome_code};
use crate::outcome_kind::OutcomeKind;

/// The code of a receipt whose recipient opted out.
pub(super) const OPT_OUT_CODE: &str = "9";

/// Returns the outcome and the meaning of a send status; `error_text` is the text beside it.
pub(super) fn classify_submit(number: &str, error_text: &str) -> (OutcomeKind, &'static str) {
    // Status 3 concerns any parameter. The recipient is at fault only when the text names `to`.
    let names_recipient = || {
        let mut words = error_text.split(|character: char| !character.is_alphanumeric());
        words.any(|word| word == "to")
    };
    match OutcomeCode::find(&SUBMIT_CODES, number) {
        Some(entry) if number == "3" && names_recipient() => {
            (OutcomeKind::InvalidRecipient, entry.description)
        }
        Some(entry) => (entry.outcome, entry.description),
        None => (OutcomeKind::Unavailable, "unknown status"),
    }
}

/// Returns the outcome and the meaning of a receipt's `err-code`.
pub(super) fn classify_receipt(number: &str) -> (OutcomeKind, &'static str) {
    OutcomeCode::find(&RECEIPT_CODES, number)
        .map_or((OutcomeKind::Unavailable, ""), |entry| (entry.outcome, entry.description))
}

#[rustfmt::skip]
static SUBMIT_CODES: [OutcomeCode; 26] = [
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
    outcome_code("29", OutcomeKind::Misconfigured, "a demo account can send to listed numbers only"),
    outcome_code("32", OutcomeKind::Misconfigured, "both a signature and a secret were sent"),
    outcome_code("33", OutcomeKind::InvalidRecipient, "the phone number was deactivated"),
];

#[rustfmt::skip]
static RECEIPT_CODES: [OutcomeCode; 23] = [
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
