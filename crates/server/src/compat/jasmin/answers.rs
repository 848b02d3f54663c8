//! The answers of Jasmin's APIs: the same texts and statuses, wrapped differently by each API.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::auth::AuthError;
use crate::body::BodyError;
use crate::compat::refusal::is_day_limit;
use crate::denial::Denial;
use postrider_core::address::AddressError;
use postrider_core::id::MessageId;
use postrider_engine::accept::AcceptError;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct JasminError {
    /// The HTTP status.
    pub(super) status: StatusCode,
    /// The text of Jasmin.
    pub(super) text: String,
    /// The mark of a response to wrong credentials.
    pub(super) denial: Option<Denial>,
}

impl JasminError {
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), denial: None }
    }

    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// Returns the error for an argument that Jasmin does not take with this value.
    pub(super) fn invalid_value(name: &str, value: &str) -> Self {
        Self::bad_request(format!("Argument [{name}] has an invalid value: [{value}]."))
    }

    /// Returns the error for something that the account must not do.
    pub(super) fn not_authorized(user: &str, what: &str) -> Self {
        Self::bad_request(format!("Authorization failed for user [{user}] ({what})."))
    }

    fn filter_mismatch(user: &str, filter: &str) -> Self {
        Self::bad_request(format!("Value filter failed for user [{user}] ({filter} filter mismatch)."))
    }

    /// Returns the error for refused credentials; `what` is what an account without the scope must not do.
    pub(super) fn from_auth_error(error: AuthError, user: &str, what: &str) -> Self {
        let refusal = match error {
            AuthError::InsufficientScope(_) => Self::not_authorized(user, what),
            AuthError::MissingKey
            | AuthError::UnknownKey
            | AuthError::CrossSite
            | AuthError::NetworkNotAllowed => {
                Self::new(StatusCode::FORBIDDEN, format!("Authentication failure for username:{user}"))
            }
        };
        Self { denial: Some(error.denial()), ..refusal }
    }

    /// Returns the error for a request whose body cannot be read.
    pub(super) fn from_body_error(error: BodyError) -> Self {
        Self::new(error.status(), format!("Unknown error: {}", error.message()))
    }

    /// Returns the error for a message that was not accepted.
    pub(super) fn from_accept_error(error: &AcceptError, user: &str, to: &str) -> Self {
        match error {
            AcceptError::EmptyBody => Self::bad_request("content or hex-content not present."),
            AcceptError::InvalidBody | AcceptError::InvalidSubject(_) => {
                Self::filter_mismatch(user, "content")
            }
            AcceptError::BodyTooLong(_)
            | AcceptError::TooManyParts { .. }
            | AcceptError::PushTooLong { .. } => Self::not_authorized(user, "Long content not authorized"),
            AcceptError::InvalidSender => Self::filter_mismatch(user, "source_address"),
            AcceptError::SenderNotAllowed => {
                Self::not_authorized(user, "Setting source address not authorized")
            }
            AcceptError::InvalidAddress { cause, .. } | AcceptError::InvalidContact { cause, .. } => {
                match cause {
                    AddressError::PremiumNumber
                    | AddressError::CountryNotAllowed
                    | AddressError::PrefixNotAllowed => Self::filter_mismatch(user, "destination_address"),
                    _ => Self::invalid_value("to", to),
                }
            }
            AcceptError::NoRecipient | AcceptError::NoUsableContact { .. } => Self::invalid_value("to", to),
            AcceptError::Suppressed(_) => Self::filter_mismatch(user, "destination_address"),
            AcceptError::UnknownChannel(_) => Self::new(StatusCode::PRECONDITION_FAILED, "No route found"),
            AcceptError::ExpiresTooEarly => Self::filter_mismatch(user, "validity_period"),
            AcceptError::SpendingLimit { retry_after } if is_day_limit(*retry_after) => {
                let text = "Cannot charge submit_sm, check RouterPB log file for details";
                Self::new(StatusCode::FORBIDDEN, text)
            }
            AcceptError::SpendingLimit { .. } | AcceptError::Throttled { .. } => {
                Self::new(StatusCode::FORBIDDEN, "User throughput exceeded")
            }
            // This API has no idempotency keys.
            AcceptError::Store(_) | AcceptError::IdempotencyKeyReused => {
                let text = "Cannot send submit_sm, check SMPPClientManagerPB log file for details";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
        }
    }
}

/// Returns the answer of `/send`.
pub(super) fn send_response(result: Result<MessageId, JasminError>) -> Response<Body> {
    match result {
        Ok(id) => respond(StatusCode::OK, "text/plain", format!("Success \"{id}\""), None),
        Err(error) => respond(error.status, "text/plain", format!("Error \"{}\"", error.text), error.denial),
    }
}

/// Returns the answer of `/rate` and `/balance`: an object, or the text of the error as a JSON string.
pub(super) fn json_response(result: Result<String, JasminError>) -> Response<Body> {
    match result {
        Ok(object) => respond(StatusCode::OK, JSON, object, None),
        Err(error) => respond(error.status, JSON, json_text(&error.text), error.denial),
    }
}

/// Returns the answer of `/secure/send`. The quotation mark at the end is missing, as in Jasmin, whose clients know it.
pub(super) fn secure_send_response(result: Result<MessageId, JasminError>) -> Response<Body> {
    match result {
        Ok(id) => success_document(&json_text(&format!("Success \"{id}"))),
        Err(error) => message_response(error.status, &format!("Error \"{}", error.text), error.denial),
    }
}

/// Returns the answer of `/secure/rate` and `/secure/balance`.
pub(super) fn secure_json_response(result: Result<String, JasminError>) -> Response<Body> {
    match result {
        Ok(object) => success_document(&object),
        Err(error) => message_response(error.status, &error.text, error.denial),
    }
}

/// Returns `{"data": …}` with a value that is JSON.
pub(super) fn success_document(json: &str) -> Response<Body> {
    respond(StatusCode::OK, JSON, format!("{{\"data\": {json}}}"), None)
}

fn message_response(status: StatusCode, message: &str, denial: Option<Denial>) -> Response<Body> {
    respond(status, JSON, format!("{{\"message\": {}}}", json_text(message)), denial)
}

/// Returns the error document of the REST framework that Jasmin uses.
pub(super) fn titled_response(
    status: StatusCode,
    title: &str,
    description: &str,
    denial: Option<Denial>,
) -> Response<Body> {
    let document =
        format!("{{\"title\": {}, \"description\": {}}}", json_text(title), json_text(description));
    respond(status, JSON, document, denial)
}

const JSON: &str = "application/json";

/// Returns a text as JSON.
pub(super) fn json_text(text: &str) -> String {
    Value::from(text).to_string()
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    denial: Option<Denial>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if let Some(denial) = denial {
        response.extensions_mut().insert(denial);
    }
    response
}
