//! Kavenegar's numbers: what a call came to, and what became of a message.
//!
//! They are its own: 418 and 422 do not mean here what they mean in HTTP.

use crate::sms::{SmsCode, SmsCodeClass, find_sms_code, sms_code};

/// What `return.status` says.
pub(super) fn classify_call(number: &str) -> (SmsCodeClass, &'static str) {
    find_sms_code(&CALL_CODES, number).map_or((SmsCodeClass::Transient, "an unknown status"), |known| {
        (known.class, known.description)
    })
}

/// What the status of a message says.
pub(super) fn classify_message(number: &str) -> (SmsCodeClass, &'static str) {
    find_sms_code(&MESSAGE_CODES, number).map_or((SmsCodeClass::Accepted, ""), |known| {
        (known.class, known.description)
    })
}

static CALL_CODES: [SmsCode; 31] = [
    sms_code("400", SmsCodeClass::Rejected, "a parameter is missing"),
    sms_code("401", SmsCodeClass::Misconfigured, "the account is disabled"),
    sms_code("402", SmsCodeClass::Transient, "the operation failed"),
    sms_code("403", SmsCodeClass::Misconfigured, "the API key is not valid"),
    sms_code(
        "404",
        SmsCodeClass::Misconfigured,
        "there is no such method; see base_url",
    ),
    sms_code("405", SmsCodeClass::Misconfigured, "the method of HTTP is wrong"),
    sms_code("406", SmsCodeClass::Rejected, "a parameter is empty"),
    sms_code(
        "407",
        SmsCodeClass::Misconfigured,
        "no access; allow this host's address in the panel",
    ),
    sms_code("409", SmsCodeClass::Transient, "Kavenegar cannot answer now"),
    sms_code("411", SmsCodeClass::InvalidRecipient, "the number is not valid"),
    sms_code("412", SmsCodeClass::Misconfigured, "the sender is not valid"),
    sms_code("413", SmsCodeClass::Rejected, "the text is empty or too long"),
    sms_code("414", SmsCodeClass::Rejected, "too many records"),
    sms_code("415", SmsCodeClass::Rejected, "the start lies beyond the end"),
    sms_code(
        "416",
        SmsCodeClass::Misconfigured,
        "this host's address is not the one in the panel",
    ),
    sms_code("417", SmsCodeClass::Rejected, "the date is not valid"),
    sms_code("418", SmsCodeClass::Misconfigured, "there is not enough credit"),
    sms_code("419", SmsCodeClass::Rejected, "the lists are not equally long"),
    sms_code("420", SmsCodeClass::Rejected, "the account may not send links"),
    sms_code("422", SmsCodeClass::Rejected, "a character cannot be sent"),
    sms_code(
        "424",
        SmsCodeClass::Misconfigured,
        "there is no such template, or it is not approved",
    ),
    sms_code(
        "426",
        SmsCodeClass::Misconfigured,
        "the account needs the advanced service",
    ),
    sms_code(
        "427",
        SmsCodeClass::Misconfigured,
        "the line needs another level of access",
    ),
    sms_code(
        "428",
        SmsCodeClass::Rejected,
        "a code that is spoken must be digits",
    ),
    sms_code("429", SmsCodeClass::Throttled, "this host's address is held back"),
    sms_code(
        "430",
        SmsCodeClass::Misconfigured,
        "the account's identity is not verified",
    ),
    sms_code(
        "431",
        SmsCodeClass::Rejected,
        "the template's value has a form it may not have",
    ),
    sms_code(
        "432",
        SmsCodeClass::Misconfigured,
        "the template has no such place",
    ),
    sms_code("451", SmsCodeClass::Throttled, "too many calls"),
    sms_code(
        "501",
        SmsCodeClass::Misconfigured,
        "the account may write to its owner only",
    ),
    sms_code("607", SmsCodeClass::Misconfigured, "there is no such tag"),
];

static MESSAGE_CODES: [SmsCode; 11] = [
    sms_code("1", SmsCodeClass::Accepted, "waits"),
    sms_code("2", SmsCodeClass::Accepted, "is scheduled"),
    sms_code("4", SmsCodeClass::Accepted, "with the operator"),
    sms_code("5", SmsCodeClass::Accepted, "with the operator"),
    sms_code("6", SmsCodeClass::Transient, "failed on the way to the operator"),
    sms_code("10", SmsCodeClass::Delivered, "delivered"),
    sms_code(
        "11",
        SmsCodeClass::AbsentSubscriber,
        "not delivered: off, away or full",
    ),
    sms_code("13", SmsCodeClass::Transient, "called off, or a problem"),
    sms_code(
        "14",
        SmsCodeClass::PossiblyInvalid,
        "the subscriber refuses advertising",
    ),
    sms_code("50", SmsCodeClass::Accepted, "received"),
    sms_code("100", SmsCodeClass::Accepted, "unknown, or too old"),
];
