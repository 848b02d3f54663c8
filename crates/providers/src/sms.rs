//! Mechanics of the adapters for SMS providers with an HTTP API: calls, phone numbers, callbacks, opt-outs.
//!
//! Contains nothing about single providers: each adapter has its own requests and code tables.

mod api;
mod callback_fields;
mod callback_url;
mod nonce_cache;
mod opt_out_notices;

use postrider_core::clock::Timestamp;
use postrider_core::inbound::{CallbackItem, OptOutNotice};
use postrider_core::receipt::{Receipt, ReceiptStatus};

use crate::outcome_code::OutcomeCode;
use crate::provider::OutboundMessage;
pub(crate) use api::SmsApi;
pub(crate) use callback_fields::CallbackFields;
pub(crate) use callback_url::{callback_url, is_publicly_reachable};
pub(crate) use nonce_cache::NonceCache;
pub(crate) use opt_out_notices::OptOutNotices;

/// Returns an E.164 number without its `+`.
pub(crate) fn without_plus(number: &str) -> &str {
    number.strip_prefix('+').unwrap_or(number)
}

/// Returns an international number of 7 to 15 digits with a `+`. Sender names and short codes are returned unchanged.
pub(crate) fn with_plus(phone_number: &str) -> String {
    let phone_number = phone_number.trim();
    let is_international =
        (7..=15).contains(&phone_number.len()) && phone_number.bytes().all(|byte| byte.is_ascii_digit());
    if is_international { format!("+{phone_number}") } else { phone_number.to_owned() }
}

/// Returns the notice that a recipient has opted out at the provider. The notice contains the provider's code.
pub(crate) fn opt_out_notice(number: &str, code_line: &OutcomeCode, at: Timestamp) -> CallbackItem {
    CallbackItem::OptedOut(OptOutNotice {
        address: with_plus(number),
        reason: format!("{} ({})", code_line.description, code_line.code),
        at,
    })
}

/// Returns the receipt with this status, if there is one.
pub(crate) fn receipt_item(
    reference: String,
    status: Option<ReceiptStatus>,
    at: Timestamp,
) -> Option<CallbackItem> {
    status.map(|status| CallbackItem::Receipt(Receipt { reference, status, at }))
}

/// Returns the validity to request from the provider, in seconds, at least `min_seconds`. None if the remaining validity
/// is `max_seconds` or longer: the provider then applies its own default.
pub(crate) fn validity_seconds(
    message: &OutboundMessage,
    now: Timestamp,
    min_seconds: i64,
    max_seconds: i64,
) -> Option<i64> {
    let remaining = (message.expires_at - now).num_seconds();
    (remaining < max_seconds).then_some(remaining.max(min_seconds))
}

#[cfg(test)]
mod tests;
