//! `POST /v1/receipts/{provider}`: a provider's later word, and texts people sent, in the provider's own format.
//!
//! Needs no API key: the adapter checks that it is its provider who calls, and a provider whose configuration holds
//! nothing to check that with is closed. Some providers call with GET. The answer is
//! what the provider wants to read.

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

use super::PathSegment;
use crate::body::{self, BodyError};
use crate::openapi::{BodyErrorResponses, NotFoundResponses, ProblemView, StoreErrorResponses};
use crate::problem::{PROBLEM_JSON, Problem};
use postrider_core::name::ConfigName;
use postrider_engine::callbacks;
use postrider_engine::gateway::Gateway;
use postrider_providers::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};

/// When a provider may try again whose call cannot be checked now.
const VERIFICATION_RETRY_AFTER: Duration = Duration::from_secs(5);

/// How many receipts and texts were taken.
#[derive(Serialize, ToSchema)]
#[schema(as = Received)]
pub(super) struct Received {
    /// How many receipts and texts the call brought.
    received: usize,
}

/// Takes a provider's later word, and texts people sent, in the provider's own format.
///
/// Needs no API key: the provider's signature or secret says who calls.
#[utoipa::path(
    method(post, get),
    path = "/v1/receipts/{provider}",
    operation_id = "take_receipts",
    tag = "native",
    params(("provider" = String, Path, description = "The provider's name in the configuration.")),
    security(()),
    responses(
        (status = 200, description = "They are kept. Some providers want to read something of their own instead.", body = Received),
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
    let unknown = || Problem::not_found(format!("there is no provider \"{provider}\""));
    let name: ConfigName = provider.parse().map_err(|_| unknown())?;
    let lane = gateway.provider(&name).ok_or_else(unknown)?;
    match lane.provider.callback_mode() {
        CallbackMode::Disabled | CallbackMode::Texting => {
            return Err(callback_problem(&name, CallbackError::NotSupported));
        }
        CallbackMode::Authenticated | CallbackMode::Unsigned => {}
    }
    let (head, content) = request.into_parts();
    let content = body::read(&head.headers, content, &gateway.config.limits)
        .await
        .map_err(BodyError::problem)?;
    let call = provider_callback(&gateway, &head, content.to_vec());
    let incoming = lane
        .provider
        .parse_callback(&call)
        .await
        .map_err(|refusal| callback_problem(&name, refusal))?;
    let received = incoming.len();
    if received > 0 {
        callbacks::ingest(&gateway, lane, incoming)
            .await
            .map_err(|error| Problem::from_error(&gateway, "keep the receipts", &error))?;
    }
    Ok(match lane.provider.callback_response(&call) {
        Some(wanted) => acknowledgement_response(wanted),
        None => Json(Received { received }).into_response(),
    })
}

fn acknowledgement_response(wanted: CallbackResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(wanted.body));
    if let Some(content_type) = wanted.content_type {
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

/// The headers that are text; of several with one name the first.
fn text_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &axum::http::HeaderName| headers.get(name)?.to_str().ok();
    headers
        .keys()
        .filter_map(|name| Some((name.as_str().to_owned(), text(name)?.to_owned())))
        .collect()
}

fn callback_problem(provider: &ConfigName, refusal: CallbackError) -> Problem {
    match refusal {
        CallbackError::Unauthenticated => {
            log::warn!("a receipt that claims to be from {provider} has no valid signature");
            Problem::new(
                StatusCode::FORBIDDEN,
                "forged-receipt",
                "The receipt is not signed as it should be",
                "the signature or secret is missing or wrong; compare it with the provider's configuration",
            )
        }
        CallbackError::Malformed(detail) => Problem::new(
            StatusCode::BAD_REQUEST,
            "unreadable-receipt",
            "The receipt cannot be read",
            detail,
        ),
        CallbackError::Unavailable(detail) => {
            log::warn!("a receipt of {provider} cannot be checked now: {detail}");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "receipt-not-now",
                "The receipt cannot be checked now",
                "send it again in a moment",
            )
            .retry_after(VERIFICATION_RETRY_AFTER)
        }
        CallbackError::NotSupported => {
            Problem::not_found(format!("{provider} is not expected to send receipts"))
        }
    }
}
