//! Reads request bodies within the configured limits of length and time.
//!
//! [`read`] returns [`BodyError`], which each API writes in its own envelope; JSON bodies are also parsed here.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::problem::{self, Problem};
use super::{auth, errors};
use postrider_engine::accept::RequestIdempotencyKey;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::request_load::{BodyReservation, BodySender};

/// Maximum size of a body from a caller without credentials, in bytes: a sign-in form and the callbacks of most providers
/// need less than 2 KiB.
const UNAUTHENTICATED_BODY_BYTES_MAX: usize = 8 * 1024;

/// `Retry-After` while the budget of bodies is used up. Unless clients are slow, bodies are in memory for milliseconds
/// only.
const OVER_BUDGET_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Reason why a body cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// Longer than this many bytes.
    TooLarge(usize),
    /// Not complete after this many seconds.
    TimedOut(u64),
    /// Shorter than announced, or invalid chunked encoding.
    Malformed,
    /// All bodies in memory together would be longer than the budget.
    OverBudget,
}

/// Reads the whole body. Its bytes count against the budget of all bodies until they are dropped.
pub(super) async fn read(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
    sender: BodySender,
) -> Result<Bytes, BodyError> {
    let bytes_max = match sender {
        BodySender::Authenticated => gateway.config.limits.body_bytes_max,
        BodySender::Unauthenticated => {
            gateway.config.limits.body_bytes_max.min(UNAUTHENTICATED_BODY_BYTES_MAX)
        }
    };
    read_at_most(gateway, headers, body, sender, bytes_max).await
}

/// Like [`read`], with another maximum size in bytes.
pub(super) async fn read_at_most(
    gateway: &Gateway,
    headers: &HeaderMap,
    body: Body,
    sender: BodySender,
    bytes_max: usize,
) -> Result<Bytes, BodyError> {
    let content_length =
        headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if content_length.is_some_and(|announced_bytes| announced_bytes > bytes_max) {
        return Err(BodyError::TooLarge(bytes_max));
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let body_timeout = gateway.config.limits.body_timeout;
    let collecting = collect(body, bytes_max, gateway.request_load.body(sender));
    let result = tokio::time::timeout(body_timeout, collecting).await;
    result.unwrap_or(Err(BodyError::TimedOut(body_timeout.as_secs())))
}

/// Collects the frames of a body. The bytes are copied, because even a short frame would keep the whole read buffer of
/// its connection in memory.
async fn collect(
    mut body: Body,
    bytes_max: usize,
    mut reservation: BodyReservation,
) -> Result<Bytes, BodyError> {
    let mut collected = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(frame_bytes) = frame.map_err(|_| BodyError::Malformed)?.into_data() else {
            continue;
        };
        if collected.len() + frame_bytes.len() > bytes_max {
            return Err(BodyError::TooLarge(bytes_max));
        }
        if !reservation.add(frame_bytes.len()) {
            return Err(BodyError::OverBudget);
        }
        collected.extend_from_slice(&frame_bytes);
    }
    Ok(Bytes::from_owner(CountedBytes { bytes: collected, _reservation: reservation }))
}

/// The bytes of a body and their part of the budget.
struct CountedBytes {
    bytes: Vec<u8>,
    _reservation: BodyReservation,
}

impl AsRef<[u8]> for CountedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
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
        let api_key_name = auth::authorize(gateway, &head.headers, Scope::Send)?.api_key_name;
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
    let json =
        read(gateway, headers, content, BodySender::Authenticated).await.map_err(BodyError::problem)?;
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
            Self::OverBudget => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// Returns the error message.
    pub(super) fn message(self) -> String {
        match self {
            Self::TooLarge(bytes_max) => format!("the request body is longer than {bytes_max} bytes"),
            Self::TimedOut(seconds) => format!("the request body did not arrive within {seconds} s"),
            Self::Malformed => "the request body ended too early or is malformed".to_owned(),
            Self::OverBudget => {
                "too many request bodies arrive at once; send it again in a moment".to_owned()
            }
        }
    }

    /// Adds `Retry-After` to a response about this error if a retry can succeed.
    pub(super) fn with_retry_after(self, mut response: Response<Body>) -> Response<Body> {
        if self == Self::OverBudget {
            response.headers_mut().insert(RETRY_AFTER, errors::retry_after(OVER_BUDGET_RETRY_AFTER));
        }
        response
    }

    /// Returns the error as a problem document.
    pub(super) fn problem(self) -> Problem {
        let slug = match self {
            Self::TooLarge(_) => "content-too-large",
            Self::TimedOut(_) => "request-timeout",
            Self::Malformed => "malformed-body",
            Self::OverBudget => "busy",
        };
        let problem = Problem::new(self.status(), slug, "The request body cannot be read", self.message());
        if self == Self::OverBudget { problem.retry_after(OVER_BUDGET_RETRY_AFTER) } else { problem }
    }
}
