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

use super::Segment;
use crate::domain::channel::Name;
use crate::flow::hear;
use crate::gateway::Gateway;
use crate::http::body::{self, BodyTrouble};
use crate::http::describe::{Failed, Missing, ProblemView, Unread};
use crate::http::problem::{PROBLEM_JSON, Problem};
use crate::provider::{Acknowledgement, Call, Callbacks, Refusal};

/// When a provider may try again whose call cannot be checked now.
const RETRY_AFTER: Duration = Duration::from_secs(5);

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
        Missing, Unread, Failed,
    )
)]
pub(super) async fn take(
    State(gateway): State<Arc<Gateway>>,
    Segment(provider): Segment,
    request: Request<Body>,
) -> Result<Response<Body>, Problem> {
    let unknown = || Problem::missing(format!("there is no provider \"{provider}\""));
    let name: Name = provider.parse().map_err(|_| unknown())?;
    let lane = gateway.lane(&name).ok_or_else(unknown)?;
    match lane.provider.callbacks() {
        Callbacks::Closed | Callbacks::Texting => return Err(turned_away(&name, Refusal::NotExpected)),
        Callbacks::Authenticated | Callbacks::Unsigned => {}
    }
    let (head, content) = request.into_parts();
    let content = body::read(&head.headers, content, &gateway.config.limits)
        .await
        .map_err(BodyTrouble::problem)?;
    let call = call(&gateway, &head, content.to_vec());
    let incoming = lane
        .provider
        .hear(&call)
        .await
        .map_err(|refusal| turned_away(&name, refusal))?;
    let received = incoming.len();
    if received > 0 {
        hear::hear(&gateway, lane, incoming)
            .await
            .map_err(|error| Problem::failed(&gateway, "keep the receipts", &error))?;
    }
    Ok(match lane.provider.acknowledgement(&call) {
        Some(wanted) => acknowledged(wanted),
        None => Json(Received { received }).into_response(),
    })
}

fn acknowledged(wanted: Acknowledgement) -> Response<Body> {
    let mut response = Response::new(Body::from(wanted.body));
    if let Some(content_type) = wanted.content_type {
        let value = HeaderValue::from_static(content_type);
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

fn call(gateway: &Gateway, head: &Parts, content: Vec<u8>) -> Call {
    let path_and_query = head.uri.path_and_query().map_or("/", |path| path.as_str());
    Call {
        method: head.method.to_string(),
        url: format!("{}{path_and_query}", gateway.config.public_url),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: readable(&head.headers),
        body: content,
        heard_at: gateway.clock.now(),
    }
}

/// The headers that are text; of several with one name the first.
fn readable(headers: &HeaderMap) -> BTreeMap<String, String> {
    let text = |name: &axum::http::HeaderName| headers.get(name)?.to_str().ok();
    headers
        .keys()
        .filter_map(|name| Some((name.as_str().to_owned(), text(name)?.to_owned())))
        .collect()
}

fn turned_away(provider: &Name, refusal: Refusal) -> Problem {
    match refusal {
        Refusal::Forged => {
            log::warn!("a receipt that claims to be from {provider} has no valid signature");
            Problem::new(
                StatusCode::FORBIDDEN,
                "forged-receipt",
                "The receipt is not signed as it should be",
                "the signature or secret is missing or wrong; compare it with the provider's configuration",
            )
        }
        Refusal::Unreadable(detail) => Problem::new(
            StatusCode::BAD_REQUEST,
            "unreadable-receipt",
            "The receipt cannot be read",
            detail,
        ),
        Refusal::NotNow(detail) => {
            log::warn!("a receipt of {provider} cannot be checked now: {detail}");
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "receipt-not-now",
                "The receipt cannot be checked now",
                "send it again in a moment",
            )
            .retry_after(RETRY_AFTER)
        }
        Refusal::NotExpected => Problem::missing(format!("{provider} is not expected to send receipts")),
    }
}
