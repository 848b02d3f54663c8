//! APIs with the wire of other gateways, for clients that are not changed: Kannel and Jasmin. Each is off by default.
//!
//! Every API answers a success only after `engine::accept` returned `Ok`, when the message is on disk.

mod account;
mod charset;
mod jasmin;
mod kannel;
mod query;
mod refusal;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use sha2::{Digest, Sha256};

use postrider_engine::gateway::Gateway;
use query::LenientFields;

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

/// Returns whether the path is one of an enabled API to which clients send a user and a password.
pub(super) fn takes_credentials(gateway: &Gateway, request: &Request<Body>) -> bool {
    let compat = &gateway.config.compat;
    let path = request.uri().path();
    let is_jasmin = || ["/send", "/rate", "/balance"].contains(&path) || path.starts_with("/secure/");
    (compat.kannel && path == "/cgi-bin/sendsms") || (compat.jasmin && is_jasmin())
}

/// Returns the SHA-256 of the user and the password in the query.
pub(super) fn query_digest(request: &Request<Body>) -> Option<[u8; 32]> {
    let fields = LenientFields::parse(request.uri().query()?.as_bytes());
    let user = fields.bytes(&["username", "user"])?;
    let password = fields.bytes(&["password", "pass"])?;
    let mut hash = Sha256::new();
    hash.update(user.len().to_le_bytes());
    hash.update(user);
    hash.update(password);
    Some(hash.finalize().into())
}
