//! Why a message was not taken, in sentences for people; and what comes with a message on every face.
//!
//! Each face keeps its own status codes and envelope. Nothing here shows an address, a body or an inner error.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::problem::store_status;
use postrider_core::address::AddressKind;
use postrider_core::duration::{format_duration, round_up_to_seconds};
use postrider_engine::accept::{AcceptError, RequestIdempotencyKey};
use postrider_engine::gateway::Gateway;

/// The header a client repeats a request under.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header that says that an answer was given before.
pub(super) const IDEMPOTENCY_REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest idempotency key, in characters.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// What is wrong with an idempotency key.
pub(super) const INVALID_IDEMPOTENCY_KEY: &str =
    "the Idempotency-Key must be one header of 1 to 255 visible ASCII characters";

/// What is wrong when nothing can be stored now.
const STORE_UNAVAILABLE: &str = "the message cannot be stored now; nothing was sent, try again in a moment";

/// What is wrong when a defect of ours keeps it from being stored.
const INTERNAL_ERROR: &str =
    "the message cannot be stored; nothing was sent, and the operator finds the reason in the log";

/// The reason in a sentence without its full stop.
pub(super) fn accept_error_message(refused: &AcceptError) -> String {
    match refused {
        AcceptError::EmptyBody => "there must be a body".to_owned(),
        AcceptError::InvalidBody => "the body must not contain the character NUL".to_owned(),
        AcceptError::BodyTooLong(longest) => format!("the body is longer than {longest} characters"),
        AcceptError::NoRecipient => "there must be a recipient, and not more than 64".to_owned(),
        AcceptError::UnknownChannel(channel) => format!("there is no channel \"{channel}\""),
        AcceptError::InvalidAddress { cause: why, .. } | AcceptError::InvalidContact { cause: why, .. } => {
            why.to_string()
        }
        AcceptError::NoUsableContact {
            channel,
            expected: wanted,
        } => {
            format!("there is no {wanted} for the channel {channel}")
        }
        AcceptError::InvalidSubject(longest) => {
            format!("the subject must be one line of at most {longest} characters")
        }
        AcceptError::ExpiresTooEarly => "it would expire before it may be sent".to_owned(),
        AcceptError::Suppressed => "the recipient is inactive".to_owned(),
        AcceptError::Throttled { retry_after } => format!(
            "this user has had as many messages as an hour allows; try again in {}",
            format_duration(round_up_to_seconds(*retry_after))
        ),
        AcceptError::IdempotencyKeyReused => "this Idempotency-Key was used for another request".to_owned(),
        AcceptError::Store(error) if store_status(error) == StatusCode::SERVICE_UNAVAILABLE => {
            STORE_UNAVAILABLE.to_owned()
        }
        AcceptError::Store(_) => INTERNAL_ERROR.to_owned(),
    }
}

/// When to come back, for the header `Retry-After`: in whole seconds, never too early.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(round_up_to_seconds(wait).as_secs())
}

/// Reads the idempotency key. `request` writes down what makes two requests of this face the same.
pub(super) fn read_idempotency_key(
    headers: &HeaderMap,
    face: &str,
    caller: &str,
    request: impl FnOnce() -> String,
) -> Result<Option<RequestIdempotencyKey>, &'static str> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let is_visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
    let fits = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len());
    match key.to_str() {
        Ok(key) if is_visible && fits && keys.next().is_none() => Ok(Some(RequestIdempotencyKey {
            scope: format!("{face}/{caller}"),
            key: key.to_owned(),
            fingerprint: request(),
        })),
        _ => Err(INVALID_IDEMPOTENCY_KEY),
    }
}

/// Marks an answer that was given before.
pub(super) fn mark_replayed(headers: &mut HeaderMap, replayed: bool) {
    if replayed {
        headers.insert(IDEMPOTENCY_REPLAYED, HeaderValue::from_static("true"));
    }
}

/// The channel of a message that names none: `sms`, else the first that takes telephone numbers, else the first.
pub(super) fn default_channel(gateway: &Gateway) -> &str {
    if gateway.route("sms").is_some() {
        return "sms";
    }
    let channels = &gateway.config.channels;
    let takes_numbers = channels.iter().find(|channel| {
        let route = gateway.route(channel.name.as_str());
        route.is_some_and(|route| route.address_kinds().contains(&AddressKind::Phone))
    });
    takes_numbers
        .or(channels.first())
        .map_or("sms", |channel| channel.name.as_str())
}
