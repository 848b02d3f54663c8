//! Why a message was not taken, in sentences for people; and what comes with a message on every face.
//!
//! Each face keeps its own status codes and envelope. Nothing here shows an address, a body or an inner error.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::config::{duration_text, whole_seconds};
use crate::domain::recipient::AddressKind;
use crate::flow::accept::{Refused, RequestKey};
use crate::gateway::Gateway;
use crate::http::problem::store_status;

/// The header a client repeats a request under.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// The header that says that an answer was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The longest idempotency key, in characters.
const KEY_CHARS_MAX: usize = 255;

/// What is wrong with an idempotency key.
pub(super) const BAD_KEY: &str =
    "the Idempotency-Key must be one header of 1 to 255 visible ASCII characters";

/// What is wrong when nothing can be stored now.
const AWAY: &str = "the message cannot be stored now; nothing was sent, try again in a moment";

/// What is wrong when a defect of ours keeps it from being stored.
const BROKEN: &str =
    "the message cannot be stored; nothing was sent, and the operator finds the reason in the log";

/// The reason in a sentence without its full stop.
pub(super) fn sentence(refused: &Refused) -> String {
    match refused {
        Refused::EmptyBody => "there must be a body".to_owned(),
        Refused::UnsendableBody => "the body must not contain the character NUL".to_owned(),
        Refused::LongBody(longest) => format!("the body is longer than {longest} characters"),
        Refused::NoRecipient => "there must be a recipient, and not more than 64".to_owned(),
        Refused::UnknownChannel(channel) => format!("there is no channel \"{channel}\""),
        Refused::BadAddress { why, .. } | Refused::BadContact { why, .. } => why.to_string(),
        Refused::NoAddress { channel, wanted } => {
            format!("there is no {wanted} for the channel {channel}")
        }
        Refused::BadSubject(longest) => {
            format!("the subject must be one line of at most {longest} characters")
        }
        Refused::ExpiresTooEarly => "it would expire before it may be sent".to_owned(),
        Refused::Suppressed => "the recipient is inactive".to_owned(),
        Refused::Throttled { retry_after } => format!(
            "this user has had as many messages as an hour allows; try again in {}",
            duration_text(whole_seconds(*retry_after))
        ),
        Refused::KeyReused => "this Idempotency-Key was used for another request".to_owned(),
        Refused::Store(error) if store_status(error) == StatusCode::SERVICE_UNAVAILABLE => AWAY.to_owned(),
        Refused::Store(_) => BROKEN.to_owned(),
    }
}

/// When to come back, for the header `Retry-After`: in whole seconds, never too early.
pub(super) fn retry_after(wait: Duration) -> HeaderValue {
    HeaderValue::from(whole_seconds(wait).as_secs())
}

/// Reads the idempotency key. `request` writes down what makes two requests of this face the same.
pub(super) fn request_key(
    headers: &HeaderMap,
    face: &str,
    caller: &str,
    request: impl FnOnce() -> String,
) -> Result<Option<RequestKey>, &'static str> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(key) = keys.next() else {
        return Ok(None);
    };
    let is_visible = key.as_bytes().iter().all(u8::is_ascii_graphic);
    let fits = (1..=KEY_CHARS_MAX).contains(&key.len());
    match key.to_str() {
        Ok(key) if is_visible && fits && keys.next().is_none() => Ok(Some(RequestKey {
            scope: format!("{face}/{caller}"),
            key: key.to_owned(),
            request: request(),
        })),
        _ => Err(BAD_KEY),
    }
}

/// Marks an answer that was given before.
pub(super) fn mark_replayed(headers: &mut HeaderMap, replayed: bool) {
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
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
        route.is_some_and(|route| route.kinds().contains(&AddressKind::Phone))
    });
    takes_numbers
        .or(channels.first())
        .map_or("sms", |channel| channel.name.as_str())
}
