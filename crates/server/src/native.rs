//! The native API, `/v1/…`: JSON requests and responses, problem documents for errors, idempotency keys, cursors.
//!
//! One file per resource. Handlers build responses from domain types; responses are neither stored nor cached.

mod broadcasts;
mod extract;
mod inbound_list;
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
pub(super) use providers::{provider_channel, provider_numbers};

use std::sync::Arc;

use axum::Router;
use axum::routing::{any, get, post};
use tower::ServiceBuilder;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa::OpenApi;

use super::problem;
use super::request_id::{REQUEST_ID, RequestIds};
use postrider_engine::gateway::Gateway;

/// OpenAPI description of the native API: all handlers of [`routes`].
#[derive(OpenApi)]
#[openapi(paths(
    messages::submit,
    messages::show,
    messages::cancel,
    message_list::list,
    inbound_list::list,
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

/// Returns the routes of the native API.
pub(super) fn routes(gateway: &Arc<Gateway>) -> Router<Arc<Gateway>> {
    let request_ids = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, RequestIds(Arc::clone(gateway))))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID));
    Router::new()
        .route("/v1/messages", post(messages::submit).get(message_list::list))
        .route("/v1/messages/{id}", get(messages::show).delete(messages::cancel))
        .route("/v1/inbound", get(inbound_list::list))
        .route("/v1/receipts/{provider}", post(receipts::receive).get(receipts::receive))
        .route("/v1/recipients/{channel}/{*address}", get(recipients::show).put(recipients::change))
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
        .route("/v1/{*rest}", any(problem::unknown_path))
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(request_ids)
}
