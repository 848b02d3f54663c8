//! The route tables: one for a process that accepts messages, one for a process with monitoring endpoints only.
//!
//! `GET /sms/send` is the most frequent request, so without API keys its only layer is the same-site check. The APIs
//! check API keys themselves; for the pages a layer does it.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, State};
use axum::http::header::ACCEPT;
use axum::http::{Request, Response};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::IntoResponse as _;
use tower_http::compression::CompressionLayer;

use crate::{auth, compat, inbox, monitoring, native, openapi, pages, problem, simple, texting};
use postrider_core::request_origin;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// Builds the router of all APIs and pages. `stop` ends the responses that would otherwise last as long as the client
/// is connected.
pub(crate) fn routes(gateway: &Arc<Gateway>, stop: &StopSignal) -> Router {
    let require_read = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require_scope);
    let report_cache = Arc::default();
    let pages = pages::routes(&report_cache)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .route_layer(require_read)
        .layer(CompressionLayer::new());
    let operator_pages = pages::operator_routes(&report_cache, stop)
        .merge(pages::sign_in_routes())
        .merge(pages::assets())
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(CompressionLayer::new());
    let router = Router::new()
        .merge(texting::routes())
        .merge(inbox::routes())
        .merge(native::routes(gateway))
        .merge(compat::routes(gateway))
        .merge(monitoring::routes(gateway))
        .merge(openapi::routes())
        .merge(pages)
        .merge(operator_pages)
        .layer(from_fn(name_route))
        .merge(simple::routes())
        .fallback(unknown_path)
        .with_state(Arc::clone(gateway));
    same_site_only(gateway, router)
}

/// Adds the route to the response, for the log of requests.
async fn name_route(request: Request<Body>, next: Next) -> Response<Body> {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(route);
    }
    response
}

/// Builds the router of a process that accepts no messages: `/healthz`, `/readyz` and `/metrics`.
pub(crate) fn monitoring_routes(gateway: &Arc<Gateway>) -> Router {
    let router = Router::new()
        .merge(monitoring::routes(gateway))
        .layer(from_fn(name_route))
        .fallback(unknown_path)
        .with_state(Arc::clone(gateway));
    same_site_only(gateway, router)
}

/// Adds a layer that refuses a request if a page of another site may have caused it; applies to unknown paths too.
///
/// The layer is used only without configured API keys. With keys, a request needs a credential that other sites do not
/// have.
fn same_site_only(gateway: &Gateway, router: Router) -> Router {
    if !gateway.api_keys().is_empty() {
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

/// Returns the 404 page or problem for an unknown path. A browser, which accepts HTML, gets a page.
async fn unknown_path(request: Request<Body>) -> Response<Body> {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("text/html") {
        return pages::not_found_page(
            "This gateway has no page at this address. Start at the report; /api.html lists all paths.",
        );
    }
    problem::unknown_path(request).await.into_response()
}
