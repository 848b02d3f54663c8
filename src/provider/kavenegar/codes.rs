//! Kavenegar's numbers: what a call came to, and what became of a message.
//!
//! They are its own: 418 and 422 do not mean here what they mean in HTTP.

use crate::provider::sms::{Class, Code, code, find};

/// What `return.status` says.
pub(super) fn call(number: &str) -> (Class, &'static str) {
    find(&CALL, number).map_or((Class::Transient, "an unknown status"), |known| {
        (known.class, known.words)
    })
}

/// What the status of a message says.
pub(super) fn message(number: &str) -> (Class, &'static str) {
    find(&MESSAGE, number).map_or((Class::Accepted, ""), |known| (known.class, known.words))
}

static CALL: [Code; 31] = [
    code("400", Class::Rejected, "a parameter is missing"),
    code("401", Class::Misconfigured, "the account is disabled"),
    code("402", Class::Transient, "the operation failed"),
    code("403", Class::Misconfigured, "the API key is not valid"),
    code(
        "404",
        Class::Misconfigured,
        "there is no such method; see base_url",
    ),
    code("405", Class::Misconfigured, "the method of HTTP is wrong"),
    code("406", Class::Rejected, "a parameter is empty"),
    code(
        "407",
        Class::Misconfigured,
        "no access; allow this host's address in the panel",
    ),
    code("409", Class::Transient, "Kavenegar cannot answer now"),
    code("411", Class::Invalid, "the number is not valid"),
    code("412", Class::Misconfigured, "the sender is not valid"),
    code("413", Class::Rejected, "the text is empty or too long"),
    code("414", Class::Rejected, "too many records"),
    code("415", Class::Rejected, "the start lies beyond the end"),
    code(
        "416",
        Class::Misconfigured,
        "this host's address is not the one in the panel",
    ),
    code("417", Class::Rejected, "the date is not valid"),
    code("418", Class::Misconfigured, "there is not enough credit"),
    code("419", Class::Rejected, "the lists are not equally long"),
    code("420", Class::Rejected, "the account may not send links"),
    code("422", Class::Rejected, "a character cannot be sent"),
    code(
        "424",
        Class::Misconfigured,
        "there is no such template, or it is not approved",
    ),
    code(
        "426",
        Class::Misconfigured,
        "the account needs the advanced service",
    ),
    code(
        "427",
        Class::Misconfigured,
        "the line needs another level of access",
    ),
    code("428", Class::Rejected, "a code that is spoken must be digits"),
    code("429", Class::Throttled, "this host's address is held back"),
    code(
        "430",
        Class::Misconfigured,
        "the account's identity is not verified",
    ),
    code(
        "431",
        Class::Rejected,
        "the template's value has a form it may not have",
    ),
    code("432", Class::Misconfigured, "the template has no such place"),
    code("451", Class::Throttled, "too many calls"),
    code(
        "501",
        Class::Misconfigured,
        "the account may write to its owner only",
    ),
    code("607", Class::Misconfigured, "there is no such tag"),
];

static MESSAGE: [Code; 11] = [
    code("1", Class::Accepted, "waits"),
    code("2", Class::Accepted, "is scheduled"),
    code("4", Class::Accepted, "with the operator"),
    code("5", Class::Accepted, "with the operator"),
    code("6", Class::Transient, "failed on the way to the operator"),
    code("10", Class::Delivered, "delivered"),
    code("11", Class::Absent, "not delivered: off, away or full"),
    code("13", Class::Transient, "called off, or a problem"),
    code("14", Class::Doubtful, "the subscriber refuses advertising"),
    code("50", Class::Accepted, "received"),
    code("100", Class::Accepted, "unknown, or too old"),
];
