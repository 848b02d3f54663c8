//! Where the next page of a list begins, in words that mean nothing to clients.
//!
//! A cursor stays good while messages come in. One that was not made here is none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// The page of what is older than the message with this running number.
pub(super) fn encode(before: i64) -> String {
    URL_SAFE_NO_PAD.encode(before.to_be_bytes())
}

/// Back from a cursor.
pub(super) fn decode(cursor: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    bytes.try_into().ok().map(i64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back() {
        for before in [1, 77, i64::MAX] {
            assert_eq!(decode(&encode(before)), Some(before));
        }
        for garbage in ["", "x", "AAAA", "!!!!!!!!!!!"] {
            assert_eq!(decode(garbage), None, "{garbage}");
        }
    }
}
