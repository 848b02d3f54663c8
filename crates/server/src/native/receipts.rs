//! `POST /v1/receipts/{provider}`: delivery receipts and inbound messages in the provider's own format.
//!
//! Needs no API key: the adapter authenticates the provider, and a provider without the settings for that gets 404. Some
//! providers call with GET. The response has the format that the provider expects.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::PathSegment;
use crate::body::{self, BodyError};
use crate::error_responses::{BodyErrorResponses, NotFoundResponses, ProblemView, StoreErrorResponses};
use crate::problem::{PROBLEM_JSON, Problem};
use postrider_core::name::ConfigName;
use postrider_engine::callbacks;
use postrider_engine::gateway::Gateway;
use postrider_providers::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};

/// `Retry-After` when a callback cannot be verified now.
const VERIFICATION_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Result of a callback.
#[derive(Serialize, ToSchema)]
#[schema(as = Received)]
pub(super) struct Received {
    /// Number of receipts and inbound messages in the request.
    received: usize,
}

/// Receives delivery receipts and inbound messages in the provider's own format.
///
/// Needs no API key: the provider's signature or secret authenticates the request.
#[utoipa::path(
    method(post, get),
    path = "/v1/receipts/{provider}",
    operation_id = "receive_receipts",
    tag = "native",
    params(("provider" = String, Path, description = "The provider's name in the configuration.")),
    security(()),
    responses(
        (status = 200, description = "They are stored. Some providers expect a response of their own instead.", body = Received),
        (status = 403, description = "The signature or secret is missing or wrong.", body = ProblemView,
            content_type = PROBLEM_JSON),
        NotFoundResponses, BodyErrorResponses, StoreErrorResponses,
    )
)]
pub(super) async fn receive(
    State(gateway): State<Arc<Gateway>>,
    PathSegment(provider): PathSegment,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let not_found = || Problem::not_found(format!("there is no provider \"{provider}\""));
    let name: ConfigName = provider.parse().map_err(|_| not_found())?;
    let runtime = gateway.provider(&name).ok_or_else(not_found)?;
    match runtime.adapter().callback_mode() {
        CallbackMode::Disabled | CallbackMode::Texting => {
            return Err(callback_problem(&name, CallbackError::NotSupported));
        }
        CallbackMode::Authenticated | CallbackMode::Unsigned => {}
    }
    let (head, content) = request.into_parts();
    let content =
        body::read(&head.headers, content, &gateway.config.limits).await.map_err(BodyError::problem)?;
    let callback = provider_callback(&gateway, &head, content.to_vec());
    let incoming =
        runtime.adapter().parse_callback(&callback).await.map_err(|error| callback_problem(&name, error))?;
    let received = incoming.len();
    if received > 0 {
        callbacks::ingest(&gateway, runtime, incoming)
            .await
            .map_err(|error| Problem::from_error(&gateway, "store the receipts", &error))?;
    }
    Ok(match runtime.adapter().callback_response(&callback) {
        Some(response) => acknowledgement_response(response),
        None => Json(Received { received }).into_response(),
    })
}

fn acknowledgement_response(expected: CallbackResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(expected.body));
    if let Some(content_type) = expected.content_type {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

fn provider_callback(gateway: &Gateway, head: &Parts, content: Vec<u8>) -> CallbackRequest {
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    CallbackRequest {
        method: head.method.to_string(),
        url: format!("{}{path_and_query}", gateway.config.public_url),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: text_headers(&head.headers),
        body: content,
        received_at: gateway.clock.now(),
    }
}

/// Returns the headers with text values; the first of several with one name.
fn text_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &axum::http::HeaderName| headers.get(name)?.to_str().ok();
    headers.keys().filter_map(|name| Some((name.as_str().to_owned(), text(name)?.to_owned()))).collect()
}

fn callback_problem(provider: &ConfigName, error: CallbackError) -> Problem {
    match error {
        CallbackError::Unauthenticated => {
            log::warn!("callback signature invalid: provider={provider}");
            Problem::new(
                StatusCode::FORBIDDEN,
                "invalid-signature",
                "The signature of the callback is invalid",
                "the signature or secret is missing or wrong; compare it with the provider's configuration",
            )
        }
        CallbackError::Malformed(detail) => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed-callback", "The callback is malformed", detail)
        }
        CallbackError::Unavailable(detail) => {
            log::warn!("callback cannot be verified now: provider={provider} detail={detail}");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "verification-unavailable",
                "The callback cannot be verified now",
                "send it again in a moment",
            )
            .retry_after(VERIFICATION_RETRY_AFTER)
        }
        CallbackError::NotSupported => {
            Problem::not_found(format!("no receipts are expected from {provider}"))
        }
    }
}
