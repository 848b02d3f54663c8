//! Verifies Plivo's signature: HMAC-SHA256 with the auth token over the URL without its query, and a nonce.
//!
//! The signature does not cover the body, so a nonce that comes with other content than before is rejected.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Hmac;
use sha2::Sha256;

use crate::callback::CallbackRequest;
use crate::signing::is_valid_hmac;
use crate::sms::NonceCache;

/// Headers with signatures: by the token of the sending account, and by the token of the main account.
const SIGNATURE_HEADERS: [&str; 2] = ["x-plivo-signature-v2", "x-plivo-signature-ma-v2"];

/// Returns whether any signature of the callback is valid, and its nonce is new or repeats the same content.
pub(super) fn is_valid(auth_token: &str, request: &CallbackRequest, nonces: &NonceCache) -> bool {
    let Some(nonce) = request.headers.get("x-plivo-signature-v2-nonce") else {
        return false;
    };
    let url_without_query = request.url.split(['?', '#']).next().unwrap_or_default();
    let signed_parts = [url_without_query.as_bytes(), nonce.as_bytes()];
    let is_signed = SIGNATURE_HEADERS
        .iter()
        .filter_map(|header| request.headers.get(*header))
        .flat_map(|value| value.split(','))
        .filter_map(|signature| BASE64.decode(signature.trim()).ok())
        .any(|signature| is_valid_hmac::<Hmac<Sha256>>(auth_token.as_bytes(), &signed_parts, &signature));
    let content = || [request.query.as_bytes(), b"\n", &request.body].concat();
    is_signed && nonces.is_new_or_repeated(nonce, &content(), request.received_at)
}

#[cfg(test)]
mod tests;
