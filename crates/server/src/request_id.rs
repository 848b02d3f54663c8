//! The `X-Request-Id` header, which connects a response of the native API with its log line.
//!
//! A request that brings an id keeps it; otherwise [`RequestIds`] makes one.

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, Request};
use tower_http::request_id::{MakeRequestId, RequestId};

use postrider_core::id::MessageId;
use postrider_engine::gateway::Gateway;

/// Name of the header.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes request ids in the format of message ids, so that they sort by time.
#[derive(Clone)]
pub(crate) struct RequestIds(pub(crate) Arc<Gateway>);

impl MakeRequestId for RequestIds {
    fn make_request_id<B>(&mut self, _request: &Request<B>) -> Option<RequestId> {
        let id = MessageId::new(self.0.clock.now(), self.0.random.bytes());
        HeaderValue::from_str(&id.to_string()).ok().map(RequestId::new)
    }
}
