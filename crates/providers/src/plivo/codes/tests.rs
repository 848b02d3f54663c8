use super::*;
use crate::outcome_kind::OutcomeKind::{
    Accepted, Deferred, InvalidRecipient, Misconfigured, Rejected, Unavailable,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_overridden_status_has_its_outcome_and_reason() {
    expect_code_table(PLIVO_SEND_STATUSES, &[
        ("402", Misconfigured, "not enough credit"),
    ]);
}

#[test]
#[rustfmt::skip]
fn every_receipt_code_has_its_outcome_and_reason() {
    expect_code_table(PLIVO_RECEIPT_CODES, &[
        ("000", Accepted, "no error"),
        ("10", Rejected, "invalid message"),
        ("20", Unavailable, "network error of the carrier"),
        ("30", Rejected, "blocked as spam"),
        ("40", Unavailable, "invalid sender"),
        ("50", InvalidRecipient, "invalid phone number or landline"),
        ("60", Rejected, "message loop detected"),
        ("70", InvalidRecipient, "the phone number does not exist any more"),
        ("80", Deferred, "the handset is off or out of coverage"),
        ("90", Unavailable, "no route to the destination"),
        ("100", Rejected, "forbidden by the carrier"),
        ("110", Rejected, "the text is too long"),
        ("200", Rejected, "the recipient sent STOP"),
        ("201", Unavailable, "toll-free numbers cannot send to Canada"),
        ("300", Unavailable, "the message could not be dispatched"),
        ("420", Rejected, "the message has expired"),
        ("450", Unavailable, "the destination country is blocked"),
        ("900", Misconfigured, "not enough credit"),
        ("910", Misconfigured, "the account is disabled"),
        ("1000", Unavailable, "unknown"),
    ]);
}

#[test]
fn only_a_text_that_calls_the_number_invalid_makes_the_recipient_invalid() {
    for (text, is_invalid) in [
        ("invalid dst number", true),
        ("dst parameter is not valid", true),
        ("dst is blocked for this account", false),
        ("rate limit for dst exceeded", false),
        ("invalid dst country for this account", false),
        ("src and dst cannot be the same", false),
        ("invalid src for this dst", false),
        ("", false),
    ] {
        assert_eq!(calls_recipient_invalid(text), is_invalid, "{text}");
    }
}

#[test]
fn codes_about_a_destination_are_unavailable() {
    for code in DESTINATION_CODES {
        assert_eq!(receipt_code(code).outcome, Unavailable, "{code}");
    }
}
