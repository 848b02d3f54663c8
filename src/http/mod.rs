//! The public door: one route table, one file per face, each with its own envelope and status codes.
//!
//! `GET /sms/send` is the hot path: it passes no layer but the one that catches panics. Faces parse and answer;
//! what is done with a message is decided in `flow`.

mod auth;
mod body;
mod connection;
mod cursor;
mod describe;
mod form;
mod health;
mod inbox;
mod listen;
mod native;
pub mod pages;
mod problem;
mod refusal;
mod simple;
mod texting;
pub mod usage;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::http::HeaderName;
use axum::middleware::from_fn_with_state;
use tower_http::compression::CompressionLayer;

use crate::config::Scope;
use crate::gateway::Gateway;

pub use listen::{serve, serve_machines};

/// The header that ties an answer to its line in the log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Every path and who answers it. Pages are compressed and need a key to read; all other faces see to their
/// keys themselves.
fn routes(gateway: &Arc<Gateway>) -> Router {
    let readers = from_fn_with_state((Arc::clone(gateway), Scope::Read), auth::require);
    let pages = pages::routes()
        .method_not_allowed_fallback(problem::wrong_method)
        .route_layer(readers)
        .layer(CompressionLayer::new());
    Router::new()
        .merge(simple::routes())
        .merge(texting::routes())
        .merge(inbox::routes())
        .merge(native::routes(gateway))
        .merge(health::routes(gateway))
        .merge(describe::routes())
        .merge(pages)
        .fallback(problem::unknown_path)
        .with_state(Arc::clone(gateway))
}

/// What machines ask, and nothing else: for a process that takes no messages.
fn machine_routes(gateway: &Arc<Gateway>) -> Router {
    Router::new()
        .merge(health::routes(gateway))
        .fallback(problem::unknown_path)
        .with_state(Arc::clone(gateway))
}
