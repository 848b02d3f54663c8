//! Error responses as problem documents (RFC 9457): what is wrong, where, and what to do.
//!
//! `type` is a relative reference that names the kind of problem. No problem contains SQL, provider responses or other
//! internals: of an [`Error`] it names only the failed operation.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::denial::Denial;
use super::errors::{self, STORE_RETRY_AFTER_SECONDS};
use postrider_core::error::{Error, ErrorKind};
use postrider_core::recipient::RecipientStatus;
use postrider_core::request_origin::OriginRefusal;
use postrider_engine::accept::AcceptError;
use postrider_engine::gateway::Gateway;

/// Content type of problem documents.
pub(super) const PROBLEM_JSON: &str = "application/problem+json";

/// Challenge for programs.
pub(super) const BEARER_CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"postrider\"");

/// Maximum number of violations in a response: a violation can be longer than the invalid field, and a body can have
/// thousands of invalid fields.
const VIOLATIONS_MAX: usize = 20;

/// A problem document.
#[derive(Clone, Debug)]
pub struct Problem {
    status: StatusCode,
    slug: &'static str,
    title: &'static str,
    detail: String,
    violations: Option<Value>,
    retry_after: Option<Duration>,
    denial: Option<Box<Denial>>,
}

/// One invalid field or parameter of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Violation {
    /// Name of the field or parameter, with dots between levels.
    pub field: String,
    /// Description of the violation, with what would be valid.
    pub detail: String,
}

impl Violation {
    /// Returns a violation of this field.
    pub fn new(field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { field: field.into(), detail: detail.into() }
    }
}

/// Returns at most [`VIOLATIONS_MAX`] violations. If there are more, the last entry contains their number.
pub(super) fn limit_violations(mut violations: Vec<Violation>) -> Vec<Violation> {
    let omitted_count = violations.len().saturating_sub(VIOLATIONS_MAX);
    if omitted_count > 0 {
        violations.truncate(VIOLATIONS_MAX - 1);
        violations.push(Violation::new("", format!("{} more violations are not listed", omitted_count + 1)));
    }
    violations
}

impl Problem {
    /// Returns a problem with the type `/problems/{slug}`.
    pub fn new(
        status: StatusCode,
        slug: &'static str,
        title: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self { status, slug, title, detail: detail.into(), violations: None, retry_after: None, denial: None }
    }

    /// Returns the 404 problem.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", detail)
    }

    /// Returns the problem that lists all invalid parameters of a query.
    pub fn invalid_query(violations: &[Violation]) -> Self {
        Self::invalid(StatusCode::BAD_REQUEST, violations)
    }

    fn invalid(status: StatusCode, violations: &[Violation]) -> Self {
        let violations = &limit_violations(violations.to_vec());
        let sentences: Vec<String> =
            violations.iter().map(|violation| format!("{}: {}", violation.field, violation.detail)).collect();
        Self::new(status, "invalid", "The request is not valid", sentences.join("; "))
            .with_violations(violations)
    }

    /// Logs a store error with its causes and returns a problem that names only the failed `operation`.
    pub fn from_error(gateway: &Gateway, operation: &str, error: &Error) -> Self {
        gateway.record_store_error(&format!("cannot {operation}"), error);
        Self::from_error_kind(error.kind(), operation)
    }

    /// Returns the problem for an error that was already logged.
    fn from_error_kind(kind: ErrorKind, operation: &str) -> Self {
        match kind {
            ErrorKind::NotFound => Self::not_found(format!("cannot {operation}: it does not exist")),
            ErrorKind::Conflict => Self::new(
                StatusCode::CONFLICT,
                "conflict",
                "The current state does not allow this",
                format!("cannot {operation} in its current state"),
            ),
            ErrorKind::Unavailable | ErrorKind::Usage => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "unavailable",
                "The store is unavailable",
                format!("cannot {operation} now; nothing was changed; try again in a few seconds"),
            ),
            ErrorKind::Internal => Self::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "Internal error",
                format!("cannot {operation}; the log contains the cause"),
            ),
        }
    }

    /// Returns the 503 problem when another expensive query runs for too long.
    pub(super) fn too_many_expensive_queries() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "busy",
            "Other expensive queries are running",
            "queries that count many messages run one at a time, and this one waited 3 s; try again in a few seconds, or ask \
             for a shorter time",
        )
    }

    /// Sets the `Retry-After` header.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Marks the response as that of a denied request, which is counted and logged.
    #[must_use]
    pub(super) fn denied(mut self, denial: Denial) -> Self {
        self.denial = Some(Box::new(denial));
        self
    }

    /// Sets the member `violations`.
    #[must_use]
    pub fn with_violations(mut self, violations: impl Serialize) -> Self {
        self.violations = serde_json::to_value(violations).ok();
        self
    }
}

/// The 422 problem that lists all invalid fields of a body.
impl From<Vec<Violation>> for Problem {
    fn from(violations: Vec<Violation>) -> Self {
        Self::invalid(StatusCode::UNPROCESSABLE_ENTITY, &violations)
    }
}

impl From<Violation> for Problem {
    fn from(violation: Violation) -> Self {
        vec![violation].into()
    }
}

/// Result of a store operation.
pub(super) trait StoreResult<T> {
    /// Turns an error into the problem of [`Problem::from_error`].
    fn or_problem(self, gateway: &Gateway, operation: &str) -> Result<T, Problem>;
}

