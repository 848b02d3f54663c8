//! HMAC signatures, and signatures in hexadecimal digits.
//!
//! Signatures are compared in constant time.

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{KeyInit, Mac};

/// Returns the HMAC of the concatenated parts. Never returns None: HMAC accepts keys of every length.
pub(crate) fn hmac_digest<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<Vec<u8>> {
    Some(authenticate::<M>(key, parts)?.finalize().into_bytes().to_vec())
}

/// Returns whether `signature` is the HMAC of the concatenated parts. Compares in constant time.
pub(crate) fn is_valid_hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]], signature: &[u8]) -> bool {
    authenticate::<M>(key, parts).is_some_and(|mac| mac.verify_slice(signature).is_ok())
}

fn authenticate<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Option<M> {
    let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
    for part in parts {
        mac.update(part);
    }
    Some(mac)
}

/// Encodes bytes as lower-case hexadecimal digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Decodes hexadecimal digits of either case.
pub(crate) fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(digits.trim().as_bytes()).ok()
}

#[cfg(test)]
mod tests;
