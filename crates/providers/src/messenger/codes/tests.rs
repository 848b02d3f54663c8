use super::*;
use crate::outcome_kind::OutcomeKind::{
    Deferred, InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable, Unknown,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_code_has_its_outcome_and_reason() {
    expect_code_table(MESSENGER_CODES, &[
        ("1/1357046", Unknown, "reported as invalid, although it may have been sent"),
        ("1", Unavailable, "unknown error, often a missing permission"),
        ("2/2018344", Misconfigured, "an admin of the page must accept the terms"),
        ("2", Deferred, "temporary error"),
        ("4/2018354", Rejected, "too soon after the last marketing message"),
        ("4", Throttled, "too many requests of the app"),
        ("9/2018352", Rejected, "too many marketing messages to this person"),
        ("10/2018278", Rejected, "the person last wrote more than 24 hours ago"),
        ("10/2534022", Rejected, "the person last wrote more than 24 hours ago"),
        ("10", Misconfigured, "the app lacks a permission"),
        ("17", Throttled, "too many requests of the user"),
        ("32", Throttled, "too many requests of the page"),
        ("100/2018001", InvalidRecipient, "unknown person"),
        ("100/33", InvalidRecipient, "this page cannot write to this id"),
        ("100", Rejected, "invalid message"),
        ("102", Misconfigured, "the session has expired"),
        ("190", Misconfigured, "the token is not valid or has expired"),
        ("200/1545041", Rejected, "the person cannot be written to now"),
        ("200/2018108", Misconfigured, "the app is in development mode and the person is not a tester"),
        ("200", Misconfigured, "the app lacks a permission"),
        ("230", Misconfigured, "the app lacks a permission"),
        ("299", Misconfigured, "the app lacks a permission"),
        ("368", Misconfigured, "the page is blocked for policy violations"),
        ("463", Misconfigured, "the token has expired"),
        ("467", Misconfigured, "the token is no longer valid"),
        ("551", Rejected, "the person cannot be written to now"),
        ("613", Throttled, "too many requests of this kind"),
        ("1200", Unavailable, "temporary failure"),
        ("80006", Throttled, "too many requests of the page"),
    ]);
}
