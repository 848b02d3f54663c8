//! Pages for people; built on another branch.
//!
//! This file only keeps their place.

use std::sync::Arc;

use axum::Router;

use crate::gateway::Gateway;

/// Where the pages are.
pub fn routes() -> Router<Arc<Gateway>> {
    Router::new()
}
