//! The routes without a listener, for the fuzz targets.

use std::sync::Arc;

use axum::Router;

use postrider_engine::gateway::Gateway;

/// Returns all routes of `serve`. Event streams never end.
pub fn router(gateway: &Arc<Gateway>) -> Router {
    let (_, stop) = tokio::sync::watch::channel(false);
    crate::routes::routes(gateway, &stop)
}
