//! Error messages and headers that all APIs share when a message is not accepted.
//!
//! Each API has its own status codes and envelope. No message contains an address, a message body or an inner error.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use postrider_core::address::AddressKind;
use postrider_core::duration::{format_duration, round_up_to_seconds};
use postrider_core::error::{Error, ErrorKind};
use postrider_engine::accept::{AcceptError, RequestIdempotencyKey};
use postrider_engine::gateway::Gateway;

/// Request header that makes a repeated request safe.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Response header that marks the response to a repeated request.
const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// Maximum length of an idempotency key, in characters.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Error message for an invalid idempotency key.
const INVALID_IDEMPOTENCY_KEY: &str =
    "the Idempotency-Key header must be given once, with 1 to 255 visible ASCII characters";

/// Error message when the store is unavailable.
const STORE_UNAVAILABLE: &str =
    "the message cannot be stored now; nothing was sent; try again in a few seconds";

/// Error message when the store fails because of a defect.
const INTERNAL_ERROR: &str = "the message cannot be stored; nothing was sent; the log contains the cause";

/// `Retry-After` of a response while the store is unavailable, in seconds.
pub(super) const STORE_RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// Returns the HTTP status for a store error: 503 if a retry can succeed, because the failure is temporary or the
/// operator can correct the settings, else 500.
pub(super) fn store_status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Usage => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Returns why a message was not accepted, as a sentence without a full stop.
pub(super) fn accept_error_message(error: &AcceptError) -> String {
    match error {
        AcceptError::EmptyBody => "there must be a body".to_owned(),
        AcceptError::InvalidBody => "the body must not contain the character NUL".to_owned(),
        AcceptError::BodyTooLong(chars_max) => format!("the body is longer than {chars_max} characters"),
        AcceptError::NoRecipient => "expected 1 to 64 recipients".to_owned(),
        AcceptError::UnknownChannel(channel) => format!("unknown channel \"{channel}\""),
        AcceptError::InvalidAddress { cause, .. } | AcceptError::InvalidContact { cause, .. } => {
            cause.to_string()
        }
        AcceptError::NoUsableContact { channel, expected } => {
            format!("no {expected} for the channel {channel}")
        }
        AcceptError::InvalidSubject(chars_max) => {
            format!("the subject must be one line of at most {chars_max} characters")
        }
        AcceptError::ExpiresTooEarly => "the message would expire before its send time".to_owned(),
        AcceptError::InvalidSender => {
            "the sender must be a number, a name of at most 11 letters and digits, or an e-mail address"
                .to_owned()
        }
        AcceptError::SenderNotAllowed => "this account may not use this sender".to_owned(),
        AcceptError::TooManyParts { parts, parts_max } => format!(
            "the text has {parts} parts; a message to a phone number may have {parts_max} (limits.message_parts_max)"
        ),
        AcceptError::PushTooLong { bytes, bytes_max } => format!(
            "the notification has {bytes} bytes with its title; push services accept {} bytes",
            group_thousands(*bytes_max)
        ),
        AcceptError::Suppressed(status) => status.refusal_reason().to_owned(),
        AcceptError::Throttled { retry_after } => format!(
            "the hourly message limit of this user is reached; try again in {}",
            format_duration(round_up_to_seconds(*retry_after))
        ),
        AcceptError::SpendingLimit { retry_after } => format!(
            "a spending limit of this API key is reached; try again in {}",
            format_duration(round_up_to_seconds(*retry_after))
        ),
        AcceptError::IdempotencyKeyReused => {
            "this Idempotency-Key was used for a different request".to_owned()
        }
        AcceptError::Store(error) if store_status(error) == StatusCode::SERVICE_UNAVAILABLE => {
            STORE_UNAVAILABLE.to_owned()
        }
        AcceptError::Store(_) => INTERNAL_ERROR.to_owned(),
    }
}

/// Returns a number with a comma between thousands: `4,096`.
fn group_thousands(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", group_thousands(number / 1_000), number % 1_000),
    }
}

/// Returns a duration as a `Retry-After` header, in whole seconds, rounded up.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(round_up_to_seconds(wait).as_secs())
}

/// Reads the idempotency key of a request to `api`. Requests with equal results of `fingerprint` are the same request.
pub(super) fn read_idempotency_key(
    headers: &HeaderMap,
    api: &str,
    key_name: &str,
    fingerprint: impl FnOnce() -> String,
) -> Result<Option<RequestIdempotencyKey>, &'static str> {
    let mut idempotency_keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(idempotency_key) = idempotency_keys.next() else {
        return Ok(None);
    };
    let is_visible_ascii = idempotency_key.as_bytes().iter().all(u8::is_ascii_graphic);
    let is_valid = is_visible_ascii && (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&idempotency_key.len());
    match idempotency_key.to_str() {
        Ok(idempotency_key) if is_valid && idempotency_keys.next().is_none() => {
            Ok(Some(RequestIdempotencyKey {
                scope: format!("{api}/{key_name}"),
                key: idempotency_key.to_owned(),
                fingerprint: fingerprint(),
            }))
        }
        _ => Err(INVALID_IDEMPOTENCY_KEY),
    }
}

/// Marks a response as the response to a repeated request if `is_replay`.
pub(super) fn mark_replayed(headers: &mut HeaderMap, is_replay: bool) {
    if is_replay {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}

/// Returns the channel of a message that names no channel: `sms`, else the first channel that takes phone numbers, else
/// the first channel.
pub(super) fn default_channel(gateway: &Gateway) -> &str {
    if gateway.route("sms").is_some() {
        return "sms";
    }
    let channels = &gateway.config.channels;
    let phone_channel = channels.iter().find(|channel| {
        let channel_route = gateway.route(channel.name.as_str());
        channel_route.is_some_and(|route| route.address_kinds().contains(&AddressKind::Phone))
    });
    phone_channel.or(channels.first()).map_or("sms", |channel| channel.name.as_str())
}
