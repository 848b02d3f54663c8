//! `POST /v1/receipts/{provider}`: delivery receipts and inbound messages in the provider's own format.
//!
//! Needs no API key: the adapter authenticates the provider, and a provider without the settings for that gets 404. Some
//! providers call with GET. The response has the format that the provider expects.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::extract::PathParams;
use crate::body::{self, BodyError};
use crate::denial::Denial;
use crate::error_responses::{BodyErrorResponses, NotFoundResponses, StoreErrorResponses};
use crate::problem::{PROBLEM_JSON, Problem, ProblemView, StoreResult as _};
use parking_lot::Mutex;
use postrider_core::name::ConfigName;
use postrider_engine::callbacks;
use postrider_engine::gateway::{Gateway, ProviderRuntime};
use postrider_engine::request_load::BodySender;
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
    PathParams(provider): PathParams<String>,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let provider_name: ConfigName = provider.parse().map_err(|_| no_callbacks())?;
    let runtime = gateway.provider(&provider_name).ok_or_else(no_callbacks)?;
    match runtime.adapter().callback_mode() {
        CallbackMode::Disabled | CallbackMode::Texting => return Err(no_callbacks()),
        CallbackMode::Authenticated | CallbackMode::Unsigned => {}
    }
    let (head, content) = request.into_parts();
    let callback_body = read_callback_body(&gateway, runtime, &head.headers, content).await?;
    let callback = provider_callback(&gateway, &head, callback_body.to_vec());
    let callback_items = match runtime.adapter().parse_callback(&callback).await {
        Ok(callback_items) => callback_items,
        Err(CallbackError::Unauthenticated) => {
            let fitting_url = find_fitting_url(runtime, &callback, &head).await;
            return Err(invalid_signature_problem(&provider_name, fitting_url.as_deref()));
        }
        Err(error) => return Err(callback_problem(&provider_name, error)),
    };
    let received = callback_items.len();
    if received > 0 {
        let ingested = callbacks::ingest(&gateway, runtime, callback_items).await;
        ingested.or_problem(&gateway, "store the receipts")?;
    }
    Ok(match runtime.adapter().callback_response(&callback) {
        Some(response) => acknowledgement_response(response),
        None => Json(Received { received }).into_response(),
    })
}

/// Returns the 404 problem. It is the same for every name, so that a caller cannot find out which providers exist.
fn no_callbacks() -> Problem {
    Problem::not_found("no provider of this name receives callbacks")
}

/// Reads the body of a callback, which is authenticated only afterwards.
async fn read_callback_body(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    headers: &HeaderMap,
    content: Body,
) -> Result<Bytes, Problem> {
    let bytes_max = runtime.adapter().callback_bytes_max().min(gateway.config.limits.body_bytes_max);
    let reading = body::read_at_most(gateway, headers, content, BodySender::Unauthenticated, bytes_max);
    reading.await.map_err(BodyError::problem)
}

fn acknowledgement_response(expected: CallbackResponse) -> Response<Body> {
    let mut response = Response::new(Body::from(expected.body));
    if let Some(content_type) = expected.content_type {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
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

/// Returns the headers with text values; of several headers with one name, the first.
fn text_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let header_text = |name: &HeaderName| headers.get(name)?.to_str().ok().map(str::to_owned);
    headers.keys().filter_map(|name| Some((name.to_string(), header_text(name)?))).collect()
}

/// Providers and public URLs for which a warning was logged.
static WARNED_URLS: Mutex<BTreeSet<(String, String)>> = Mutex::new(BTreeSet::new());

/// Maximum number of stored warnings. Up to this number, each warning is logged only once.
const WARNED_URLS_MAX: usize = 1_000;

/// Returns the public URL with which the signature of a rejected callback would be valid, according to the headers of
/// the request. A caller without the secret cannot make any URL valid.
async fn find_fitting_url(
    runtime: &ProviderRuntime,
    callback: &CallbackRequest,
    head: &Parts,
) -> Option<String> {
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let hosts = [header("x-forwarded-host"), header("host")].into_iter().flatten();
    for host in hosts.map(|host| host.split(',').next().unwrap_or_default().trim()) {
        for scheme in ["https", "http"] {
            let public_url = format!("{scheme}://{host}");
            let url = format!("{public_url}{path_and_query}");
            if url == callback.url {
                continue;
            }
            let retried = CallbackRequest { url, ..callback.clone() };
            if runtime.adapter().parse_callback(&retried).await.is_ok() {
                return Some(public_url);
            }
        }
    }
    None
}

/// Returns the problem of a callback without a valid signature. Warns once if another public URL would make it valid.
fn invalid_signature_problem(provider: &ConfigName, fitting_url: Option<&str>) -> Problem {
    if let Some(url) = fitting_url {
        let mut warned_urls = WARNED_URLS.lock();
        if warned_urls.len() < WARNED_URLS_MAX && warned_urls.insert((provider.to_string(), url.to_owned())) {
            log::warn!(
                "callback signature invalid: the provider signs another URL, set public_url = \"{url}\"; logged once; \
                 provider={provider}"
            );
        }
    }
    Problem::new(
        StatusCode::FORBIDDEN,
        "invalid-signature",
        "The signature of the callback is invalid",
        "the signature or secret is missing or wrong; compare it with the provider's configuration",
    )
    .denied(Denial::CallbackUnauthenticated { provider: Some(provider.to_string()) })
}

fn callback_problem(provider: &ConfigName, error: CallbackError) -> Problem {
    match error {
        CallbackError::Unauthenticated => invalid_signature_problem(provider, None),
        CallbackError::Malformed(detail) => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed-callback", "The callback is malformed", detail)
        }
        CallbackError::Unavailable(detail) => {
            let denial = Denial::CallbackUnverified { provider: provider.to_string(), detail };
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "verification-unavailable",
                "The callback cannot be verified now",
                "the callback was not stored; send it again in a few seconds",
            )
            .retry_after(VERIFICATION_RETRY_AFTER)
            .denied(denial)
        }
        CallbackError::NotSupported => no_callbacks(),
    }
}

#[cfg(test)]
mod tests;
