//! Reads request bodies within the configured limits of length and time.
//!
//! [`read`] returns [`BodyError`], which each API writes in its own envelope; JSON bodies are also parsed here.

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{self, Problem};
use super::{auth, errors};
use postrider_engine::accept::RequestIdempotencyKey;
use postrider_engine::config::{LimitsConfig, Scope};
use postrider_engine::gateway::Gateway;

/// Reason why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Longer than this many bytes.
    TooLarge(usize),
    /// Not complete after this many seconds.
    TimedOut(u64),
    /// Shorter than announced, or invalid chunked encoding.
    Malformed,
}

/// Reads the whole body.
pub(super) async fn read(headers: &HeaderMap, body: Body, limits: &LimitsConfig) -> Result<Bytes, BodyError> {
    let bytes_max = limits.body_bytes_max;
    let content_length =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if content_length.is_some_and(|announced_bytes| announced_bytes > bytes_max) {
        return Err(BodyError::TooLarge(bytes_max));
    }
    let collecting = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(limits.body_timeout, collecting).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLarge(bytes_max)),
        Ok(Err(_)) => Err(BodyError::Malformed),
        Err(_) => Err(BodyError::TimedOut(limits.body_timeout.as_secs())),
    }
}

/// Reads the body as a JSON object; the `Content-Type` must be JSON.
pub(super) async fn json_object(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
) -> Result<Map<String, Value>, Problem> {
    read_json(gateway, headers, content, "a JSON object").await
}

/// An authorized request with a JSON object, which the client may repeat under an idempotency key.
pub(super) struct RepeatableRequest {
    headers: HeaderMap,
    /// Name of the API key; empty when no keys are configured.
    pub(super) api_key_name: String,
    /// The body.
    pub(super) object: Map<String, Value>,
}

impl RepeatableRequest {
    /// Reads a request that needs the scope `send`.
    pub(super) async fn read(gateway: &Gateway, request: Request<Body>) -> Result<Self, Problem> {
        let (head, content) = request.into_parts();
        let api_key_name = auth::authorize(gateway, &head.headers, Scope::Send)?;
        let object = json_object(gateway, &head.headers, content).await?;
        Ok(Self { headers: head.headers, api_key_name, object })
    }

    /// Returns the idempotency key of the request to `api`. Requests with equal bodies are the same request.
    pub(super) fn idempotency_key(&self, api: &str) -> Result<Option<RequestIdempotencyKey>, Problem> {
        let fingerprint = || Value::Object(self.object.clone()).to_string();
        errors::read_idempotency_key(&self.headers, api, &self.api_key_name, fingerprint)
            .map_err(problem::invalid_idempotency_key)
    }
}

/// Reads the body as any JSON value; the `Content-Type` must be JSON.
pub(super) async fn json(gateway: &Gateway, headers: &HeaderMap, content: Body) -> Result<Value, Problem> {
    read_json(gateway, headers, content, "JSON").await
}

async fn read_json<T: DeserializeOwned>(
    gateway: &Gateway,
    headers: &HeaderMap,
    content: Body,
    expected: &str,
) -> Result<T, Problem> {
    if !is_json(&content_type(headers)) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The content type is not supported",
            "send the body as application/json and set the Content-Type header",
        ));
    }
    let json = read(headers, content, &gateway.config.limits).await.map_err(BodyError::problem)?;
    serde_json::from_slice(&json).map_err(|error| json_problem(&json, &error, expected))
}

/// Returns the problem of a body that is empty, malformed or another kind of JSON than `expected`.
fn json_problem(body: &[u8], error: &serde_json::Error, expected: &str) -> Problem {
    let problem = |slug, title, detail: String| Problem::new(StatusCode::BAD_REQUEST, slug, title, detail);
    if body.trim_ascii().is_empty() {
        return problem("empty-body", "The body is empty", format!("the body is empty; send {expected}"));
    }
    // A duplicate member or a wrong kind of value is found in valid JSON too.
    if let Ok(value) = serde_json::from_slice::<Value>(body) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object with a wrong member",
        };
        return problem(
            "unexpected-json",
            "The JSON is of the wrong kind",
            format!("the body is {kind}; send {expected}"),
        );
    }
    let (line, column) = (error.line(), error.column());
    problem(
        "malformed-json",
        "The JSON is malformed",
        format!("the body is not {expected} in UTF-8: error at line {line}, column {column}"),
    )
}

/// Returns the media type of `Content-Type` in lower case, without parameters; empty without the header.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    media_type.trim().to_ascii_lowercase()
}

/// Returns whether a media type is JSON, including structured types such as `application/problem+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    content_type == "application/json" || content_type.ends_with("+json")
}

/// The media type of HTML forms.
pub(super) const FORM_URLENCODED: &str = "application/x-www-form-urlencoded";

impl BodyError {
    /// Returns the HTTP status, which is the same in every API.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TimedOut(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Malformed => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the error message.
    pub(super) fn message(self) -> String {
        match self {
            Self::TooLarge(bytes_max) => format!("the request body is longer than {bytes_max} bytes"),
            Self::TimedOut(seconds) => format!("the request body did not arrive within {seconds} s"),
            Self::Malformed => "the request body ended too early or is malformed".to_owned(),
        }
    }

    /// Returns the error as a problem document.
    pub(super) fn problem(self) -> Problem {
        let slug = match self {
            Self::TooLarge(_) => "content-too-large",
            Self::TimedOut(_) => "request-timeout",
            Self::Malformed => "malformed-body",
        };
        Problem::new(self.status(), slug, "The request body cannot be read", self.message())
    }
}
