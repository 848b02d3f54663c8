//! APIs with the wire of other gateways, for clients that are not changed: Kannel, Jasmin, Twilio and
//! Vonage. Each is off by default.
//!
//! Every API answers a success only after `engine::accept` returned `Ok`, when the message is on disk.

mod account;
mod charset;
mod jasmin;
mod kannel;
pub(super) mod presented;
mod query;
mod refusal;
mod twilio;
mod vonage;

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
    if compat.twilio {
        router = router.merge(twilio::routes());
    }
    if compat.vonage {
        router = router.merge(vonage::routes());
    }
    router
}
