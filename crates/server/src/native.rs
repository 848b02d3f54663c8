//! The native face, `/v1/…`: JSON in and out, problem documents for errors, idempotency keys, cursors.
//!
//! One file per thing a client can ask for. Answers are built from domain types here, never stored or cached.

mod broadcasts;
mod message_list;
mod message_view;
mod messages;
mod providers;
mod receipts;
mod recipients;
mod report;
mod submission;
mod usage;
mod user_inbox;
mod users;

pub(super) use message_list::normalize_address;
pub(super) use providers::{ProviderChannelView, provider_channel};

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request, StatusCode};
use axum::routing::{any, get, post};
use tower::ServiceBuilder;
use tower_http::request_id::{MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer};
use utoipa::OpenApi;

use super::{REQUEST_ID, problem};
use postrider_core::id::MessageId;
use postrider_engine::gateway::Gateway;

/// What this face says of itself: every handler of a route below stands here.
#[derive(OpenApi)]
#[openapi(paths(
    messages::submit,
    messages::show,
    messages::cancel,
    message_list::list,
    receipts::receive,
    recipients::show,
    recipients::change,
    providers::list,
    report::show,
    usage::list,
    usage::totals,
    users::register,
    users::show,
    broadcasts::publish,
    broadcasts::show,
    user_inbox::list,
    user_inbox::read,
))]
pub(super) struct NativeApiDoc;

/// Where everything of this face is.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let ids = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(
            REQUEST_ID,
            RequestIds(Arc::clone(gateway)),
        ))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID));
    Router::new()
        .route("/v1/messages", post(messages::submit).get(message_list::list))
        .route("/v1/messages/{id}", get(messages::show).delete(messages::cancel))
        .route(
            "/v1/receipts/{provider}",
            post(receipts::receive).get(receipts::receive),
        )
        .route(
            "/v1/recipients/{channel}/{*address}",
            get(recipients::show).put(recipients::change),
        )
        .route("/v1/providers", get(providers::list))
        .route("/v1/report", get(report::show))
        .route("/v1/usage", get(usage::list))
        .route("/v1/usage/totals", get(usage::totals))
        .route("/v1/users", post(users::register))
        .route("/v1/users/{id}", get(users::show))
        .route("/v1/users/{id}/inbox", get(user_inbox::list))
        .route("/v1/users/{id}/inbox/{message}/read", post(user_inbox::read))
        .route("/v1/broadcasts", post(broadcasts::publish))
        .route("/v1/broadcasts/{id}", get(broadcasts::show))
        .route("/v1/{*rest}", any(problem::unknown_path_problem))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(ids)
}

/// Makes request ids in the same way as message ids: they sort by time.
#[derive(Clone)]
struct RequestIds(Arc<Gateway>);

impl MakeRequestId for RequestIds {
    fn make_request_id<B>(&mut self, _request: &Request<B>) -> Option<RequestId> {
        let id = MessageId::new(self.0.clock.now(), self.0.random.bytes());
        HeaderValue::from_str(&id.to_string()).ok().map(RequestId::new)
    }
}

/// What a body that could be read says wrongly.
fn invalid_fields(violations: &[problem::Violation]) -> problem::Problem {
    problem::Problem::invalid(StatusCode::UNPROCESSABLE_ENTITY, violations)
}

/// An answer in JSON.
type JsonResult<T> = Result<Json<T>, problem::Problem>;

/// One part of a path, decoded.
struct PathSegment(String);

impl<S: Send + Sync> FromRequestParts<S> for PathSegment {
    type Rejection = problem::Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| problem::Problem::not_found("this path is not UTF-8, so it leads nowhere"))?;
        Ok(Self(segment))
    }
}
