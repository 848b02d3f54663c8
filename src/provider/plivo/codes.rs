//! Plivo's codes, which only callbacks carry: a refusal at the send has words and a status of HTTP.
//!
//! Never decides what follows: that is the class's matter.

use crate::provider::sms::{Class, Code, code, find};

/// What the `ErrorCode` of a callback says.
pub(super) fn meaning(number: &str) -> (Class, &'static str) {
    find(&CODES, number).map_or((Class::Transient, ""), |known| (known.class, known.words))
}

static CODES: [Code; 20] = [
    code("000", Class::Delivered, "no error"),
    code("10", Class::Rejected, "the message is not valid"),
    code("20", Class::Transient, "trouble in the carrier's network"),
    code("30", Class::Rejected, "taken for spam"),
    code("40", Class::Misconfigured, "the sender is not valid"),
    code("50", Class::Invalid, "the number is not valid, or a landline"),
    code("60", Class::Rejected, "the message runs in a circle"),
    code("70", Class::Invalid, "the number is gone"),
    code("80", Class::Absent, "the handset is off or away"),
    code("90", Class::Elsewhere, "there is no route"),
    code("100", Class::Rejected, "the carrier forbids it"),
    code("110", Class::Rejected, "the text is too long"),
    code("200", Class::OptedOut, "the person has sent STOP"),
    code(
        "201",
        Class::Elsewhere,
        "toll-free numbers may not write to Canada",
    ),
    code("300", Class::Transient, "it could not be handed over"),
    code("420", Class::Rejected, "it grew too old"),
    code("450", Class::Elsewhere, "the destination's country is barred"),
    code("900", Class::Misconfigured, "there is not enough credit"),
    code("910", Class::Misconfigured, "the account is disabled"),
    code("1000", Class::Transient, "unknown"),
];
