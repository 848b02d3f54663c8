//! The native face, `/v1/…`: JSON in and out, problem documents for errors, idempotency keys, cursors.
//!
//! One file per thing a client can ask for. Answers are built from domain types here, never stored or cached.

mod broadcasts;
mod letters;
mod list;
mod messages;
mod providers;
mod receipts;
mod recipients;
mod report;
mod submission;
mod usage;
mod users;
mod wire;

pub(super) use list::normalised;
pub(super) use providers::{ChannelView, part};

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
use crate::domain::id::MessageId;
use crate::gateway::Gateway;

/// What this face says of itself: every handler of a route below stands here.
#[derive(OpenApi)]
#[openapi(paths(
    messages::submit,
    messages::show,
    messages::cancel,
    list::list,
    receipts::take,
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
    letters::list,
    letters::read,
))]
pub(super) struct Described;

/// Where everything of this face is.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let ids = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, Ids(Arc::clone(gateway))))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID));
    Router::new()
        .route("/v1/messages", post(messages::submit).get(list::list))
        .route("/v1/messages/{id}", get(messages::show).delete(messages::cancel))
        .route(
            "/v1/receipts/{provider}",
            post(receipts::take).get(receipts::take),
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
        .route("/v1/users/{id}/inbox", get(letters::list))
        .route("/v1/users/{id}/inbox/{message}/read", post(letters::read))
        .route("/v1/broadcasts", post(broadcasts::publish))
        .route("/v1/broadcasts/{id}", get(broadcasts::show))
        .route("/v1/{*rest}", any(problem::unknown_path))
        .method_not_allowed_fallback(problem::wrong_method)
        .layer(ids)
}

/// Makes request ids in the same way as message ids: they sort by time.
#[derive(Clone)]
struct Ids(Arc<Gateway>);

impl MakeRequestId for Ids {
    fn make_request_id<B>(&mut self, _request: &Request<B>) -> Option<RequestId> {
        let id = MessageId::new(self.0.clock.now(), self.0.dice.bytes());
        HeaderValue::from_str(&id.to_string()).ok().map(RequestId::new)
    }
}

/// What a body that could be read says wrongly.
fn invalid(violations: &[problem::Violation]) -> problem::Problem {
    problem::Problem::invalid(StatusCode::UNPROCESSABLE_ENTITY, violations)
}

/// An answer in JSON.
type Answer<T> = Result<Json<T>, problem::Problem>;

/// One part of a path, decoded.
struct Segment(String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = problem::Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let Path(segment) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|_| problem::Problem::missing("this path is not UTF-8, so it leads nowhere"))?;
        Ok(Self(segment))
    }
}
