//! Verifies Vonage's signature: a digest with the signature secret over all fields.
//!
//! A signed callback has a time stamp and a nonce. An old callback is rejected, and so is a known nonce with other content.

use hmac::Hmac;
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::settings::SignatureMethod;
use crate::callback::CallbackRequest;
use crate::signing::{decode_hex, is_valid_hmac};
use crate::sms::{CallbackFields, NonceCache};

/// Maximum difference between the callback's time stamp and the gateway's clock, in seconds.
const CLOCK_SKEW_SECONDS_MAX: u64 = 5 * 60;

/// Returns whether the fields are signed, recent, and new or a repetition.
pub(super) fn is_valid(
    secret: &str,
    method: SignatureMethod,
    request: &CallbackRequest,
    fields: &CallbackFields,
    nonces: &NonceCache,
) -> bool {
    let Some(signature) = fields.get("sig").and_then(decode_hex) else {
        return false;
    };
    let text = signed_text(fields);
    if !has_valid_digest(secret.as_bytes(), method, &text, &signature) {
        return false;
    }
    let timestamp = fields.get("timestamp").and_then(|text| text.parse::<i64>().ok());
    let now = request.received_at.timestamp();
    if timestamp.is_none_or(|timestamp| now.abs_diff(timestamp) > CLOCK_SKEW_SECONDS_MAX) {
        return false;
    }
    fields
        .get("nonce")
        .is_none_or(|nonce| nonces.is_new_or_repeated(nonce, text.as_bytes(), request.received_at))
}

/// Returns the fields sorted by name, without the signature; separators in values are replaced.
fn signed_text(fields: &CallbackFields) -> String {
    let mut pairs: Vec<_> = fields.pairs().iter().filter(|(name, _)| name != "sig").collect();
    pairs.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    let mut text = String::new();
    for (name, value) in pairs {
        text.extend(["&", name, "=", &value.replace(['&', '='], "_")]);
    }
    text
}

fn has_valid_digest(secret: &[u8], method: SignatureMethod, text: &str, signature: &[u8]) -> bool {
    let parts = [text.as_bytes()];
    match method {
        SignatureMethod::Md5Hash => {
            let digest = Md5::new().chain_update(text).chain_update(secret).finalize();
            digest.as_slice().ct_eq(signature).into()
        }
        SignatureMethod::Md5 => is_valid_hmac::<Hmac<Md5>>(secret, &parts, signature),
        SignatureMethod::Sha1 => is_valid_hmac::<Hmac<Sha1>>(secret, &parts, signature),
        SignatureMethod::Sha256 => is_valid_hmac::<Hmac<Sha256>>(secret, &parts, signature),
        SignatureMethod::Sha512 => is_valid_hmac::<Hmac<Sha512>>(secret, &parts, signature),
    }
}

#[cfg(test)]
mod tests;
