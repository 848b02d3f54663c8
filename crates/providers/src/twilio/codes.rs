//! Twilio's codes: one number space for the answer to a send and for status callbacks.
//!
//! Never decides what follows: that is the class's matter.

use crate::sms::{SmsCode, SmsCodeClass, class_from_http_status, find_sms_code, sms_code};

/// What a code says; `status` is that of the answer it came in, 0 for a callback.
pub(super) fn classify(number: &str, status: u16) -> (SmsCodeClass, &'static str) {
    if let Some(known) = find_sms_code(&TWILIO_CODES, number) {
        return (known.class, known.description);
    }
    let class = match number.as_bytes() {
        // 20xxx speaks of the account when the status does.
        [b'2', b'0', ..] if matches!(status, 401 | 403 | 404) => SmsCodeClass::Misconfigured,
        [b'2', b'0', ..] | [b'3', b'0', ..] => SmsCodeClass::Transient,
        _ if status == 0 => SmsCodeClass::Transient,
        _ => class_from_http_status(status),
    };
    (class, "")
}

static TWILIO_CODES: [SmsCode; 82] = [
    sms_code(
        "14107",
        SmsCodeClass::Throttled,
        "too many messages between two numbers",
    ),
    sms_code(
        "20003",
        SmsCodeClass::Misconfigured,
        "the account SID, the token or the API key is wrong",
    ),
    sms_code("20004", SmsCodeClass::Misconfigured, "the method is not allowed"),
    sms_code("20005", SmsCodeClass::Misconfigured, "the account is not active"),
    sms_code("20006", SmsCodeClass::Misconfigured, "the account has no access"),
    sms_code("20008", SmsCodeClass::Misconfigured, "these are test credentials"),
    sms_code(
        "20010",
        SmsCodeClass::Misconfigured,
        "the account may not do this",
    ),
    sms_code(
        "20403",
        SmsCodeClass::Misconfigured,
        "the account may not do this",
    ),
    sms_code("20404", SmsCodeClass::Misconfigured, "there is no such account"),
    sms_code("20429", SmsCodeClass::Throttled, "too many requests at once"),
    sms_code("20500", SmsCodeClass::Transient, "trouble inside Twilio"),
    sms_code("20503", SmsCodeClass::Transient, "Twilio is unavailable"),
    sms_code("21211", SmsCodeClass::InvalidRecipient, "the number is not valid"),
    sms_code("21212", SmsCodeClass::Misconfigured, "the sender is not valid"),
    sms_code(
        "21214",
        SmsCodeClass::InvalidRecipient,
        "the number cannot be reached",
    ),
    sms_code(
        "21217",
        SmsCodeClass::InvalidRecipient,
        "the number does not look valid",
    ),
    sms_code(
        "21219",
        SmsCodeClass::Misconfigured,
        "a trial account writes to verified numbers only",
    ),
    sms_code("21401", SmsCodeClass::InvalidRecipient, "the number is not valid"),
    sms_code(
        "21407",
        SmsCodeClass::InvalidRecipient,
        "this type of number takes no texts",
    ),
    sms_code(
        "21408",
        SmsCodeClass::DestinationUnavailable,
        "the account may not write to this country",
    ),
    sms_code(
        "21601",
        SmsCodeClass::InvalidRecipient,
        "the number takes no texts",
    ),
    sms_code("21602", SmsCodeClass::Rejected, "the text is missing"),
    sms_code("21603", SmsCodeClass::Misconfigured, "there is no sender"),
    sms_code("21604", SmsCodeClass::Rejected, "the number is missing"),
    sms_code(
        "21605",
        SmsCodeClass::Misconfigured,
        "the sender cannot send texts",
    ),
    sms_code(
        "21606",
        SmsCodeClass::DestinationUnavailable,
        "the sender cannot write to this destination",
    ),
    sms_code(
        "21607",
        SmsCodeClass::Misconfigured,
        "the sender is not one of the account's",
    ),
    sms_code(
        "21608",
        SmsCodeClass::Misconfigured,
        "a trial account writes to verified numbers only",
    ),
    sms_code(
        "21609",
        SmsCodeClass::Misconfigured,
        "the address for receipts is not valid; see public_url",
    ),
    sms_code("21610", SmsCodeClass::OptedOut, "the person has sent STOP"),
    sms_code(
        "21611",
        SmsCodeClass::Throttled,
        "too many messages wait for this sender",
    ),
    sms_code(
        "21612",
        SmsCodeClass::DestinationUnavailable,
        "the number cannot be reached from this sender",
    ),
    sms_code(
        "21614",
        SmsCodeClass::InvalidRecipient,
        "this is no mobile number",
    ),
    sms_code(
        "21616",
        SmsCodeClass::Misconfigured,
        "several senders would do; name one",
    ),
    sms_code("21617", SmsCodeClass::Rejected, "the text is too long"),
    sms_code("21618", SmsCodeClass::Rejected, "the text cannot be sent"),
    sms_code("21619", SmsCodeClass::Rejected, "the text or medium is missing"),
    sms_code("21620", SmsCodeClass::Rejected, "the medium's URL is not valid"),
    sms_code("21623", SmsCodeClass::Rejected, "there are too many media"),
    sms_code(
        "21624",
        SmsCodeClass::Rejected,
        "the validity period is out of range",
    ),
    sms_code("21635", SmsCodeClass::InvalidRecipient, "this is a landline"),
    sms_code(
        "21654",
        SmsCodeClass::Rejected,
        "the content template has a problem",
    ),
    sms_code(
        "21655",
        SmsCodeClass::Rejected,
        "the content template has a problem",
    ),
    sms_code(
        "21656",
        SmsCodeClass::Rejected,
        "the content template has a problem",
    ),
    sms_code(
        "21701",
        SmsCodeClass::Misconfigured,
        "there is no such messaging service",
    ),
    sms_code(
        "21702",
        SmsCodeClass::Misconfigured,
        "the messaging service is unavailable",
    ),
    sms_code(
        "21703",
        SmsCodeClass::DestinationUnavailable,
        "the messaging service has no sender for this destination",
    ),
    sms_code(
        "21704",
        SmsCodeClass::Misconfigured,
        "the messaging service has no sender",
    ),
    sms_code(
        "21705",
        SmsCodeClass::Misconfigured,
        "the messaging service is not valid",
    ),
    sms_code("30001", SmsCodeClass::Throttled, "Twilio's queue is full"),
    sms_code("30002", SmsCodeClass::Misconfigured, "the account was suspended"),
    sms_code(
        "30003",
        SmsCodeClass::AbsentSubscriber,
        "the handset cannot be reached",
    ),
    sms_code("30004", SmsCodeClass::Rejected, "the message is blocked"),
    sms_code(
        "30005",
        SmsCodeClass::PossiblyInvalid,
        "the handset is unknown, or switched off",
    ),
    sms_code(
        "30006",
        SmsCodeClass::InvalidRecipient,
        "this is a landline, or its carrier cannot be reached",
    ),
    sms_code("30007", SmsCodeClass::Rejected, "the message was filtered"),
    sms_code(
        "30008",
        SmsCodeClass::Transient,
        "the carrier failed without saying why",
    ),
    sms_code("30010", SmsCodeClass::Rejected, "the price is above the limit"),
    sms_code("30011", SmsCodeClass::Rejected, "the receiver takes no media"),
    sms_code(
        "30012",
        SmsCodeClass::Rejected,
        "the validity period is out of range",
    ),
    sms_code(
        "30013",
        SmsCodeClass::Rejected,
        "the validity period is out of range",
    ),
    sms_code(
        "30014",
        SmsCodeClass::Rejected,
        "the destination's attributes are wrong",
    ),
    sms_code(
        "30015",
        SmsCodeClass::Rejected,
        "the destination's attributes are wrong",
    ),
    sms_code(
        "30016",
        SmsCodeClass::Rejected,
        "the destination's attributes are wrong",
    ),
    sms_code(
        "30017",
        SmsCodeClass::Transient,
        "the carrier's network is congested",
    ),
    sms_code(
        "30018",
        SmsCodeClass::Misconfigured,
        "the sender is not registered",
    ),
    sms_code("30019", SmsCodeClass::Rejected, "the message is too big"),
    sms_code("30020", SmsCodeClass::Transient, "trouble inside Twilio"),
    sms_code("30021", SmsCodeClass::Transient, "trouble inside Twilio"),
    sms_code(
        "30022",
        SmsCodeClass::Throttled,
        "faster than the campaign may send",
    ),
    sms_code(
        "30023",
        SmsCodeClass::Throttled,
        "more than the campaign may send in a day",
    ),
    sms_code(
        "30024",
        SmsCodeClass::Misconfigured,
        "the sender is not registered",
    ),
    sms_code(
        "30027",
        SmsCodeClass::Throttled,
        "more than the carrier takes in a day",
    ),
    sms_code(
        "30032",
        SmsCodeClass::Misconfigured,
        "the toll-free sender is not verified",
    ),
    sms_code("30033", SmsCodeClass::Misconfigured, "the campaign is suspended"),
    sms_code(
        "30034",
        SmsCodeClass::Misconfigured,
        "the sender belongs to no campaign",
    ),
    sms_code(
        "30035",
        SmsCodeClass::Misconfigured,
        "the sender's registration is not finished",
    ),
    sms_code("30036", SmsCodeClass::Rejected, "the validity period is over"),
    sms_code("30039", SmsCodeClass::Rejected, "the message runs in a circle"),
    sms_code(
        "30410",
        SmsCodeClass::Transient,
        "the carrier did not answer in time",
    ),
    sms_code(
        "30450",
        SmsCodeClass::Transient,
        "the destination is blocked for some minutes",
    ),
    sms_code(
        "90007",
        SmsCodeClass::Rejected,
        "the validity period is out of range",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_stands_in_the_table_once() {
        let mut seen = std::collections::BTreeSet::new();
        assert!(TWILIO_CODES.iter().all(|line| seen.insert(line.code)));
    }

    #[test]
    fn an_unknown_code_is_judged_by_its_family() {
        assert_eq!(classify("20999", 403).0, SmsCodeClass::Misconfigured);
        assert_eq!(classify("20999", 500).0, SmsCodeClass::Transient);
        assert_eq!(classify("21999", 400).0, SmsCodeClass::Rejected);
        assert_eq!(classify("30999", 0).0, SmsCodeClass::Transient);
        assert_eq!(classify("63016", 400).0, SmsCodeClass::Rejected);
    }
}
