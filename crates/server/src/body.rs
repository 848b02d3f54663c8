//! Reads a request's body within its limits of length and time.
//!
//! Faces turn the trouble into their own envelope; the content is theirs to understand.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::Problem;
use postrider_engine::config::LimitsConfig;
use postrider_engine::gateway::Gateway;

/// Why a body could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is longer than this many bytes.
    TooLarge(usize),
    /// It took longer than this many seconds.
    TimedOut(u64),
    /// It ended before its end, or its chunks are broken.
    Malformed,
}

/// The whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body, limits: &LimitsConfig) -> Result<Bytes, BodyError> {
    let longest = limits.body_bytes_max;
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|announced| announced > longest) {
        return Err(BodyError::TooLarge(longest));
    }
    let whole = Limited::new(body, longest).collect();
    match tokio::time::timeout(limits.body_timeout, whole).await {
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(longest)),
        Ok(Err(_)) => Err(BodyError::Malformed),
        Err(_) => Err(BodyError::TimedOut(limits.body_timeout.as_secs())),
    }
}

/// The body as a JSON object, where the client says that it is one.
pub(super) async fn json_object(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> Result<Map<String, Value>, Problem> {
    read_json(gateway, headers, content, "a JSON object").await
}

/// The same, whatever it holds.
pub(super) async fn json(gateway: &Gateway, headers: &HeaderMap, content: Body) -> Result<Value, Problem> {
    read_json(gateway, headers, content, "JSON").await
}

async fn read_json<T: DeserializeOwned>(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
    wanted: &str,
) -> Result<T, Problem> {
    if !is_json(&content_type(headers)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "content-type",
            "This content type cannot be read",
            "send the message as application/json and say so in the Content-Type header",
        ));
    }
    let content = read(headers, content, &gateway.config.limits).await;
    let content = content.map_err(BodyError::problem)?;
    serde_json::from_slice(&content).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        Problem::new(
            StatusCode::BAD_REQUEST,
            "broken-json",
            "The JSON is broken",
            format!("the body is not {wanted} in UTF-8; look at line {line}, column {column}"),
        )
    })
}

/// What the client says its body is, in lower case without parameters; empty when it says nothing.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = value.unwrap_or_default().split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

/// Whether that type is JSON, with or without a more special name before it.
pub(super) fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}

/// The type of a form as browsers send it.
pub(super) const FORM_URLENCODED: &str = "application/x-www-form-urlencoded";

impl BodyError {
    /// The status on every face.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }

    /// What is wrong, for a person.
    pub(super) fn message(self) -> String {
        match self {
            Self::TooLarge(longest) => format!("the request body is longer than {longest} bytes"),
            Self::TimedOut(seconds) => format!("the request body did not arrive within {seconds} s"),
            Self::Malformed => "the request body ended too early or is broken".to_owned(),
        }
    }

    /// As a problem document.
    pub(super) fn problem(self) -> Problem {
        let slug = match self {
            Self::TooLarge(_) => "body-too-long",
            Self::TimedOut(_) => "body-too-slow",
            Self::Malformed => "body-broken",
        };
        Problem::new(
            self.status(),
            slug,
            "The request body could not be read",
            self.message(),
        )
    }
}
