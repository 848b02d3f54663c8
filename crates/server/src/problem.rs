//! Errors as problem documents (RFC 9457): what is wrong, where, and what to do about it.
//!
//! `type` is a relative reference that names the kind of problem. Never shows SQL, a provider's words or
//! anything else from inside: of an [`Error`] it says only which act failed.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::errors;
use postrider_core::duration::round_up_to_seconds;
use postrider_core::error::{Error, ErrorKind};
use postrider_core::request_origin::OriginRefusal;
use postrider_engine::accept::AcceptError;
use postrider_engine::gateway::Gateway;

/// After how many seconds a client may ask again when the truth is away.
pub(super) const STORE_RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("2");

/// The type of every problem document.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// How every face answers a failure of the store: one that passes by itself, or when the operator puts the settings
/// right, is worth another try; a defect is not.
pub(super) fn store_status(error: &Error) -> StatusCode {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Usage => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// A problem document on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    extensions: Map<String, Value>,
    retry_after_seconds: Option<u32>,
}

/// One thing that is wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// Where: a field or parameter, with dots between levels.
    pub field: String,
    /// What is wrong there and what would be right.
    pub detail: String,
}

impl Violation {
    /// What is wrong at that place.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            detail: detail.into(),
        }
    }
}

impl Problem {
    /// A problem of the kind `/problems/{slug}`.
    pub fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug,
            title,
            detail: detail.into(),
            extensions: Map::new(),
            retry_after_seconds: None,
        }
    }

    /// What was asked for does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// Everything that is wrong with a request's fields, all at once.
    pub fn invalid(status: StatusCode, violations: &[Violation]) -> Self {
        let sentences: Vec<String> = violations
            .iter()
            .map(|violation| format!("{}: {}", violation.field, violation.detail))
            .collect();
        let listed = serde_json::to_value(violations).unwrap_or_default();
        Self::new(
            status,
            "invalid",
            "The request is not valid",
            sentences.join("; "),
        )
        .with("violations", listed)
    }

    /// A failure below: logged here with its whole chain, told with its act only.
    pub fn from_error(gateway: &Gateway, act: &str, error: &Error) -> Self {
        gateway.metrics.store_errors.inc();
        log::error!("cannot {act}: {}", error.chain());
        Self::from_error_kind(error.kind(), act)
    }

    /// The problem of a failure that was logged already.
    pub fn from_error_kind(kind: ErrorKind, act: &str) -> Self {
        match kind {
            ErrorKind::NotFound => Self::not_found(format!("cannot {act}: it does not exist")),
            ErrorKind::Conflict => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "It is in a state that forbids this",
                format!("cannot {act} in the state it is in"),
            ),
            ErrorKind::Unavailable | ErrorKind::Usage => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The store is out of reach",
                format!("cannot {act} now; nothing was changed, try again in a moment"),
            ),
            ErrorKind::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Something broke inside",
                format!("cannot {act}; the operator finds the reason in the log"),
            ),
        }
    }

    /// Says when to come back.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        let seconds = round_up_to_seconds(wait).as_secs();
        self.retry_after_seconds = Some(u32::try_from(seconds).unwrap_or(u32::MAX));
        self
    }

    /// Adds a member beside the standard ones.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }
}

#[derive(Serialize)]
struct ProblemDocument<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(flatten)]
    extensions: &'a Map<String, Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let document = ProblemDocument {
            r#type: format!("/problems/{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            extensions: &self.extensions,
        };
        let body = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The answer when a message was not taken for a reason that lies in no field of its own.
pub(super) fn accept_error(refused: &AcceptError) -> Problem {
    let (status, slug, title) = match refused {
        AcceptError::Store(error) => return Problem::from_error_kind(error.kind(), "store the message"),
        AcceptError::Throttled { .. } => (
            StatusCode::TOO_MANY_REQUESTS,
            "throttled",
            "Too many messages to this user",
        ),
        AcceptError::IdempotencyKeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "key-reused",
            "The Idempotency-Key is in use",
        ),
        AcceptError::Suppressed => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "suppressed",
            "Nobody may be written to",
        ),
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::NoRecipient
        | AcceptError::UnknownChannel(_)
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. }
        | AcceptError::InvalidSubject(_)
        | AcceptError::ExpiresTooEarly => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid",
            "The request is not valid",
        ),
    };
    let problem = Problem::new(status, slug, title, errors::accept_error_message(refused));
    match refused {
        AcceptError::Throttled { retry_after } => problem.retry_after(*retry_after),
        _ => problem,
    }
}

/// The answer when the idempotency key cannot be used.
pub(super) fn invalid_idempotency_key(sentence: &'static str) -> Problem {
    Problem::new(
        StatusCode::BAD_REQUEST,
        "bad-idempotency-key",
        "The Idempotency-Key cannot be used",
        sentence,
    )
}

/// The answer to a request that another site may have made a browser send.
pub(super) fn origin_problem(refusal: OriginRefusal) -> Problem {
    match refusal {
        OriginRefusal::ForeignHost => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "foreign-host",
            "This host name is not accepted",
            "without API keys only localhost, IP addresses and the host of public_url are accepted in the Host header; \
             set public_url to the name that clients use, or configure [[keys]]",
        ),
        OriginRefusal::CrossSite => Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Requests from other sites are refused",
            "without API keys no page of another site may send requests; configure [[keys]] and send one of them",
        ),
    }
}

/// The answer for a path that leads nowhere.
pub(super) async fn unknown_path_problem(request: Request<Body>) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {}; the ways in are /sms/send, /inbox/send, /messages, /v1/messages and the report at /",
        request.uri().path()
    ))
}

/// The answer for a method a path does not take; axum adds which it does.
pub(super) async fn method_not_allowed(request: Request<Body>) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "wrong-method",
        "This path does not take that method",
        format!(
            "{} does not take {}; the Allow header says what it takes",
            request.uri().path(),
            request.method()
        ),
    )
}

/// The answer when a face of ours panics: that request is lost, its connection is not.
pub(super) fn panic_response(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let words = match panic.downcast::<String>() {
        Ok(words) => *words,
        Err(other) => other
            .downcast::<&str>()
            .map_or_else(|_| "no words".to_owned(), |words| (*words).to_owned()),
    };
    log::error!("a request ended in a panic: {words}");
    Problem::from_error_kind(ErrorKind::Internal, "answer this request").into_response()
}
