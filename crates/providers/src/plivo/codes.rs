//! Plivo's codes, which only callbacks carry: a refusal at the send has words and a status of HTTP.
//!
//! Never decides what follows: that is the class's matter.

use crate::sms::{SmsCode, SmsCodeClass, find_sms_code, sms_code};

/// What the `ErrorCode` of a callback says.
pub(super) fn classify(number: &str) -> (SmsCodeClass, &'static str) {
    find_sms_code(&PLIVO_CODES, number).map_or((SmsCodeClass::Transient, ""), |known| {
        (known.class, known.description)
    })
}

static PLIVO_CODES: [SmsCode; 20] = [
    sms_code("000", SmsCodeClass::Delivered, "no error"),
    sms_code("10", SmsCodeClass::Rejected, "the message is not valid"),
    sms_code("20", SmsCodeClass::Transient, "trouble in the carrier's network"),
    sms_code("30", SmsCodeClass::Rejected, "taken for spam"),
    sms_code("40", SmsCodeClass::Misconfigured, "the sender is not valid"),
    sms_code(
        "50",
        SmsCodeClass::InvalidRecipient,
        "the number is not valid, or a landline",
    ),
    sms_code("60", SmsCodeClass::Rejected, "the message runs in a circle"),
    sms_code("70", SmsCodeClass::InvalidRecipient, "the number is gone"),
    sms_code("80", SmsCodeClass::AbsentSubscriber, "the handset is off or away"),
    sms_code("90", SmsCodeClass::DestinationUnavailable, "there is no route"),
    sms_code("100", SmsCodeClass::Rejected, "the carrier forbids it"),
    sms_code("110", SmsCodeClass::Rejected, "the text is too long"),
    sms_code("200", SmsCodeClass::OptedOut, "the person has sent STOP"),
    sms_code(
        "201",
        SmsCodeClass::DestinationUnavailable,
        "toll-free numbers may not write to Canada",
    ),
    sms_code("300", SmsCodeClass::Transient, "it could not be handed over"),
    sms_code("420", SmsCodeClass::Rejected, "it grew too old"),
    sms_code(
        "450",
        SmsCodeClass::DestinationUnavailable,
        "the destination's country is barred",
    ),
    sms_code("900", SmsCodeClass::Misconfigured, "there is not enough credit"),
    sms_code("910", SmsCodeClass::Misconfigured, "the account is disabled"),
    sms_code("1000", SmsCodeClass::Transient, "unknown"),
];
