//! Vonage's codes: one table for the answer to a send, one for receipts.
//!
//! Never decides what follows: that is the class's matter.

use crate::provider::sms::{Class, Code, code, find};

/// What the status of a send says; `theirs` are the words beside it.
pub(super) fn submit(number: &str, theirs: &str) -> (Class, &'static str) {
    // 3 speaks of any parameter: only when it names the number is it the number's fault.
    let names_number = || {
        theirs
            .split(|letter: char| !letter.is_alphanumeric())
            .any(|word| word == "to")
    };
    match find(&SUBMIT, number) {
        Some(known) if number == "3" && names_number() => (Class::Invalid, known.words),
        Some(known) => (known.class, known.words),
        None => (Class::Transient, "an unknown status"),
    }
}

/// What the `err-code` of a receipt says.
pub(super) fn receipt(number: &str) -> (Class, &'static str) {
    find(&RECEIPT, number).map_or((Class::Transient, ""), |known| (known.class, known.words))
}

static SUBMIT: [Code; 26] = [
    code("0", Class::Accepted, "taken"),
    code("1", Class::Throttled, "faster than the account may send"),
    code("2", Class::Rejected, "a parameter is missing"),
    code("3", Class::Rejected, "a parameter is not valid"),
    code("4", Class::Misconfigured, "the key or secret is wrong"),
    code("5", Class::Transient, "trouble inside Vonage"),
    code("6", Class::Invalid, "the number's prefix is unknown"),
    code("7", Class::Rejected, "the number is barred at Vonage"),
    code("8", Class::Misconfigured, "the account is suspended"),
    code("9", Class::Misconfigured, "there is not enough credit"),
    code("10", Class::Throttled, "too many connections at once"),
    code(
        "11",
        Class::Misconfigured,
        "the account may not use this interface",
    ),
    code("12", Class::Rejected, "the text is too long"),
    code("13", Class::Transient, "the communication failed"),
    code("14", Class::Misconfigured, "the signature is not valid"),
    code(
        "15",
        Class::Elsewhere,
        "the sender may not write to this destination",
    ),
    code("16", Class::Rejected, "the lifetime is not valid"),
    code("17", Class::Rejected, "the destination cannot be reached"),
    code("18", Class::Rejected, "there are too many destinations"),
    code("19", Class::Rejected, "this facility is not allowed"),
    code("20", Class::Rejected, "the class is not valid"),
    code("22", Class::Rejected, "the network code is not valid"),
    code(
        "23",
        Class::Misconfigured,
        "the address for receipts is not valid; see public_url",
    ),
    code(
        "29",
        Class::Misconfigured,
        "a demo account writes to listed numbers only",
    ),
    code("32", Class::Misconfigured, "signature and secret were both sent"),
    code("33", Class::Invalid, "the number was given back"),
];

static RECEIPT: [Code; 23] = [
    code("0", Class::Delivered, "delivered"),
    code("1", Class::Transient, "unknown"),
    code("2", Class::Absent, "the handset is off or away"),
    code("3", Class::Invalid, "the subscriber is gone"),
    code("4", Class::Invalid, "the subscriber bars calls"),
    code("5", Class::Invalid, "the number was moved and not found"),
    code("6", Class::Rejected, "taken for spam"),
    code("7", Class::Absent, "the handset is busy"),
    code("8", Class::Transient, "trouble in the network"),
    code("9", Class::OptedOut, "the person has sent STOP"),
    code("10", Class::Rejected, "the message is not valid"),
    code("11", Class::Elsewhere, "there is no route"),
    code("12", Class::Elsewhere, "the destination cannot be reached"),
    code("13", Class::Rejected, "the subscriber is too young"),
    code("14", Class::Invalid, "the carrier blocks the number"),
    code("15", Class::Absent, "the subscriber has no credit"),
    code(
        "39",
        Class::Elsewhere,
        "the sender may not write to this destination",
    ),
    code("50", Class::Rejected, "filtered: the sending entity"),
    code("51", Class::Rejected, "filtered: the header"),
    code("52", Class::Rejected, "filtered: the content"),
    code("53", Class::Rejected, "filtered: no consent"),
    code("54", Class::Rejected, "against a regulation"),
    code("99", Class::Elsewhere, "an error on the route"),
];
