//! Errors of the Twilio API: code, message and HTTP status.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::auth::AuthError;
use crate::body::BodyError;
use crate::denial::Denial;
use postrider_core::error::{Error, ErrorKind};
use postrider_core::recipient::RecipientStatus;
use postrider_engine::accept::AcceptError;
use postrider_engine::gateway::Gateway;

/// An error document. It has no keys `type` and `title`: newer SDKs would read it as another kind of error.
#[derive(Debug)]
pub(super) struct TwilioError {
    status: StatusCode,
    code: u32,
    message: Cow<'static, str>,
    denial: Option<Denial>,
    retry_after_seconds: Option<u64>,
}

const fn bad_request(code: u32, message: &'static str) -> TwilioError {
    TwilioError::with_status(StatusCode::BAD_REQUEST, code, message)
}

impl TwilioError {
    pub(super) const TO_MISSING: Self = bad_request(21604, "A 'To' phone number is required.");
    pub(super) const TO_INVALID: Self = bad_request(21211, "The 'To' number is not a valid phone number.");
    pub(super) const BODY_MISSING: Self = bad_request(21602, "Message body is required.");
    pub(super) const BODY_TOO_LONG: Self =
        bad_request(21617, "The message body exceeds the 1600 character limit.");
    pub(super) const FROM_INVALID: Self = bad_request(21212, "The 'From' number is not a valid sender.");
    pub(super) const FROM_NOT_ALLOWED: Self =
        bad_request(21606, "The 'From' number is not one of this account.");
    pub(super) const CALLBACK_INVALID: Self = bad_request(21609, "The 'StatusCallback' URL is not valid.");
    pub(super) const OPTED_OUT: Self = bad_request(21610, "The recipient has opted out of messages.");
    pub(super) const INACTIVE: Self = bad_request(21614, "The 'To' number does not receive messages.");
    pub(super) const COUNTRY: Self = bad_request(21408, "Messages to this region are not enabled.");
    pub(super) const NO_ROUTE: Self = bad_request(21612, "The message cannot be routed.");
    pub(super) const VALIDITY_INVALID: Self =
        bad_request(21624, "ValidityPeriod must be 1 to 36000 seconds.");
    pub(super) const MEDIA_UNSUPPORTED: Self = bad_request(21620, "Media is not supported.");
    pub(super) const SEND_AT_MISSING: Self =
        bad_request(35111, "SendAt is required for a scheduled message.");
    pub(super) const SEND_AT_TOO_NEAR: Self =
        bad_request(35114, "SendAt must be more than 300 seconds ahead.");
    pub(super) const SEND_AT_TOO_FAR: Self = bad_request(35117, "SendAt must be at most 35 days ahead.");
    pub(super) const SCHEDULE_WITHOUT_SERVICE: Self =
        bad_request(35118, "MessagingServiceSid is required for a scheduled message.");
    pub(super) const SCHEDULE_TYPE: Self = bad_request(35126, "ScheduleType must be 'fixed'.");
    pub(super) const NOT_CANCELLABLE: Self = bad_request(30409, "The message cannot be canceled any more.");
    pub(super) const UNSUPPORTED_UPDATE: Self =
        bad_request(20001, "Only Status=canceled is supported; messages are not redacted.");
    pub(super) const IDEMPOTENCY_REUSED: Self =
        Self::with_status(StatusCode::CONFLICT, 20409, "The idempotency token was used for another request.");
    pub(super) const IDEMPOTENCY_INVALID: Self = bad_request(20001, "The idempotency token is not valid.");
    pub(super) const METHOD_NOT_ALLOWED: Self =
        Self::with_status(StatusCode::METHOD_NOT_ALLOWED, 20004, "Method not allowed.");

    const fn with_status(status: StatusCode, code: u32, message: &'static str) -> Self {
        Self { status, code, message: Cow::Borrowed(message), denial: None, retry_after_seconds: None }
    }

