//! What the adapters for text messages share: where a provider is, its table of codes, how its calls are read.
//!
//! Knows no provider by name; each adapter's own file has its wire and its codes.

mod callback_fields;
mod callback_url;
mod codes;
mod nonce_cache;
mod opt_out_notices;

pub(super) use callback_fields::{CallbackFields, has_valid_token};
pub(super) use callback_url::{BaseUrl, callback_url, is_publicly_reachable, parse_base_url};
pub(super) use codes::{SmsCode, SmsCodeClass, find_sms_code, join_reasons, sms_code};
pub(super) use nonce_cache::NonceCache;
pub(super) use opt_out_notices::OptOutNotices;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::header::HeaderValue;

use super::http_client::{BodyEnd, HttpCallResult, HttpResponse};
use super::settings_reader::sanitize_text;
use super::{CallbackError, OutboundMessage};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, Result};
use postrider_core::inbound::{CallbackItem, OptOutNotice};

/// The shortest token that nobody can guess.
const TOKEN_BYTES_MIN: usize = 16;

/// How a form is announced.
pub(super) const FORM_CONTENT_TYPE: HeaderValue =
    HeaderValue::from_static("application/x-www-form-urlencoded");

/// How JSON is announced and asked for.
pub(super) const JSON_CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/json");

/// The header for a user and a password.
pub(super) fn basic_auth(user: &str, password: &str) -> Result<HeaderValue> {
    let login = BASE64.encode(format!("{user}:{password}"));
    let mut value = HeaderValue::from_str(&format!("Basic {login}"))
        .map_err(|_| Error::usage("the account's name or password cannot stand in a request"))?;
    value.set_sensitive(true);
    Ok(value)
}

/// A number in E.164 without its `+`, as many providers want it.
pub(super) fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// A provider's full international number with a `+`; names and short codes stay as they are.
pub(super) fn with_plus(number: &str) -> String {
    let number = number.trim();
    let is_full = (7..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_full {
        format!("+{number}")
    } else {
        number.to_owned()
    }
}

/// A call that cannot be understood.
pub(super) fn malformed(what: &str) -> CallbackError {
    CallbackError::Malformed(what.to_owned())
}

/// The provider says in passing that a person wants nothing more from us.
pub(super) fn opt_out_notice(address: &str, code: &str, words: &str, at: Timestamp) -> CallbackItem {
    CallbackItem::OptedOut(OptOutNotice {
        address: address.to_owned(),
        reason: format!("{words} ({code})"),
        at,
    })
}

/// Whole seconds until the message is worth nothing any more, unless that is longer than the provider keeps a message
/// anyway. At least as many as it takes.
pub(super) fn validity_seconds(
    parcel: &OutboundMessage,
    now: Timestamp,
    least: i64,
    most: i64,
) -> Option<i64> {
    let left = (parcel.expires_at - now).num_seconds();
    (left < most).then_some(left.max(least))
}

/// The token that callers must show, if one is configured: one that can be guessed is none.
pub(super) fn validate_token(token: Option<&str>) -> Result<()> {
    match token {
        Some(token) if token.len() < TOKEN_BYTES_MIN => Err(Error::usage(format!(
            "receipts_token: is too short; write at least {TOKEN_BYTES_MIN} letters and digits that nobody can guess"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// A text that must not be empty.
pub(super) fn require_not_empty(key: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::usage(format!(
            "{key}: is empty; the provider's console shows it"
        )));
    }
    Ok(())
}

/// The answer to read, or what it means that there is none.
pub(super) fn into_http_response(reply: HttpCallResult) -> std::result::Result<HttpResponse, SendResult> {
    match reply {
        HttpCallResult::Response(answered) => Ok(answered),
        HttpCallResult::NotSent(reason) => Err(Outcome::Unavailable { reason }.into()),
        HttpCallResult::NoResponse(reason) => Err(Outcome::Unknown { reason }.into()),
        HttpCallResult::InvalidRequest(reason) => Err(Outcome::Rejected { reason }.into()),
    }
}

/// An answer that says yes and cannot be understood: the message may be on its way.
pub(super) fn unknown_outcome(answered: &HttpResponse) -> Outcome {
    let status = answered.status;
    let reason = match answered.body_end {
        BodyEnd::Complete => format!("HTTP {status}, but the answer does not say what became of the message"),
        BodyEnd::Truncated => format!("HTTP {status}, but the answer is too long to read"),
        BodyEnd::Interrupted => format!("HTTP {status}, but the connection broke in mid-answer"),
    };
    Outcome::Unknown { reason }
}

/// What an HTTP status says when the provider's own code says nothing.
pub(super) fn class_from_http_status(status: u16) -> SmsCodeClass {
    match status {
        429 => SmsCodeClass::Throttled,
        408 | 500.. => SmsCodeClass::Transient,
        400 | 406..=428 | 430..=499 => SmsCodeClass::Rejected,
        _ => SmsCodeClass::Misconfigured,
    }
}

/// The beginning of an answer that is not in the provider's own format, as a reason.
pub(super) fn raw_reason(answered: &HttpResponse) -> String {
    let text = sanitize_text(&String::from_utf8_lossy(&answered.body));
    if text.is_empty() {
        format!("HTTP {}", answered.status)
    } else {
        format!("HTTP {}: {text}", answered.status)
    }
}

#[cfg(test)]
pub(super) mod tests;
