//! The operator's pages: current state, deliveries by search, and the manual actions.
//!
//! They need the scope `admin`. Every change is a form with a token of this operator; a change of deliveries is confirmed
//! first. Every page reads a bounded number of rows.

mod actions;
mod confirm;
mod delivery_list;
mod delivery_row;
mod inbound_list;
mod live_updates;
mod notice;
mod operator;
mod overview;
mod search_query;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::routing::{get, post};
use axum::{Extension, Router};

use self::live_updates::LiveUpdates;
use super::report_cache::ReportCache;
use postrider_engine::gateway::Gateway;
use postrider_engine::stop::StopSignal;

/// Returns the routes of `/operate` and below.
pub(crate) fn routes(report_cache: &Arc<ReportCache>, stop: &StopSignal) -> Router<Arc<Gateway>> {
    Router::new()
        .route("/operate", get(overview::overview_page))
        .route("/operate/messages", get(delivery_list::delivery_list_page))
        .route("/operate/inbound", get(inbound_list::inbound_list_page))
        .route("/operate/events", get(live_updates::event_stream))
        .route("/operate/confirm", post(confirm::confirm_page))
        .route("/operate/apply", post(actions::apply_action))
        .route("/operate/providers/{provider}/{action}", post(actions::control_provider))
        .layer(Extension(Arc::clone(report_cache)))
        .layer(Extension(Arc::new(LiveUpdates::default())))
        .layer(Extension(stop.clone()))
}
