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
    callback_fields: &CallbackFields,
    nonces: &NonceCache,
) -> bool {
    let Some(signature) = callback_fields.get("sig").and_then(decode_hex) else {
        return false;
    };
    let signed_text = signed_text(callback_fields);
    if !has_valid_digest(secret.as_bytes(), method, &signed_text, &signature) {
        return false;
    }
    let timestamp = callback_fields.get("timestamp").and_then(|seconds| seconds.parse::<i64>().ok());
    let now = request.received_at;
    if timestamp.is_none_or(|seconds| now.timestamp().abs_diff(seconds) > CLOCK_SKEW_SECONDS_MAX) {
        return false;
    }
    let nonce = callback_fields.get("nonce");
    nonce.is_none_or(|nonce| nonces.is_new_or_repeated(nonce, signed_text.as_bytes(), now))
}

/// Returns the fields sorted by name, without the signature; separators in values are replaced.
fn signed_text(fields: &CallbackFields) -> String {
    let mut pairs: Vec<_> = fields.pairs().iter().filter(|(name, _)| name != "sig").collect();
    pairs.sort_by(|left, right| left.0.cmp(&right.0));
    pairs.iter().map(|(name, value)| format!("&{name}={}", value.replace(['&', '='], "_"))).collect()
}

fn has_valid_digest(secret: &[u8], method: SignatureMethod, signed_text: &str, signature: &[u8]) -> bool {
    let signed_parts = [signed_text.as_bytes()];
    match method {
        SignatureMethod::Md5Hash => {
            let digest = Md5::new().chain_update(signed_text).chain_update(secret).finalize();
            digest.as_slice().ct_eq(signature).into()
        }
        SignatureMethod::Md5 => is_valid_hmac::<Hmac<Md5>>(secret, &signed_parts, signature),
        SignatureMethod::Sha1 => is_valid_hmac::<Hmac<Sha1>>(secret, &signed_parts, signature),
        SignatureMethod::Sha256 => is_valid_hmac::<Hmac<Sha256>>(secret, &signed_parts, signature),
        SignatureMethod::Sha512 => is_valid_hmac::<Hmac<Sha512>>(secret, &signed_parts, signature),
    }
}

#[cfg(test)]
mod tests;
