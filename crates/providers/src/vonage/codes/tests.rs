use super::*;
use crate::outcome_kind::OutcomeKind::{
    Accepted, Deferred, InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_send_status_has_its_outcome_and_reason() {
    expect_code_table(VONAGE_SUBMIT_CODES, &[
        ("0", Accepted, "accepted"),
        ("1", Throttled, "the account's rate limit is exceeded"),
        ("2", Rejected, "a parameter is missing"),
        ("3", Rejected, "a parameter is invalid"),
        ("4", Misconfigured, "wrong API key or secret"),
        ("5", Unavailable, "internal error of Vonage"),
        ("6", InvalidRecipient, "the phone number's prefix is unknown"),
        ("7", Rejected, "the phone number is blocked at Vonage"),
        ("8", Misconfigured, "the account is suspended"),
        ("9", Misconfigured, "not enough credit"),
        ("10", Throttled, "too many concurrent connections"),
        ("11", Misconfigured, "the account is not enabled for this API"),
        ("12", Rejected, "the text is too long"),
        ("13", Unavailable, "the communication failed"),
        ("14", Misconfigured, "invalid signature"),
        ("15", Unavailable, "the sender is not allowed for this destination"),
        ("16", Rejected, "invalid time to live"),
        ("17", Rejected, "the destination cannot be reached"),
        ("18", Rejected, "too many destinations"),
        ("19", Rejected, "the facility is not allowed"),
        ("20", Rejected, "invalid message class"),
        ("22", Rejected, "invalid network code"),
        ("23", Misconfigured, "invalid callback URL; see public_url"),
        ("29", Unavailable, "a demo account can send to listed numbers only"),
        ("32", Misconfigured, "both a signature and a secret were sent"),
        ("33", InvalidRecipient, "the phone number was deactivated"),
    ]);
}

#[test]
#[rustfmt::skip]
fn every_receipt_code_has_its_outcome_and_reason() {
    expect_code_table(VONAGE_RECEIPT_CODES, &[
        ("0", Accepted, "delivered"),
        ("1", Unavailable, "unknown"),
        ("2", Deferred, "the handset is off or out of coverage"),
        ("3", InvalidRecipient, "the subscriber does not exist any more"),
        ("4", InvalidRecipient, "the subscriber blocks messages"),
        ("5", InvalidRecipient, "the phone number was ported and not found"),
        ("6", Rejected, "blocked as spam"),
        ("7", Deferred, "the handset is busy"),
        ("8", Unavailable, "network error"),
        ("9", Rejected, "the recipient sent STOP"),
        ("10", Rejected, "invalid message"),
        ("11", Unavailable, "no route to the destination"),
        ("12", Unavailable, "the destination cannot be reached"),
        ("13", Rejected, "the subscriber is under age"),
        ("14", InvalidRecipient, "the carrier blocks the phone number"),
        ("15", Deferred, "the subscriber has no credit"),
        ("39", Unavailable, "the sender is not allowed for this destination"),
        ("50", Rejected, "filtered: the sending entity"),
        ("51", Rejected, "filtered: the header"),
        ("52", Rejected, "filtered: the content"),
        ("53", Rejected, "filtered: no consent"),
        ("54", Rejected, "violates a regulation"),
        ("99", Unavailable, "routing error"),
    ]);
}

#[test]
fn an_unlisted_status_is_a_temporary_failure() {
    let line = submit_code("77", "");
    assert_eq!((line.outcome, line.description), (Unavailable, "unknown status"));
    assert_eq!(receipt_code("77").outcome, Unavailable);
}

#[test]
fn only_a_text_that_names_the_parameter_makes_the_recipient_invalid() {
    for (text, is_named) in [
        ("Invalid value for parameter: to", true),
        ("Invalid to address", true),
        ("The 'to' parameter is not valid", true),
        ("You are not permitted to use this sender", false),
        ("Invalid from: not allowed to send", false),
        ("parameter from has to be numeric", false),
    ] {
        assert_eq!(names_recipient(text), is_named, "{text}");
    }
}