    pub(super) fn not_found(path: &str) -> Self {
        let message = format!("The requested resource {path} was not found");
        Self { message: Cow::Owned(message), ..Self::with_status(StatusCode::NOT_FOUND, 20404, "") }
    }

    /// Returns the error of wrong credentials, or of an account that may not make this request.
    pub(super) fn unauthorized(error: AuthError) -> Self {
        let status = error.status();
        let code = if status == StatusCode::UNAUTHORIZED { 20003 } else { 20403 };
        Self { denial: Some(error.denial()), ..Self::with_status(status, code, "Authenticate") }
    }

    pub(super) fn from_body(error: BodyError) -> Self {
        let status = error.status();
        let code = if status == StatusCode::SERVICE_UNAVAILABLE { 20503 } else { 20001 };
        Self { message: Cow::Owned(error.message()), ..Self::with_status(status, code, "") }
    }

    pub(super) fn from_store(gateway: &Gateway, error: &Error) -> Self {
        gateway.record_store_error("twilio: store error", error);
        match error.kind() {
            ErrorKind::Unavailable | ErrorKind::Usage => Self::unavailable(),
            ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::Internal => {
                Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, 20500, "Internal server error")
            }
        }
    }

    fn unavailable() -> Self {
        Self {
            retry_after_seconds: Some(2),
            ..Self::with_status(
                StatusCode::SERVICE_UNAVAILABLE,
                20503,
                "Service unavailable, try again later.",
            )
        }
    }

    /// Returns the error of a message that was not accepted.
    pub(super) fn from_accept(error: &AcceptError) -> Self {
        use postrider_core::address::AddressError;
        match error {
            AcceptError::EmptyBody | AcceptError::InvalidBody => Self::BODY_MISSING,
            AcceptError::BodyTooLong(_)
            | AcceptError::TooManyParts { .. }
            | AcceptError::PushTooLong { .. } => Self::BODY_TOO_LONG,
            AcceptError::InvalidAddress {
                cause:
                    AddressError::CountryNotAllowed | AddressError::PremiumNumber | AddressError::PrefixNotAllowed,
                ..
            } => Self::COUNTRY,
            AcceptError::InvalidAddress { .. } | AcceptError::InvalidContact { .. } => Self::TO_INVALID,
            AcceptError::NoRecipient => Self::TO_MISSING,
            AcceptError::NoUsableContact { .. } | AcceptError::UnknownChannel(_) => Self::NO_ROUTE,
            AcceptError::InvalidSender => Self::FROM_INVALID,
            AcceptError::SenderNotAllowed => Self::FROM_NOT_ALLOWED,
            AcceptError::Suppressed(RecipientStatus::OptedOut) => Self::OPTED_OUT,
            AcceptError::Suppressed(_) => Self::INACTIVE,
            AcceptError::InvalidSubject(_) | AcceptError::ExpiresTooEarly => Self::VALIDITY_INVALID,
            AcceptError::Throttled { retry_after } | AcceptError::SpendingLimit { retry_after } => Self {
                retry_after_seconds: Some(retry_after.as_secs().max(1)),
                ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, 20429, "Too many requests.")
            },
            AcceptError::IdempotencyKeyReused => Self::IDEMPOTENCY_REUSED,
            AcceptError::Store(error) if error.kind() == ErrorKind::Unavailable => Self::unavailable(),
            AcceptError::Store(_) => {
                Self::with_status(StatusCode::INTERNAL_SERVER_ERROR, 20500, "Internal server error")
            }
        }
    }

    /// Writes the document, and marks the response of a wrong credential.
    pub(super) fn into_response(self) -> Response<Body> {
        let document = json!({
            "code": self.code,
            "message": self.message,
            "more_info": format!("https://www.twilio.com/docs/errors/{}", self.code),
            "status": self.status.as_u16(),
        });
        let mut response = json_response(self.status, &document);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Twilio API\""));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(denial) = self.denial {
            response.extensions_mut().insert(denial);
        }
        response
    }
}

/// Returns an answer as JSON.
pub(super) fn json_response(status: StatusCode, document: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
