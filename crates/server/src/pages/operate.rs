//! The operator's pages: current state, deliveries by search, and the manual actions.
//!
//! They need the scope `admin`. Every change is a form with a token of this operator; a change of deliveries is confirmed
//! first. Every page reads a bounded number of rows.

mod actions;
mod confirm;
mod delivery_list;
mod delivery_row;
mod live_updates;
mod notice;
mod operator;
mod overview;
mod search_query;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Request, Response, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use self::notice::Notice;
use self::operator::{Operator, into_page, page_or_failure, read_form};
use self::state::OperateState;
use super::report_cache::ReportCache;
use crate::auth;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// Returns the routes of `/operate` and below.
pub(crate) fn routes(report_cache: &Arc<ReportCache>, stop: &StopSignal) -> Router<Arc<Gateway>> {
    let state = OperateState { reports: Arc::clone(report_cache), live: Arc::default(), stop: stop.clone() };
    Router::new()
        .route("/operate", get(overview))
        .route("/operate/messages", get(messages))
        .route("/operate/events", get(events))
        .route("/operate/confirm", post(confirm_action))
        .route("/operate/apply", post(apply_action))
        .route("/operate/providers/{provider}/{action}", post(control_provider))
        .layer(axum::Extension(state))
}

async fn overview(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(state): axum::Extension<OperateState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let page = async {
        let operator = Operator::from_page_request(&gateway, &uri, &headers)?;
        let notice = Notice::from_query(uri.query().unwrap_or_default());
        page_or_failure(overview::overview_page(&gateway, &state, &operator, notice).await)
    };
    into_page(page.await)
}

async fn messages(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(state): axum::Extension<OperateState>,
    uri: Uri,
    headers: HeaderMap,
) -> Response<Body> {
    let page = async {
        let operator = Operator::from_page_request(&gateway, &uri, &headers)?;
        let query = uri.query().unwrap_or_default();
        page_or_failure(delivery_list::delivery_list_page(&gateway, &state, &operator, query).await)
    };
    into_page(page.await)
}

async fn events(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(state): axum::Extension<OperateState>,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize_operator(&gateway, &headers) {
        Ok(_) => live_updates::event_stream(&state.live, &gateway, &state.reports, state.stop),
        // No Basic challenge: the request comes from the script, and a password dialogue would be unexpected.
        Err(error) => error.into_response(),
    }
}

async fn confirm_action(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(state): axum::Extension<OperateState>,
    request: Request<Body>,
) -> Response<Body> {
    let page = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        page_or_failure(confirm::confirm_page(&gateway, &state, &operator, &form).await)
    };
    into_page(page.await)
}

async fn apply_action(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let page = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        page_or_failure(actions::apply_action(&gateway, &operator, &form).await)
    };
    into_page(page.await)
}

async fn control_provider(
    State(gateway): State<Arc<Gateway>>,
    axum::Extension(state): axum::Extension<OperateState>,
    Path((provider, action)): Path<(String, String)>,
    request: Request<Body>,
) -> Response<Body> {
    let page = async {
        let (head, content) = request.into_parts();
        let form = read_form(&gateway, &head.headers, content).await?;
        let operator = Operator::from_form(&gateway, &head.headers, &form)?;
        let result = actions::control_provider(&gateway, &operator, &provider, &action).await;
        state.live.invalidate().await;
        page_or_failure(result)
    };
    into_page(page.await)
}
