//! Parses delivery receipts out of `deliver_sm` and `data_sm`.
//!
//! SMSCs deviate from appendix B of SMPP 3.4: keys come in any order and letter case, with repeated blanks, or not at all.
//! Optional parameters take precedence over the text. The message text that some SMSCs repeat in a receipt is dropped.
//! The effect of a state on a message is not decided here.

use crate::message_id::MessageIdFormat;
use crate::pdu::ShortMessage;

#[cfg(test)]
mod tests;

/// Keys of a receipt text, the two-word keys first because `date:` alone is not one.
const RECEIPT_KEYS: [&str; 8] =
    ["submit date:", "done date:", "id:", "sub:", "dlvrd:", "stat:", "err:", "text:"];

/// Names of the `message_state` values 0 to 9, as receipt texts write them.
const MESSAGE_STATES: [&str; 10] = [
    "SCHEDLD", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD",
    "SKIPPED",
];

/// Bits of `esm_class` that hold the message type.
const ESM_CLASS_TYPE_MASK: u8 = 0x3C;

/// Message type: delivery receipt.
const ESM_CLASS_RECEIPT: u8 = 0x04;

/// Message type: intermediate notification.
const ESM_CLASS_INTERMEDIATE: u8 = 0x20;

/// Message type: short message from a phone.
const ESM_CLASS_DEFAULT: u8 = 0x00;

/// A parsed delivery receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// Normalised message id.
    pub message_id: String,
    /// Message state in upper case, such as `DELIVRD`; empty when the receipt has none.
    pub state: String,
    /// Network error as the SMSC wrote it; empty when the receipt has none.
    pub error: String,
    /// Intermediate notification, which never reports a final state.
    pub is_intermediate: bool,
}

/// Result of [`classify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortMessageKind {
    /// A delivery receipt.
    Receipt(DeliveryReceipt),
    /// A text that a phone sent.
    Text,
    /// Neither, or a receipt without a valid message id.
    Other,
}

/// The fields of a receipt text that are used.
#[derive(Debug, Default, PartialEq, Eq)]
struct ReceiptFields<'a> {
    id: Option<&'a str>,
    stat: Option<&'a str>,
    err: Option<&'a str>,
}

/// Returns whether a message is a receipt or a text, and the parsed receipt.
pub fn classify(message: &ShortMessage, format: MessageIdFormat) -> ShortMessageKind {
    let message_type = message.esm_class & ESM_CLASS_TYPE_MASK;
    let receipt_text = String::from_utf8_lossy(message.short_message);
    let fields = parse_fields(&receipt_text);
    let has_receipt_fields = fields.id.is_some() && fields.stat.is_some();
    if message_type == ESM_CLASS_DEFAULT && message.receipted_message_id.is_none() && !has_receipt_fields {
        return ShortMessageKind::Text;
    }
    if ![ESM_CLASS_DEFAULT, ESM_CLASS_RECEIPT, ESM_CLASS_INTERMEDIATE].contains(&message_type) {
        return ShortMessageKind::Other;
    }
    let parameter_id = message.receipted_message_id.filter(|id| !id.is_empty());
    let receipted_id = parameter_id.or(fields.id.map(str::as_bytes));
    let Some(message_id) = receipted_id.and_then(|id| format.normalize_receipted(id)) else {
        return ShortMessageKind::Other;
    };
    let text_error = || fields.err.unwrap_or_default().to_owned();
    ShortMessageKind::Receipt(DeliveryReceipt {
        message_id,
        state: message_state(message, &fields),
        error: message.network_error_code.map_or_else(text_error, format_network_error),
        is_intermediate: message_type == ESM_CLASS_INTERMEDIATE,
    })
}

/// Returns a network error code in lower case and without leading zeros, so that `001` equals `1` and `0A` equals `a`.
pub fn normalize_error(error: &str) -> String {
    let error = error.trim();
    let stripped = error.trim_start_matches('0');
    if stripped.is_empty() && !error.is_empty() {
        return "0".to_owned();
    }
    stripped.to_ascii_lowercase()
}

/// Returns the state of the optional parameter, else that of the text. The text wins over a parameter `UNKNOWN`.
fn message_state(message: &ShortMessage, fields: &ReceiptFields) -> String {
    let text_state = fields.stat.unwrap_or_default().to_ascii_uppercase();
    let parameter_state = message.message_state.and_then(state_name);
    match parameter_state.filter(|state| *state != "UNKNOWN" || text_state.is_empty()) {
        Some(state) => state.to_owned(),
        None => text_state,
    }
}

/// Returns the name of a `message_state` value.
fn state_name(message_state: u8) -> Option<&'static str> {
    MESSAGE_STATES.get(usize::from(message_state)).copied()
}

/// Formats a `network_error_code`: one octet for the network and a number, or three digits as some SMSCs write it.
fn format_network_error(octets: [u8; 3]) -> String {
    match std::str::from_utf8(&octets) {
        Ok(digits) if octets[0].is_ascii_digit() => digits.to_owned(),
        _ => u16::from_be_bytes([octets[1], octets[2]]).to_string(),
    }
}

/// Parses the fields of a receipt text. `text:` ends the search, because anything may follow it.
fn parse_fields(text: &str) -> ReceiptFields<'_> {
    let keys = find_keys(text);
    let find_value = |wanted_key: &str| {
        let index = keys.iter().position(|(_, key)| *key == wanted_key)?;
        let (key_start, key) = keys[index];
        let value_end = keys.get(index + 1).map_or(text.len(), |(next_key_start, _)| *next_key_start);
        // A value has no blanks: a second word belongs to an unknown key.
        text.get(key_start + key.len()..value_end)?.split_whitespace().next()
    };
    ReceiptFields { id: find_value("id:"), stat: find_value("stat:"), err: find_value("err:") }
}

/// Returns the byte offset of each key in the order of the text.
fn find_keys(text: &str) -> Vec<(usize, &'static str)> {
    let lower = text.to_ascii_lowercase();
    let mut key_offsets = Vec::new();
    let mut at = 0;
    while at < lower.len() {
        let starts_word = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        let rest = lower.get(at..).filter(|_| starts_word).unwrap_or_default();
        let Some(key) = RECEIPT_KEYS.into_iter().find(|key| rest.starts_with(key)) else {
            at += 1;
            continue;
        };
        key_offsets.push((at, key));
        if key == "text:" {
            break;
        }
        at += key.len();
    }
    key_offsets
}
