//! HTTP responses of the sandbox server: JSON, a body sent byte by byte, and responses in no provider's format.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse as _, Response};
use axum::{Extension, http::StatusCode};
use http_body_util::channel::Channel;

use super::api::{JSON_CONTENT_TYPE, SandboxResponse};
use super::{call_result::CallResult, listen::ResetConnection};
use postrider_core::clock;

/// Duration of a slow response, from its first byte to its last.
pub(super) const SLOW_RESPONSE_DURATION: Duration = Duration::from_secs(1);

/// Maximum time of a call without a response, so that no connection stays open for ever.
const HANG_DURATION_MAX: Duration = Duration::from_secs(600);

/// Body of a response that is in no API's format.
const GARBAGE_BODY: &[u8] = b"<html>\x00\xff\xfe not what you asked for {\"\"\"";

/// Returns the HTTP response; a slow one sends its body byte by byte within [`SLOW_RESPONSE_DURATION`].
pub(super) fn encode(response: SandboxResponse, is_slow: bool) -> Response {
    let body = if is_slow { byte_by_byte_body(response.body.into()) } else { Body::from(response.body) };
    let status = StatusCode::from_u16(response.status).unwrap_or_default();
    let mut http_response = (status, [(CONTENT_TYPE, JSON_CONTENT_TYPE)], body).into_response();
    if let Some(seconds) = response.retry_after {
        http_response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    http_response
}

/// Returns the response for a result that no API has a format for: garbage, no response, or a reset connection.
pub(super) async fn faulty(result: CallResult) -> Response {
    if result == CallResult::Garbage {
        return ([(CONTENT_TYPE, "text/html")], GARBAGE_BODY).into_response();
    }
    if result == CallResult::NoResponse {
        clock::sleep(HANG_DURATION_MAX).await;
    }
    Extension(ResetConnection).into_response()
}

fn byte_by_byte_body(bytes: Bytes) -> Body {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    let interval = SLOW_RESPONSE_DURATION / u32::try_from(bytes.len().max(1)).unwrap_or(u32::MAX);
    tokio::spawn(async move {
        for index in 0..bytes.len() {
            clock::sleep(interval).await;
            if sender.send_data(bytes.slice(index..=index)).await.is_err() {
                return;
            }
        }
    });
    Body::new(body)
}
