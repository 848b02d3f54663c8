//! What the adapters for text messages share: where a provider is, its table of codes, how its calls are read.
//!
//! Knows no provider by name; each adapter's own file has its wire and its codes.

mod base;
mod codes;
mod fields;
mod mailbox;
mod seen;

pub(super) use base::{Base, callback, is_public};
pub(super) use codes::{Class, Code, code, find, said};
pub(super) use fields::{Fields, is_token};
pub(super) use mailbox::Mailbox;
pub(super) use seen::Seen;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use super::outbound::{Answered, End, Reply};
use super::reading::words;
use super::{Parcel, Refusal};
use crate::clock::Timestamp;
use crate::domain::attempt::{Answer, Outcome};
use crate::domain::inbound::{Incoming, OptedOut};
use crate::error::{Error, Result};

/// The shortest token that nobody can guess.
const TOKEN_BYTES_MIN: usize = 16;

/// How a form is announced.
pub(super) const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");

/// How JSON is announced and asked for.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The header for a user and a password.
pub(super) fn basic(user: &str, password: &str) -> Result<HeaderValue> {
    let login = BASE64.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {login}"))
        .map_err(|_| Error::usage("the account's name or password cannot stand in a request"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A number in E.164 without its `+`, as many providers want it.
pub(super) fn bare(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// A provider's full international number with a `+`; names and short codes stay as they are.
pub(super) fn international(number: &str) -> String {
    let number = number.trim();
    let is_full = (7..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_full {
        format!("+{number}")
    } else {
        number.to_owned()
    }
}

/// A call that cannot be understood.
pub(super) fn unreadable(what: &str) -> Refusal {
    Refusal::Unreadable(what.to_owned())
}

/// The provider says in passing that a person wants nothing more from us.
pub(super) fn opted_out(address: &str, code: &str, words: &str, at: Timestamp) -> Incoming {
    Incoming::OptedOut(OptedOut {
        address: address.to_owned(),
        reason: format!("{words} ({code})"),
        at,
    })
}

/// Whole seconds until the message is worth nothing any more, unless that is longer than the provider keeps a message
/// anyway. At least as many as it takes.
pub(super) fn seconds_left(parcel: &Parcel, now: Timestamp, least: i64, most: i64) -> Option<i64> {
    let left = (parcel.expires_at - now).num_seconds();
    (left < most).then_some(left.max(least))
}

/// The token that callers must show, if one is configured: one that can be guessed is none.
pub(super) fn checked_token(token: Option<&str>) -> Result<()> {
    match token {
        Some(token) if token.len() < TOKEN_BYTES_MIN => Err(Error::usage(format!(
            "receipts_token: is too short; write at least {TOKEN_BYTES_MIN} letters and digits that nobody can guess"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// A text that must not be empty.
pub(super) fn filled(key: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::usage(format!(
            "{key}: is empty; the provider's console shows it"
        )));
    }
    Ok(())
}

/// The answer to read, or what it means that there is none.
pub(super) fn answered(reply: Reply) -> std::result::Result<Answered, Answer> {
    match reply {
        Reply::Answered(answered) => Ok(answered),
        Reply::NeverLeft(reason) => Err(Outcome::Unavailable { reason }.into()),
        Reply::Silence(reason) => Err(Outcome::Unknown { reason }.into()),
        Reply::Unsendable(reason) => Err(Outcome::Rejected { reason }.into()),
    }
}

/// An answer that says yes and cannot be understood: the message may be on its way.
pub(super) fn doubtful(answered: &Answered) -> Outcome {
    let status = answered.status;
    let reason = match answered.end {
        End::Whole => format!("HTTP {status}, but the answer does not say what became of the message"),
        End::TooLong => format!("HTTP {status}, but the answer is too long to read"),
        End::Lost => format!("HTTP {status}, but the connection broke in mid-answer"),
    };
    Outcome::Unknown { reason }
}

/// What an HTTP status says when the provider's own code says nothing.
pub(super) fn class_of_status(status: u16) -> Class {
    match status {
        429 => Class::Throttled,
        408 | 500.. => Class::Transient,
        400 | 406..=428 | 430..=499 => Class::Rejected,
        _ => Class::Misconfigured,
    }
}

/// The beginning of an answer that is not in the provider's own format, as a reason.
pub(super) fn raw(answered: &Answered) -> String {
    let text = words(&String::from_utf8_lossy(&answered.body));
    if text.is_empty() {
        format!("HTTP {}", answered.status)
    } else {
        format!("HTTP {}: {text}", answered.status)
    }
}

#[cfg(test)]
pub(super) mod tests;
