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

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, Uri};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Extension, Router};

use self::notice::Notice;
use self::operator::{Operator, OperatorForm};
use self::state::OperateState;
use super::layout::PageResult;
use super::report_cache::ReportCache;
use crate::auth;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

type GatewayState = State<Arc<Gateway>>;
type SharedState = Extension<OperateState>;

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
        .layer(Extension(state))
}

async fn overview(
    State(gateway): GatewayState,
    Extension(state): SharedState,
    operator: Operator,
    uri: Uri,
) -> PageResult {
    let notice = Notice::from_query(uri.query().unwrap_or_default());
    Ok(overview::overview_page(&gateway, &state, operator, notice).await?)
}

async fn messages(
    State(gateway): GatewayState,
    Extension(state): SharedState,
    operator: Operator,
    uri: Uri,
) -> PageResult {
    let query = uri.query().unwrap_or_default();
    Ok(delivery_list::delivery_list_page(&gateway, &state, operator, query).await?)
}

async fn events(
    State(gateway): GatewayState,
    Extension(state): SharedState,
    headers: HeaderMap,
) -> Response<Body> {
    match auth::authorize_operator(&gateway, &headers) {
        Ok(_) => live_updates::event_stream(&state.live, &gateway, &state.reports, state.stop),
        // No Basic challenge: the request comes from the script, and a password dialogue would be unexpected.
        Err(error) => error.into_response(),
    }
}

async fn confirm_action(
    State(gateway): GatewayState,
    Extension(state): SharedState,
    OperatorForm { operator, form }: OperatorForm,
) -> PageResult {
    Ok(confirm::confirm_page(&gateway, &state, operator, &form).await?)
}

async fn apply_action(
    State(gateway): GatewayState,
    OperatorForm { operator, form }: OperatorForm,
) -> PageResult {
    Ok(actions::apply_action(&gateway, &operator, &form).await?)
}

async fn control_provider(
    State(gateway): GatewayState,
    Extension(state): SharedState,
    Path((provider, action)): Path<(String, String)>,
    OperatorForm { operator, .. }: OperatorForm,
) -> PageResult {
    let page = actions::control_provider(&gateway, &operator, &provider, &action).await;
    state.live.invalidate().await;
    Ok(page?)
}
