//! The public door: one route table, one file per face, each with its own envelope and status codes.
//!
//! `GET /sms/send` is the hot path: it passes no layer but the one that catches panics and, without API keys, the one that
//! refuses requests of other sites. Faces parse and answer; what is done with a message is decided in `flow`.

mod auth;
mod body;
mod connection;
mod cursor;
mod errors;
mod form;
mod inbox;
mod listen;
mod monitoring;
mod native;
mod openapi;
pub mod pages;
mod problem;
mod session;
mod simple;
mod texting;
pub mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderName, Request, Response};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::IntoResponse as _;
use tower_http::compression::CompressionLayer;

use postrider_core::request_origin;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

pub use listen::{serve, serve_monitoring};

/// The header that ties an answer to its line in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every path and who answers it. Pages are compressed and need a key to read; all other faces see to their
/// keys themselves. `stop` ends what would go on for as long as somebody listens.
fn routes(gateway: &Arc<Gateway>, stop: &StopSignal) -> Router {
    let readers = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require_scope);
    let newest = Arc::default();
    let pages = pages::routes(&newest)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .route_layer(readers)
        .layer(CompressionLayer::new());
    let operator = pages::operator_routes(&newest, stop)
        .merge(pages::sign_in_routes())
        .merge(pages::assets())
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CompressionLayer::new());
    let router = Router::new()
        .merge(simple::routes())
        .merge(texting::routes())
        .merge(inbox::routes())
        .merge(native::routes(gateway))
        .merge(monitoring::routes(gateway))
        .merge(openapi::routes())
        .merge(pages)
        .merge(operator)
        .fallback(problem::unknown_path_problem)
        .with_state(Arc::clone(gateway));
    same_site_only(gateway, router)
}

/// What machines ask, and nothing else: for a process that takes no messages.
fn monitoring_routes(gateway: &Arc<Gateway>) -> Router {
    let router = Router::new()
        .merge(monitoring::routes(gateway))
        .fallback(problem::unknown_path_problem)
        .with_state(Arc::clone(gateway));
    same_site_only(gateway, router)
}

/// Puts a layer around every route, unknown paths included, that refuses what another site may have made a browser
/// send. Only where no API keys are configured: with keys a request needs a credential that other sites do not have.
fn same_site_only(gateway: &Gateway, router: Router) -> Router {
    if !gateway.config.keys.is_empty() {
        return router;
    }
    let public_host: Arc<Option<String>> = Arc::new(request_origin::host_of_url(&gateway.config.public_url));
    router.layer(from_fn_with_state(public_host, refuse_other_sites))
}

async fn refuse_other_sites(
    State(public_host): State<Arc<Option<String>>>,
    request: Request<Body>,
    next: Next,
) -> Response<Body> {
    match request_origin::refusal(request.uri(), request.headers(), public_host.as_deref()) {
        Some(refusal) => problem::origin_problem(refusal).into_response(),
        None => next.run(request).await,
    }
}
