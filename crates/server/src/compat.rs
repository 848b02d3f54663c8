//! APIs with the wire of other gateways, for clients that are not changed: Kannel and Jasmin. Each is off by default.
//!
//! Every API answers a success only after `engine::accept` returned `Ok`, when the message is on disk.

mod account;
mod charset;
mod jasmin;
mod kannel;
pub(super) mod presented;
mod query;
mod refusal;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;

use postrider_engine::gateway::Gateway;

/// Returns the routes of the enabled APIs.
pub(super) fn routes(gateway: &Gateway) -> Router<Arc<Gateway>> {
    let compat = &gateway.config.compat;
    let mut router = Router::new();
    if compat.kannel {
        router = router.merge(kannel::routes());
    }
    if compat.jasmin {
        router = router.merge(jasmin::routes());
    }
    router
}
