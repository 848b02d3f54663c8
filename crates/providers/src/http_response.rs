//! The result of an HTTP call, and the send result when there is no response.
//!
//! The result tells whether the request can have left. If it cannot, nothing was sent, and the next provider can be
//! tried at once. If it can, the message may have been sent.

use std::time::Duration;

use reqwest::header::HeaderMap;

use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;

use crate::retry_after::parse_retry_after;

/// The result of an HTTP call.
#[derive(Debug)]
pub(crate) enum HttpCallResult {
    /// A status line arrived.
    Response(HttpResponse),
    /// No connection was made, or the server refused the request without reading it: nothing was sent.
    NotSent(String),
    /// The request may have left, and no status line arrived: a time-out, a closed connection, or bytes that are not
    /// HTTP.
    NoResponse(String),
    /// No request can be built, for example because the URL is too long: nothing was sent.
    InvalidRequest(String),
}

impl HttpCallResult {
    /// Returns the response, or the send result when there is none.
    pub fn into_response(self) -> Result<HttpResponse, SendResult> {
        match self {
            Self::Response(response) => Ok(response),
            Self::NotSent(reason) => Err(Outcome::Unavailable { reason }.into()),
            Self::NoResponse(reason) => Err(Outcome::Unknown { reason }.into()),
            Self::InvalidRequest(reason) => Err(Outcome::Rejected { reason }.into()),
        }
    }
}

/// A status, headers and a body.
#[derive(Debug)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: HeaderMap,
    /// The body as far as it was read.
    pub body: Vec<u8>,
    pub body_end: BodyEnd,
}

/// How a response body ended.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The whole body was read.
    Complete,
    /// The body is longer than the limit; the rest was not read.
    Truncated,
    /// The connection broke, or the time was up, before the end of the body.
    Interrupted,
}

impl HttpResponse {
    /// Returns the delay that the header `Retry-After` requests.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        parse_retry_after(&self.headers, Clock::System.now())
    }
}
