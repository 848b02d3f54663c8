//! Paging of lists: opaque cursors and page limits.
//!
//! A cursor names the page below a message number or the id of an inbound message, and stays valid while messages are
//! added.

#[cfg(test)]
mod tests;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use postrider_core::id::MessageId;

/// The error for an invalid parameter `cursor`.
const INVALID_CURSOR: &str = "must be the \"next_cursor\" of the previous page, unchanged";

/// Messages on a page if `limit` is not given.
pub(super) const PAGE_LIMIT_DEFAULT: usize = 50;

/// Encodes the cursor of the page that begins below this message number.
pub(super) fn encode(before: i64) -> String {
    URL_SAFE_NO_PAD.encode(before.to_be_bytes())
}

/// Parses the parameter `cursor`; the error says what is valid.
pub(super) fn parse(value: &str) -> Result<i64, &'static str> {
    decode(value).ok_or(INVALID_CURSOR)
}

/// Encodes the cursor of the page that begins below this inbound message.
pub(super) fn encode_id(before: MessageId) -> String {
    URL_SAFE_NO_PAD.encode(before.bytes())
}

/// Parses a cursor of inbound messages; the error says what is valid.
pub(super) fn parse_id(value: &str) -> Result<MessageId, &'static str> {
    let bytes = URL_SAFE_NO_PAD.decode(value).ok().and_then(|bytes| bytes.try_into().ok());
    bytes.map(MessageId::from_bytes).ok_or(INVALID_CURSOR)
}

/// Parses the parameter `limit`; the error says what is valid.
pub(super) fn parse_limit(value: &str, limit_max: usize) -> Result<usize, String> {
    let limit = value.parse().ok().filter(|limit| (1..=limit_max).contains(limit));
    limit.ok_or_else(|| format!("must be a number from 1 to {limit_max}"))
}

fn decode(cursor: &str) -> Option<i64> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    bytes.try_into().ok().map(i64::from_be_bytes)
}
