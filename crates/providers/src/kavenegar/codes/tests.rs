use super::*;
use crate::outcome_kind::OutcomeKind::{
    Accepted, Deferred, InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_call_status_has_its_outcome_and_reason() {
    expect_code_table(KAVENEGAR_CALL_CODES, &[
        ("400", Rejected, "a parameter is missing"),
        ("401", Misconfigured, "the account is disabled"),
        ("402", Unavailable, "the operation failed"),
        ("403", Misconfigured, "invalid API key"),
        ("404", Unavailable, "the API method does not exist; see base_url"),
        ("405", Unavailable, "wrong HTTP method"),
        ("406", Rejected, "a parameter is empty"),
        ("407", Misconfigured, "access denied; allow this host's IP address in the panel"),
        ("409", Unavailable, "Kavenegar is temporarily unavailable"),
        ("411", InvalidRecipient, "invalid phone number"),
        ("412", Unavailable, "invalid sender"),
        ("413", Rejected, "the text is empty or too long"),
        ("414", Rejected, "too many records"),
        ("415", Rejected, "the start index is out of range"),
        ("416", Misconfigured, "this host's IP address is not allowed in the panel"),
        ("417", Rejected, "invalid date"),
        ("418", Misconfigured, "not enough credit"),
        ("419", Rejected, "the lists have different lengths"),
        ("420", Rejected, "the account is not enabled for links"),
        ("422", Rejected, "the text contains an unsupported character"),
        ("424", Misconfigured, "the template does not exist or is not approved"),
        ("426", Misconfigured, "the account needs the advanced service"),
        ("427", Unavailable, "the line needs another access level"),
        ("428", Rejected, "a voice code must consist of digits"),
        ("429", Throttled, "this host's IP address is rate limited"),
        ("430", Misconfigured, "the account's identity is not verified"),
        ("431", Rejected, "the template's value has an invalid form"),
        ("432", Misconfigured, "the template has no such parameter"),
        ("451", Throttled, "too many requests"),
        ("501", Unavailable, "the account can send to its owner only"),
        ("607", Misconfigured, "the tag does not exist"),
    ]);
}

#[test]
#[rustfmt::skip]
fn every_message_status_has_its_outcome_and_reason() {
    expect_code_table(KAVENEGAR_MESSAGE_CODES, &[
        ("1", Accepted, "queued"),
        ("2", Accepted, "scheduled"),
        ("4", Accepted, "sent to the carrier"),
        ("5", Accepted, "sent to the carrier"),
        ("6", Unavailable, "sending to the carrier failed"),
        ("10", Accepted, "delivered"),
        ("11", Deferred, "not delivered: handset off, out of coverage or full"),
        ("13", Unavailable, "cancelled or failed"),
        ("14", Rejected, "the subscriber blocks advertising"),
        ("50", Accepted, "received"),
        ("100", Accepted, "unknown or too old"),
    ]);
}

#[test]
fn an_unlisted_status_has_the_default_outcome_and_reason() {
    let call = call_code("999");
    assert_eq!((call.outcome, call.description), (Unavailable, "unknown status"));
    let message = message_code("77");
    assert_eq!((message.outcome, message.description), (Accepted, ""));
}

#[test]
fn codes_about_a_destination_are_unavailable() {
    for code in DESTINATION_CODES {
        assert_eq!(message_code(code).outcome, Unavailable, "{code}");
    }
}
