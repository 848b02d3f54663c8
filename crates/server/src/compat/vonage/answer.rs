//! The answers of the Vonage API. All values are strings.

use axum::Json;
use axum::body::Body;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use serde_json::{Map, Value, json};

use crate::auth::AuthError;
use crate::body::BodyError;
use crate::compat::refusal::is_day_limit;
use postrider_core::error::ErrorKind;
use postrider_engine::accept::{AcceptError, Accepted};

/// Why no message was accepted.
#[derive(Debug)]
pub(super) enum SendError {
    /// The status and the error text of the single entry in `messages`.
    Status(&'static str, String),
    /// The credentials are wrong, or the account may not send.
    Unauthorized(AuthError),
    /// The body cannot be read.
    Body(BodyError),
}

impl From<AuthError> for SendError {
    fn from(error: AuthError) -> Self {
        Self::Unauthorized(error)
    }
}

impl SendError {
    /// Status of a missing parameter.
    pub(super) fn missing(name: &str) -> Self {
        Self::Status("2", format!("Missing {name} param"))
    }

    /// Status of an invalid parameter.
    pub(super) fn invalid(name: &str) -> Self {
        Self::Status("3", format!("Invalid value for param: {name}"))
    }

    fn status(status: &'static str, text: &str) -> Self {
        Self::Status(status, text.to_owned())
    }

    /// Returns the status of a message that was not accepted.
    pub(super) fn from_accept(error: &AcceptError) -> Self {
        match error {
            AcceptError::EmptyBody => Self::missing("text"),
            AcceptError::InvalidBody | AcceptError::InvalidSubject(_) => Self::invalid("text"),
            AcceptError::BodyTooLong(_)
            | AcceptError::TooManyParts { .. }
            | AcceptError::PushTooLong { .. } => Self::status("12", "Message too long"),
            AcceptError::NoRecipient => Self::missing("to"),
            AcceptError::InvalidAddress { .. } | AcceptError::InvalidContact { .. } => Self::invalid("to"),
            AcceptError::InvalidSender | AcceptError::SenderNotAllowed => {
                Self::status("15", "Invalid sender address")
            }
            AcceptError::Suppressed(_) => Self::status("7", "Number barred"),
            AcceptError::NoUsableContact { .. } | AcceptError::UnknownChannel(_) => {
                Self::status("6", "Unroutable message")
            }
            AcceptError::ExpiresTooEarly => Self::invalid("ttl"),
            AcceptError::SpendingLimit { retry_after } if is_day_limit(*retry_after) => {
                Self::status("9", "Quota exceeded")
            }
            AcceptError::SpendingLimit { .. } | AcceptError::Throttled { .. } => {
                Self::status("1", "Throttled")
            }
            AcceptError::Store(error) if error.kind() == ErrorKind::Unavailable => {
                Self::status("5", "Internal error, try again later")
            }
            // This API has no idempotency keys.
            AcceptError::Store(_) | AcceptError::IdempotencyKeyReused => Self::status("5", "Internal error"),
        }
    }
}

/// Returns the answer of an accepted message: one entry for each part, with the id of the message.
pub(super) fn accepted_document(accepted: &Accepted, to: &str, client_ref: Option<&str>) -> Value {
    let id = accepted.id.to_vonage_id();
    let entry = |part: u32| {
        // Vonage gives each part its own id; the first is the one that receipts carry.
        let part_id = if part == 0 { id.clone() } else { format!("{id}-{part}") };
        let mut entry = Map::new();
        for (name, value) in [
            ("to", to),
            ("message-id", part_id.as_str()),
            ("status", "0"),
            ("remaining-balance", "0.00000000"),
            ("message-price", "0.00000000"),
            ("network", "00000"),
        ] {
            entry.insert(name.to_owned(), Value::from(value));
        }
        if let Some(client_ref) = client_ref {
            entry.insert("client-ref".to_owned(), Value::from(client_ref));
        }
        Value::Object(entry)
    };
    let entries = (0..accepted.parts).map(entry).collect::<Vec<_>>();
    json!({ "message-count": accepted.parts.to_string(), "messages": entries })
}

/// Returns the answer of a message that was not accepted. The status is 200 as well.
pub(super) fn error_response(error: SendError) -> Response<Body> {
    let (status, text, denial) = match error {
        SendError::Status(status, text) => (status, text, None),
        SendError::Unauthorized(error) => {
            let status = if error.status() == StatusCode::UNAUTHORIZED { "4" } else { "8" };
            (status, "Bad Credentials".to_owned(), Some(error.denial()))
        }
        SendError::Body(error) if error.status() == StatusCode::SERVICE_UNAVAILABLE => {
            ("5", "Internal error, try again later".to_owned(), None)
        }
        SendError::Body(error) => ("3", error.message(), None),
    };
    let document = json!({ "message-count": "1", "messages": [{ "status": status, "error-text": text }] });
    let mut response = Json(document).into_response();
    if let Some(denial) = denial {
        response.extensions_mut().insert(denial);
    }
    response
}

/// Returns the answer of a balance request with wrong credentials.
pub(super) fn unauthorized_balance(error: AuthError) -> Response<Body> {
    let document =
        json!({ "error-code": error.status().as_str(), "error-code-label": "authentication failed" });
    let mut response = (error.status(), Json(document)).into_response();
    response.extensions_mut().insert(error.denial());
    response
}
