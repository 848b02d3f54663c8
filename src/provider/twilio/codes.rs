//! Twilio's codes: one number space for the answer to a send and for status callbacks.
//!
//! Never decides what follows: that is the class's matter.

use crate::provider::sms::{Class, Code, class_of_status, code, find};

/// What a code says; `status` is that of the answer it came in, 0 for a callback.
pub(super) fn meaning(number: &str, status: u16) -> (Class, &'static str) {
    if let Some(known) = find(&CODES, number) {
        return (known.class, known.words);
    }
    let class = match number.as_bytes() {
        // 20xxx speaks of the account when the status does.
        [b'2', b'0', ..] if matches!(status, 401 | 403 | 404) => Class::Misconfigured,
        [b'2', b'0', ..] | [b'3', b'0', ..] => Class::Transient,
        _ if status == 0 => Class::Transient,
        _ => class_of_status(status),
    };
    (class, "")
}

static CODES: [Code; 82] = [
    code("14107", Class::Throttled, "too many messages between two numbers"),
    code(
        "20003",
        Class::Misconfigured,
        "the account SID, the token or the API key is wrong",
    ),
    code("20004", Class::Misconfigured, "the method is not allowed"),
    code("20005", Class::Misconfigured, "the account is not active"),
    code("20006", Class::Misconfigured, "the account has no access"),
    code("20008", Class::Misconfigured, "these are test credentials"),
    code("20010", Class::Misconfigured, "the account may not do this"),
    code("20403", Class::Misconfigured, "the account may not do this"),
    code("20404", Class::Misconfigured, "there is no such account"),
    code("20429", Class::Throttled, "too many requests at once"),
    code("20500", Class::Transient, "trouble inside Twilio"),
    code("20503", Class::Transient, "Twilio is unavailable"),
    code("21211", Class::Invalid, "the number is not valid"),
    code("21212", Class::Misconfigured, "the sender is not valid"),
    code("21214", Class::Invalid, "the number cannot be reached"),
    code("21217", Class::Invalid, "the number does not look valid"),
    code(
        "21219",
        Class::Misconfigured,
        "a trial account writes to verified numbers only",
    ),
    code("21401", Class::Invalid, "the number is not valid"),
    code("21407", Class::Invalid, "this type of number takes no texts"),
    code(
        "21408",
        Class::Elsewhere,
        "the account may not write to this country",
    ),
    code("21601", Class::Invalid, "the number takes no texts"),
    code("21602", Class::Rejected, "the text is missing"),
    code("21603", Class::Misconfigured, "there is no sender"),
    code("21604", Class::Rejected, "the number is missing"),
    code("21605", Class::Misconfigured, "the sender cannot send texts"),
    code(
        "21606",
        Class::Elsewhere,
        "the sender cannot write to this destination",
    ),
    code(
        "21607",
        Class::Misconfigured,
        "the sender is not one of the account's",
    ),
    code(
        "21608",
        Class::Misconfigured,
        "a trial account writes to verified numbers only",
    ),
    code(
        "21609",
        Class::Misconfigured,
        "the address for receipts is not valid; see public_url",
    ),
    code("21610", Class::OptedOut, "the person has sent STOP"),
    code(
        "21611",
        Class::Throttled,
        "too many messages wait for this sender",
    ),
    code(
        "21612",
        Class::Elsewhere,
        "the number cannot be reached from this sender",
    ),
    code("21614", Class::Invalid, "this is no mobile number"),
    code(
        "21616",
        Class::Misconfigured,
        "several senders would do; name one",
    ),
    code("21617", Class::Rejected, "the text is too long"),
    code("21618", Class::Rejected, "the text cannot be sent"),
    code("21619", Class::Rejected, "the text or medium is missing"),
    code("21620", Class::Rejected, "the medium's URL is not valid"),
    code("21623", Class::Rejected, "there are too many media"),
    code("21624", Class::Rejected, "the validity period is out of range"),
    code("21635", Class::Invalid, "this is a landline"),
    code("21654", Class::Rejected, "the content template has a problem"),
    code("21655", Class::Rejected, "the content template has a problem"),
    code("21656", Class::Rejected, "the content template has a problem"),
    code(
        "21701",
        Class::Misconfigured,
        "there is no such messaging service",
    ),
    code(
        "21702",
        Class::Misconfigured,
        "the messaging service is unavailable",
    ),
    code(
        "21703",
        Class::Elsewhere,
        "the messaging service has no sender for this destination",
    ),
    code(
        "21704",
        Class::Misconfigured,
        "the messaging service has no sender",
    ),
    code(
        "21705",
        Class::Misconfigured,
        "the messaging service is not valid",
    ),
    code("30001", Class::Throttled, "Twilio's queue is full"),
    code("30002", Class::Misconfigured, "the account was suspended"),
    code("30003", Class::Absent, "the handset cannot be reached"),
    code("30004", Class::Rejected, "the message is blocked"),
    code(
        "30005",
        Class::Doubtful,
        "the handset is unknown, or switched off",
    ),
    code(
        "30006",
        Class::Invalid,
        "this is a landline, or its carrier cannot be reached",
    ),
    code("30007", Class::Rejected, "the message was filtered"),
    code("30008", Class::Transient, "the carrier failed without saying why"),
    code("30010", Class::Rejected, "the price is above the limit"),
    code("30011", Class::Rejected, "the receiver takes no media"),
    code("30012", Class::Rejected, "the validity period is out of range"),
    code("30013", Class::Rejected, "the validity period is out of range"),
    code("30014", Class::Rejected, "the destination's attributes are wrong"),
    code("30015", Class::Rejected, "the destination's attributes are wrong"),
    code("30016", Class::Rejected, "the destination's attributes are wrong"),
    code("30017", Class::Transient, "the carrier's network is congested"),
    code("30018", Class::Misconfigured, "the sender is not registered"),
    code("30019", Class::Rejected, "the message is too big"),
    code("30020", Class::Transient, "trouble inside Twilio"),
    code("30021", Class::Transient, "trouble inside Twilio"),
    code("30022", Class::Throttled, "faster than the campaign may send"),
    code(
        "30023",
        Class::Throttled,
        "more than the campaign may send in a day",
    ),
    code("30024", Class::Misconfigured, "the sender is not registered"),
    code("30027", Class::Throttled, "more than the carrier takes in a day"),
    code(
        "30032",
        Class::Misconfigured,
        "the toll-free sender is not verified",
    ),
    code("30033", Class::Misconfigured, "the campaign is suspended"),
    code("30034", Class::Misconfigured, "the sender belongs to no campaign"),
    code(
        "30035",
        Class::Misconfigured,
        "the sender's registration is not finished",
    ),
    code("30036", Class::Rejected, "the validity period is over"),
    code("30039", Class::Rejected, "the message runs in a circle"),
    code("30410", Class::Transient, "the carrier did not answer in time"),
    code(
        "30450",
        Class::Transient,
        "the destination is blocked for some minutes",
    ),
    code("90007", Class::Rejected, "the validity period is out of range"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_once() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(CODES.iter().all(|line| seen.insert(line.code)));
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_family() {
        assert_eq!(meaning("20999", 403).0, Class::Misconfigured);
        assert_eq!(meaning("20999", 500).0, Class::Transient);
        assert_eq!(meaning("21999", 400).0, Class::Rejected);
        assert_eq!(meaning("30999", 0).0, Class::Transient);
        assert_eq!(meaning("63016", 400).0, Class::Rejected);
    }
}
