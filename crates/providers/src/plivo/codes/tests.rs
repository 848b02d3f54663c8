use super::*;
use crate::outcome_kind::OutcomeKind::{
    Accepted, Deferred, InvalidRecipient, Misconfigured, Rejected, Unavailable,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_overridden_status_has_its_outcome_and_reason() {
    expect_code_table(SEND_STATUSES, &[
        ("402", Misconfigured, "not enough credit"),
        ("404", Misconfigured, "the account does not exist; see auth_id"),
        ("405", Misconfigured, "wrong HTTP method; see base_url"),
    ]);
}

#[test]
#[rustfmt::skip]
fn every_receipt_code_has_its_outcome_and_reason() {
    expect_code_table(RECEIPT_CODES, &[
        ("000", Accepted, "no error"),
        ("10", Rejected, "invalid message"),
        ("20", Unavailable, "network error of the carrier"),
        ("30", Rejected, "blocked as spam"),
        ("40", Misconfigured, "invalid sender"),
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