impl<T> StoreResult<T> for Result<T, Error> {
    fn or_problem(self, gateway: &Gateway, operation: &str) -> Result<T, Problem> {
        self.map_err(|error| Problem::from_error(gateway, operation, &error))
    }
}

/// A problem document (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView<'a> {
    /// Relative reference that names the kind of problem.
    #[schema(example = "/problems/invalid")]
    r#type: String,
    /// The kind of problem as text.
    title: &'a str,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// Description of the error, with what would be valid.
    detail: &'a str,
    /// The invalid fields, if the problem lies in the fields.
    #[schema(value_type = Option<Vec<Violation>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<&'a Value>,
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response<Body> {
        let document = ProblemView {
            r#type: format!("/problems/{}", self.slug),
            title: self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            violations: self.violations.as_ref(),
        };
        let json = serde_json::to_vec(&document).unwrap_or_default();
        let mut response = (self.status, [(CONTENT_TYPE, PROBLEM_JSON)], json).into_response();
        if let Some(denial) = self.denial {
            response.extensions_mut().insert(*denial);
        }
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, BEARER_CHALLENGE);
        }
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, errors::retry_after(wait));
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, STORE_RETRY_AFTER_SECONDS);
        }
        response
    }
}

/// Returns the problem for a message that was not accepted for a reason outside its fields.
pub(super) fn accept_error(error: &AcceptError) -> Problem {
    let (status, slug, title) = match error {
        AcceptError::Store(error) => return Problem::from_error_kind(error.kind(), "store the message"),
        AcceptError::Throttled { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "throttled", "Too many messages to this user")
        }
        AcceptError::SpendingLimit { .. } => {
            (StatusCode::TOO_MANY_REQUESTS, "spending-limit", "A spending limit of the API key is reached")
        }
        AcceptError::IdempotencyKeyReused => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key was used for a different request",
        ),
        AcceptError::Suppressed(RecipientStatus::OptedOut) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "opted-out", "The recipient has opted out")
        }
        AcceptError::Suppressed(RecipientStatus::Inactive | RecipientStatus::Active) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "inactive", "The recipient is inactive")
        }
        AcceptError::EmptyBody
        | AcceptError::InvalidBody
        | AcceptError::BodyTooLong(_)
        | AcceptError::TooManyParts { .. }
        | AcceptError::PushTooLong { .. }
        | AcceptError::NoRecipient
        | AcceptError::UnknownChannel(_)
        | AcceptError::InvalidAddress { .. }
        | AcceptError::InvalidContact { .. }
        | AcceptError::NoUsableContact { .. }
        | AcceptError::InvalidSubject(_)
        | AcceptError::InvalidSender
        | AcceptError::SenderNotAllowed
        | AcceptError::ExpiresTooEarly => {
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid", "The request is not valid")
        }
    };
    let accept_problem = Problem::new(status, slug, title, errors::accept_error_message(error));
    match error {
        AcceptError::Throttled { retry_after } | AcceptError::SpendingLimit { retry_after } => {
            accept_problem.retry_after(*retry_after)
        }
        _ => accept_problem,
    }
}

/// Returns the problem for an invalid idempotency key.
pub(super) fn invalid_idempotency_key(detail: &'static str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-idempotency-key", "The Idempotency-Key is invalid", detail)
}

/// Returns the problem for a request that a page of another site may have caused.
pub(super) fn origin_problem(refusal: OriginRefusal) -> Problem {
    match refusal {
        OriginRefusal::ForeignHost => Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "foreign-host",
            "This host name is not accepted",
            "without API keys only localhost, IP addresses and the host of public_url are accepted in the Host header; \
             set public_url to the name that clients use, or configure [[keys]]",
        )
        .denied(Denial::ForeignHost),
        OriginRefusal::CrossSite => Problem::new(
            StatusCode::FORBIDDEN,
            "cross-site",
            "Requests from other sites are refused",
            "without API keys, pages of other sites may not send requests; configure [[keys]] and send one of them",
        )
        .denied(Denial::CrossSite),
    }
}

/// Returns the 404 problem for an unknown path.
pub(super) async fn unknown_path(request: Request<Body>) -> Problem {
    Problem::not_found(format!(
        "unknown path {}; messages are accepted at /sms/send, /inbox/send, /messages and /v1/messages, broadcasts at \
         /v1/broadcasts, users at /v1/users; the report is at /, all paths are listed at /api.html",
        request.uri().path()
    ))
}

/// Returns the 405 problem; axum adds the `Allow` header.
pub(super) async fn method_not_allowed(request: Request<Body>) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        "The path does not support this method",
        format!(
            "{} does not support {}; the Allow header lists the supported methods",
            request.uri().path(),
            request.method()
        ),
    )
}

/// Returns the response when a handler panics: only this request fails, its connection stays usable.
pub(super) fn panic_response(panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let message = match panic.downcast::<String>() {
        Ok(message) => *message,
        Err(panic) => panic.downcast::<&str>().map_or_else(|_| "none".to_owned(), |text| (*text).to_owned()),
    };
    log::error!("request handler panicked: message={message}");
    Problem::from_error_kind(ErrorKind::Internal, "process this request").into_response()
}
