//! The answers of Kannel's smsbox: clients compare the status or the beginning of the body.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use axum::http::{HeaderValue, Response, StatusCode};

use crate::compat::refusal::is_day_limit;
use postrider_engine::accept::AcceptError;

/// An answer: the HTTP status and the body, without a line end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// The status.
    pub(super) status: StatusCode,
    /// The body.
    pub(super) body: &'static str,
}

const fn bad_request(body: &'static str) -> Answer {
    Answer { status: StatusCode::BAD_REQUEST, body }
}

impl Answer {
    pub(super) const ACCEPTED: Self = Self { status: StatusCode::ACCEPTED, body: "0: Accepted for delivery" };
    pub(super) const QUEUED: Self =
        Self { status: StatusCode::ACCEPTED, body: "3: Queued for later delivery" };
    pub(super) const UNAUTHORIZED: Self =
        Self { status: StatusCode::FORBIDDEN, body: "Authorization failed for sendsms" };
    pub(super) const NOT_ROUTABLE: Self =
        Self { status: StatusCode::FORBIDDEN, body: "Not routable. Do not try again." };
    pub(super) const TRY_LATER: Self =
        Self { status: StatusCode::SERVICE_UNAVAILABLE, body: "Temporal failure, try again later." };
    pub(super) const FAILED: Self =
        Self { status: StatusCode::INTERNAL_SERVER_ERROR, body: "Sending failed." };
    pub(super) const UNKNOWN_PATH: Self = Self { status: StatusCode::NOT_FOUND, body: "Unknown request." };
    pub(super) const UNSUPPORTED_CONTENT: Self =
        Self { status: StatusCode::UNSUPPORTED_MEDIA_TYPE, body: "Unsupported content-type, rejected" };
    pub(super) const RECEIVER_MISSING: Self = bad_request("Missing receiver number, rejected");
    pub(super) const XML_RECEIVER_MISSING: Self = bad_request("Missing receiver(s) number(s), rejected");
    pub(super) const RECEIVER_EMPTY: Self = bad_request("Empty receiver number not allowed, rejected");
    pub(super) const UDH_MISFORMED: Self = bad_request("UDH field misformed, rejected");
    pub(super) const UDH_TOO_LONG: Self = bad_request("UDH field is too long, rejected");
    pub(super) const NUMBER_DENIED: Self =
        bad_request("Number(s) has/have been denied by white- and/or black-lists.");
    pub(super) const SENDER_MISSING: Self = bad_request("Sender missing and no global set, rejected");
    pub(super) const ACCOUNT_MISFORMED: Self = bad_request("Account field misformed or too long, rejected");
    pub(super) const DLR_URL_MISFORMED: Self = bad_request("DLR-URL field misformed, rejected");
    pub(super) const DLR_MASK_MISFORMED: Self = bad_request("DLR-Mask field misformed, rejected");
    pub(super) const MCLASS_MISFORMED: Self = bad_request("MClass field misformed, rejected");
    pub(super) const PID_MISFORMED: Self = bad_request("PID field misformed, rejected");
    pub(super) const RPI_MISFORMED: Self = bad_request("RPI field misformed, rejected");
    pub(super) const ALT_DCS_MISFORMED: Self = bad_request("Alt-DCS field misformed, rejected");
    pub(super) const MWI_MISFORMED: Self = bad_request("MWI field misformed, rejected");
    pub(super) const CODING_MISFORMED: Self = bad_request("Coding field misformed, rejected");
    pub(super) const COMPRESS_MISFORMED: Self = bad_request("Compress field misformed, rejected");
    pub(super) const VALIDITY_MISFORMED: Self = bad_request("Validity field misformed, rejected");
    pub(super) const DEFERRED_MISFORMED: Self = bad_request("Deferred field misformed, rejected");
    pub(super) const PRIORITY_MISFORMED: Self = bad_request("Priority field misformed, rejected");
    pub(super) const BODY_MISFORMED: Self = bad_request("Charset or body misformed, rejected");

    /// Returns the answer to a message that was not accepted.
    pub(super) fn from_accept_error(error: &AcceptError) -> Self {
        match error {
            AcceptError::EmptyBody
            | AcceptError::InvalidBody
            | AcceptError::BodyTooLong(_)
            | AcceptError::InvalidSubject(_)
            | AcceptError::TooManyParts { .. }
            | AcceptError::PushTooLong { .. } => Self::BODY_MISFORMED,
            AcceptError::NoRecipient
            | AcceptError::InvalidAddress { .. }
            | AcceptError::InvalidContact { .. }
            | AcceptError::NoUsableContact { .. }
            | AcceptError::Suppressed(_) => Self::NUMBER_DENIED,
            AcceptError::InvalidSender | AcceptError::SenderNotAllowed => Self::SENDER_MISSING,
            AcceptError::UnknownChannel(_) => Self::NOT_ROUTABLE,
            AcceptError::ExpiresTooEarly => Self::VALIDITY_MISFORMED,
            AcceptError::Throttled { .. } | AcceptError::Store(_) => Self::TRY_LATER,
            AcceptError::SpendingLimit { retry_after } if is_day_limit(*retry_after) => Self::NOT_ROUTABLE,
            AcceptError::SpendingLimit { .. } => Self::TRY_LATER,
            // This API has no idempotency keys.
            AcceptError::IdempotencyKeyReused => Self::FAILED,
        }
    }

    /// Returns the response with the headers of smsbox.
    pub(super) fn response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
        headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

#[cfg(test)]
mod tests;
