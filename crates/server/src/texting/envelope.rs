//! Error responses of the texting API: `{"status":"error","message":…}`, usually with the HTTP status 200.
//!
//! The success envelopes are in the parent module, beside their handlers.

use axum::Json;
use axum::body::Body;
use axum::http::header::RETRY_AFTER;
use axum::http::{Response, StatusCode};
use axum::response::IntoResponse as _;
use serde::Serialize;
use utoipa::ToSchema;

use crate::errors::STORE_RETRY_AFTER_SECONDS;

/// A response other than success.
pub(super) type TextingErrorResponse = Box<Response<Body>>;

/// An error.
#[derive(Serialize, ToSchema)]
#[schema(as = TextingError)]
pub(super) struct TextingError<'a> {
    /// Always `error`.
    status: &'static str,
    /// The error message.
    message: &'a str,
}

/// Response with the HTTP status 200: success or error.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum TextingResponse<T, E> {
    /// Success.
    Done(T),
    /// Error.
    Failed(E),
}

/// Returns an error with the HTTP status 200.
pub(super) fn ok_status_error(message: &str) -> TextingErrorResponse {
    Box::new(error_response(StatusCode::OK, message))
}

/// Returns an error with this HTTP status.
pub(super) fn error_response(status: StatusCode, message: &str) -> Response<Body> {
    json_response(status, TextingError { status: "error", message })
}

/// Returns a response with a JSON body.
pub(super) fn json_response(status: StatusCode, envelope: impl Serialize) -> Response<Body> {
    let mut response = (status, Json(envelope)).into_response();
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
    }
    response
}

/// Returns the text with an upper-case first letter.
pub(super) fn capitalize(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
