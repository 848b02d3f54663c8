use super::*;
use crate::outcome_kind::OutcomeKind::{
    Deferred, InvalidRecipient, Misconfigured, Rejected, Throttled, Unavailable,
};
use crate::testing::code_table::expect_code_table;

#[test]
#[rustfmt::skip]
fn every_error_code_has_its_outcome_and_reason() {
    expect_code_table(TWILIO_CODES, &[
        ("14107", Throttled, "too many messages between two numbers"),
        ("20003", Misconfigured, "wrong account SID, auth token or API key"),
        ("20004", Unavailable, "the HTTP method is not allowed"),
        ("20005", Misconfigured, "the account is not active"),
        ("20006", Misconfigured, "the account has no access"),
        ("20008", Misconfigured, "test credentials"),
        ("20010", Misconfigured, "the account lacks a permission"),
        ("20403", Misconfigured, "the account lacks a permission"),
        ("20404", Misconfigured, "the account does not exist"),
        ("20429", Throttled, "too many requests at once"),
        ("20500", Unavailable, "internal error of Twilio"),
        ("20503", Unavailable, "Twilio is unavailable"),
        ("21211", InvalidRecipient, "invalid phone number"),
        ("21212", Unavailable, "invalid sender"),
        ("21214", InvalidRecipient, "the phone number cannot be reached"),
        ("21217", InvalidRecipient, "the phone number looks invalid"),
        ("21219", Unavailable, "a trial account can send to verified numbers only"),
        ("21401", InvalidRecipient, "invalid phone number"),
        ("21407", InvalidRecipient, "this type of phone number cannot receive SMS"),
        ("21408", Unavailable, "the account is not enabled for this country"),
        ("21601", InvalidRecipient, "the phone number cannot receive SMS"),
        ("21602", Rejected, "the text is missing"),
        ("21603", Misconfigured, "the sender is missing"),
        ("21604", Rejected, "the phone number is missing"),
        ("21605", Unavailable, "the sender cannot send SMS"),
        ("21606", Unavailable, "the sender cannot send to this destination"),
        ("21607", Unavailable, "the sender does not belong to the account"),
        ("21608", Unavailable, "a trial account can send to verified numbers only"),
        ("21609", Misconfigured, "invalid callback URL; see public_url"),
        ("21610", Rejected, "the recipient sent STOP"),
        ("21611", Throttled, "the queue of this sender is full"),
        ("21612", Unavailable, "the phone number cannot be reached from this sender"),
        ("21614", InvalidRecipient, "not a mobile number"),
        ("21616", Unavailable, "the sender is ambiguous"),
        ("21617", Rejected, "the text is too long"),
        ("21618", Rejected, "the text cannot be sent"),
        ("21619", Rejected, "the text or medium is missing"),
        ("21620", Rejected, "invalid media URL"),
        ("21623", Rejected, "too many media"),
        ("21624", Rejected, "the validity period is out of range"),
        ("21635", InvalidRecipient, "landline number"),
        ("21654", Rejected, "the content template has a problem"),
        ("21655", Rejected, "the content template has a problem"),
        ("21656", Rejected, "the content template has a problem"),
        ("21701", Misconfigured, "the messaging service does not exist"),
        ("21702", Unavailable, "the messaging service is unavailable"),
        ("21703", Unavailable, "the messaging service has no sender for this destination"),
        ("21704", Misconfigured, "the messaging service has no sender"),
        ("21705", Misconfigured, "invalid messaging service"),
        ("30001", Throttled, "Twilio's queue is full"),
        ("30002", Misconfigured, "the account is suspended"),
        ("30003", Deferred, "the handset is unreachable"),
        ("30004", Rejected, "the message is blocked"),
        ("30005", Rejected, "the handset is unknown or switched off"),
        ("30006", InvalidRecipient, "landline number or unreachable carrier"),
        ("30007", Rejected, "the message was filtered"),
        ("30008", Unavailable, "unknown error of the carrier"),
        ("30010", Rejected, "the price exceeds the limit"),
        ("30011", Rejected, "the recipient cannot receive media"),
        ("30012", Rejected, "the validity period is out of range"),
        ("30013", Rejected, "the validity period is out of range"),
        ("30014", Rejected, "invalid destination attributes"),
        ("30015", Rejected, "invalid destination attributes"),
        ("30016", Rejected, "invalid destination attributes"),
        ("30017", Unavailable, "the carrier's network is congested"),
        ("30018", Unavailable, "the sender is not registered"),
        ("30019", Rejected, "the message is too large"),
        ("30020", Unavailable, "internal error of Twilio"),
        ("30021", Unavailable, "internal error of Twilio"),
        ("30022", Throttled, "the campaign's rate limit is exceeded"),
        ("30023", Throttled, "the campaign's daily limit is exceeded"),
        ("30024", Unavailable, "the sender is not registered"),
        ("30027", Throttled, "the carrier's daily limit is exceeded"),
        ("30032", Unavailable, "the toll-free sender is not verified"),
        ("30033", Unavailable, "the campaign is suspended"),
        ("30034", Unavailable, "the sender is not assigned to a campaign"),
        ("30035", Unavailable, "the sender's registration is incomplete"),
        ("30036", Rejected, "the validity period has expired"),
        ("30039", Rejected, "message loop detected"),
        ("30410", Unavailable, "the carrier timed out"),
        ("30450", Unavailable, "the destination is blocked for some minutes"),
        ("90007", Rejected, "the validity period is out of range"),
    ]);
}

#[test]
fn every_code_is_in_the_table_once() {
    let mut codes = std::collections::BTreeSet::new();
    assert!(TWILIO_CODES.iter().all(|line| codes.insert(line.code)));
}

#[test]
fn an_unknown_code_is_classified_by_its_family_and_status() {
    for (code, status, outcome) in [
        ("20999", Some(403), OutcomeKind::Misconfigured),
        ("20999", Some(404), OutcomeKind::Unavailable),
        ("20999", Some(500), OutcomeKind::Unavailable),
        ("21999", Some(400), OutcomeKind::Rejected),
        ("30999", None, OutcomeKind::Unavailable),
        ("63016", Some(400), OutcomeKind::Rejected),
    ] {
        assert_eq!(twilio_code(code, status).outcome, outcome, "{code}");
    }
}
