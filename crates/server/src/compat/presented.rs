//! Credentials that a request to a compatible API presents, for the guard that slows down guesses.

use axum::body::Body;
use axum::http::Request;
use sha2::{Digest, Sha256};

use super::query::LenientFields;
use postrider_engine::gateway::Gateway;

/// Returns whether the path is one of an enabled API to which clients send a user and a password.
pub(crate) fn takes_credentials(gateway: &Gateway, request: &Request<Body>) -> bool {
    let compat = &gateway.config.compat;
    let path = request.uri().path();
    let is_jasmin = || ["/send", "/rate", "/balance"].contains(&path) || path.starts_with("/secure/");
    let is_vonage = || ["/sms/json", "/account/get-balance"].contains(&path);
    (compat.vonage && is_vonage())
        || (compat.kannel && path == "/cgi-bin/sendsms")
        || (compat.jasmin && is_jasmin())
}

/// Returns the SHA-256 of the user and the password in the query.
pub(crate) fn query_digest(request: &Request<Body>) -> Option<[u8; 32]> {
    let fields = LenientFields::parse(request.uri().query()?.as_bytes());
    let user = fields.bytes(&["username", "user", "api_key"])?;
    let password = fields.bytes(&["password", "pass", "api_secret"])?;
    let mut hash = Sha256::new();
    hash.update(user.len().to_le_bytes());
    hash.update(user);
    hash.update(password);
    Some(hash.finalize().into())
}
