//! HMAC signatures, and the hexadecimal digits they are written in.
//!
//! Signatures are compared in constant time.

use hmac::{KeyInit, Mac};

/// Returns the HMAC of the concatenated parts. None is not expected: HMAC accepts keys of any length.
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

/// Returns the bytes as lower-case hexadecimal digits.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes that hexadecimal digits of either case stand for.
pub(crate) fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |byte: &u8| char::from(*byte).to_digit(16);
    let digits = digits.trim().as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| u8::try_from(value(pair.first()?)? * 16 + value(pair.get(1)?)?).ok();
    digits.chunks(2).map(byte).collect()
}

#[cfg(test)]
mod tests;
