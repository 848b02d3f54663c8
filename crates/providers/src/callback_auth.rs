//! Authenticates callbacks by a token in their URL, for providers that sign nothing.
//!
//! Comparisons take constant time. Signatures are verified by the adapters of the providers that sign.

use subtle::ConstantTimeEq;

use postrider_core::error::{Error, Result};

use crate::callback::CallbackRequest;

/// Minimum length of a token, in bytes: a shorter one could be guessed.
const TOKEN_BYTES_MIN: usize = 16;

/// Checks the configured token of callbacks.
pub(crate) fn validate_receipts_token(token: Option<&str>) -> Result<()> {
    match token {
        Some(token) if token.len() < TOKEN_BYTES_MIN => Err(Error::usage(format!(
            "receipts_token: is too short; write at least {TOKEN_BYTES_MIN} random characters"
        ))),
        Some(_) | None => Ok(()),
    }
}

/// Returns whether the query has the configured token. Compares in constant time.
pub(crate) fn has_valid_token(request: &CallbackRequest, token: &str) -> bool {
    request.query_field("token").is_some_and(|presented| is_equal_secret(&presented, token))
}

/// Compares two secrets in constant time.
pub(crate) fn is_equal_secret(presented: &str, secret: &str) -> bool {
    presented.as_bytes().ct_eq(secret.as_bytes()).into()
}
