//! Vonage's codes: one table for the answer to a send, one for receipts.
//!
//! Never decides what follows: that is the class's matter.

use crate::sms::{SmsCode, SmsCodeClass, find_sms_code, sms_code};

/// What the status of a send says; `theirs` are the words beside it.
pub(super) fn classify_submit(number: &str, theirs: &str) -> (SmsCodeClass, &'static str) {
    // 3 speaks of any parameter: only when it names the number is it the number's fault.
    let names_number = || {
        theirs
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| word == "to")
    };
    match find_sms_code(&SUBMIT_CODES, number) {
        Some(known) if number == "3" && names_number() => (SmsCodeClass::InvalidRecipient, known.description),
        Some(known) => (known.class, known.description),
        None => (SmsCodeClass::Transient, "an unknown status"),
    }
}

/// What the `err-code` of a receipt says.
pub(super) fn classify_receipt(number: &str) -> (SmsCodeClass, &'static str) {
    find_sms_code(&RECEIPT_CODES, number).map_or((SmsCodeClass::Transient, ""), |known| {
        (known.class, known.description)
    })
}

static SUBMIT_CODES: [SmsCode; 26] = [
    sms_code("0", SmsCodeClass::Accepted, "taken"),
    sms_code("1", SmsCodeClass::Throttled, "faster than the account may send"),
    sms_code("2", SmsCodeClass::Rejected, "a parameter is missing"),
    sms_code("3", SmsCodeClass::Rejected, "a parameter is not valid"),
    sms_code("4", SmsCodeClass::Misconfigured, "the key or secret is wrong"),
    sms_code("5", SmsCodeClass::Transient, "trouble inside Vonage"),
    sms_code(
        "6",
        SmsCodeClass::InvalidRecipient,
        "the number's prefix is unknown",
    ),
    sms_code("7", SmsCodeClass::Rejected, "the number is barred at Vonage"),
    sms_code("8", SmsCodeClass::Misconfigured, "the account is suspended"),
    sms_code("9", SmsCodeClass::Misconfigured, "there is not enough credit"),
    sms_code("10", SmsCodeClass::Throttled, "too many connections at once"),
    sms_code(
        "11",
        SmsCodeClass::Misconfigured,
        "the account may not use this interface",
    ),
    sms_code("12", SmsCodeClass::Rejected, "the text is too long"),
    sms_code("13", SmsCodeClass::Transient, "the communication failed"),
    sms_code("14", SmsCodeClass::Misconfigured, "the signature is not valid"),
    sms_code(
        "15",
        SmsCodeClass::DestinationUnavailable,
        "the sender may not write to this destination",
    ),
    sms_code("16", SmsCodeClass::Rejected, "the lifetime is not valid"),
    sms_code("17", SmsCodeClass::Rejected, "the destination cannot be reached"),
    sms_code("18", SmsCodeClass::Rejected, "there are too many destinations"),
    sms_code("19", SmsCodeClass::Rejected, "this facility is not allowed"),
    sms_code("20", SmsCodeClass::Rejected, "the class is not valid"),
    sms_code("22", SmsCodeClass::Rejected, "the network code is not valid"),
    sms_code(
        "23",
        SmsCodeClass::Misconfigured,
        "the address for receipts is not valid; see public_url",
    ),
    sms_code(
        "29",
        SmsCodeClass::Misconfigured,
        "a demo account writes to listed numbers only",
    ),
    sms_code(
        "32",
        SmsCodeClass::Misconfigured,
        "signature and secret were both sent",
    ),
    sms_code("33", SmsCodeClass::InvalidRecipient, "the number was given back"),
];

static RECEIPT_CODES: [SmsCode; 23] = [
    sms_code("0", SmsCodeClass::Delivered, "delivered"),
    sms_code("1", SmsCodeClass::Transient, "unknown"),
    sms_code("2", SmsCodeClass::AbsentSubscriber, "the handset is off or away"),
    sms_code("3", SmsCodeClass::InvalidRecipient, "the subscriber is gone"),
    sms_code("4", SmsCodeClass::InvalidRecipient, "the subscriber bars calls"),
    sms_code(
        "5",
        SmsCodeClass::InvalidRecipient,
        "the number was moved and not found",
    ),
    sms_code("6", SmsCodeClass::Rejected, "taken for spam"),
    sms_code("7", SmsCodeClass::AbsentSubscriber, "the handset is busy"),
    sms_code("8", SmsCodeClass::Transient, "trouble in the network"),
    sms_code("9", SmsCodeClass::OptedOut, "the person has sent STOP"),
    sms_code("10", SmsCodeClass::Rejected, "the message is not valid"),
    sms_code("11", SmsCodeClass::DestinationUnavailable, "there is no route"),
    sms_code(
        "12",
        SmsCodeClass::DestinationUnavailable,
        "the destination cannot be reached",
    ),
    sms_code("13", SmsCodeClass::Rejected, "the subscriber is too young"),
    sms_code(
        "14",
        SmsCodeClass::InvalidRecipient,
        "the carrier blocks the number",
    ),
    sms_code(
        "15",
        SmsCodeClass::AbsentSubscriber,
        "the subscriber has no credit",
    ),
    sms_code(
        "39",
        SmsCodeClass::DestinationUnavailable,
        "the sender may not write to this destination",
    ),
    sms_code("50", SmsCodeClass::Rejected, "filtered: the sending entity"),
    sms_code("51", SmsCodeClass::Rejected, "filtered: the header"),
    sms_code("52", SmsCodeClass::Rejected, "filtered: the content"),
    sms_code("53", SmsCodeClass::Rejected, "filtered: no consent"),
    sms_code("54", SmsCodeClass::Rejected, "against a regulation"),
    sms_code(
        "99",
        SmsCodeClass::DestinationUnavailable,
        "an error on the route",
    ),
];
