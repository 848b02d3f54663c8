//! Parses delivery receipts out of `deliver_sm` and `data_sm`.
//!
//! SMSCs deviate from appendix B of SMPP 3.4: keys come in any order and letter case, with repeated blanks, or not at all,
//! in ASCII or in UCS-2. Optional parameters take precedence over the text. The message text that some SMSCs repeat in a
//! receipt is dropped. The effect of a state on a message is not decided here.

mod fields;
mod states;

use crate::alphabet::decode_ucs2;
use crate::message_id::MessageIdFormat;
use crate::pdu::ShortMessage;
use fields::{ReceiptFields, parse_fields};
pub use states::{StateMeaning, state_meaning};

#[cfg(test)]
mod tests;

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

/// A parsed delivery receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryReceipt {
    /// Normalised message id.
    pub message_id: String,
    /// Message id as the SMSC wrote it.
    pub written_id: String,
    /// Message state in upper case, such as `DELIVRD`; empty in an intermediate notification without one.
    pub state: String,
    /// Network error as the SMSC wrote it; empty when the receipt has none.
    pub error: String,
    /// Intermediate notification, which never reports a final state.
    pub is_intermediate: bool,
    /// True if the message type is a text from a phone, so that any phone can have written it. It counts as a receipt
    /// only if its source address is the recipient of the message that it names.
    pub is_text: bool,
}

/// Result of [`classify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShortMessageKind {
    /// A delivery receipt.
    Receipt(DeliveryReceipt),
    /// A text that a phone sent.
    Text,
    /// A receipt without a valid message id or without a state.
    UnreadableReceipt,
}

/// Returns whether a message is a receipt or a text, and the parsed receipt.
///
/// The message type of `esm_class` decides. Some SMSCs send receipts with another type. Such a message is a receipt if
/// it has the id as a parameter, or an id and a state in its text.
pub fn classify(message: &ShortMessage, format: MessageIdFormat) -> ShortMessageKind {
    let message_type = message.esm_class & ESM_CLASS_TYPE_MASK;
    let is_intermediate = message_type == ESM_CLASS_INTERMEDIATE;
    let has_receipt_type = is_intermediate || message_type == ESM_CLASS_RECEIPT;
    let receipt_fields = find_fields(message);
    let has_receipt_fields = receipt_fields.id.is_some() && receipt_fields.state.is_some();
    // A phone cannot add parameters.
    let parameter_id = message.receipted_message_id.filter(|id| !id.is_empty());
    if !has_receipt_type && parameter_id.is_none() && !has_receipt_fields {
        return ShortMessageKind::Text;
    }
    let receipt_state = message_state(message, &receipt_fields);
    let written_id = parameter_id.or(receipt_fields.id.as_deref().map(str::as_bytes));
    let message_id = written_id.and_then(|id| format.normalize_receipted(id));
    let (Some(message_id), Some(written_id)) = (message_id, written_id) else {
        return ShortMessageKind::UnreadableReceipt;
    };
    if receipt_state.is_empty() && !is_intermediate {
        return ShortMessageKind::UnreadableReceipt;
    }
    ShortMessageKind::Receipt(DeliveryReceipt {
        message_id,
        written_id: String::from_utf8_lossy(written_id).into_owned(),
        state: receipt_state,
        error: message
            .network_error_code
            .map_or(receipt_fields.error.unwrap_or_default(), format_network_error),
        is_intermediate,
        is_text: !has_receipt_type && parameter_id.is_none(),
    })
}

/// Returns the text of a receipt for an operator on one line, without the text of the message and with `*` for each
/// digit.
pub fn describe_receipt(message: &ShortMessage) -> String {
    const DESCRIBED_CHARS_MAX: usize = 160;
    let receipt_octets = message.short_message;
    let is_ucs2 = receipt_octets.iter().filter(|octet| **octet == 0).count() * 3 > receipt_octets.len();
    let receipt_text = if is_ucs2 { decode_ucs2(receipt_octets) } else { decode_octets(receipt_octets) };
    let end = receipt_text.to_ascii_lowercase().find("text:").unwrap_or(receipt_text.len());
    let mask = |character: char| match character {
        digit if digit.is_numeric() => '*',
        control if control.is_control() => ' ',
        other => other,
    };
    receipt_text.get(..end).unwrap_or_default().chars().take(DESCRIBED_CHARS_MAX).map(mask).collect()
}

/// Reads the text with and without a user data header, in ASCII and in UCS-2, and returns the fields of the reading
/// with the most fields. SMSCs set the header bit and `data_coding` of receipts wrongly.
fn find_fields(message: &ShortMessage) -> ReceiptFields {
    let readings = [message.short_message, message.text_octets()]
        .into_iter()
        .flat_map(|octets| [decode_octets(octets), decode_ucs2(octets)]);
    let field_count = |receipt_fields: &ReceiptFields| {
        usize::from(receipt_fields.id.is_some()) + usize::from(receipt_fields.state.is_some())
    };
    let mut best_fields = ReceiptFields::default();
    for receipt_fields in readings.map(|text| parse_fields(&text)) {
        if field_count(&receipt_fields) > field_count(&best_fields) {
            best_fields = receipt_fields;
        }
        if field_count(&best_fields) == 2 {
            break;
        }
    }
    best_fields
}

/// Decodes UTF-8; if that fails, Latin-1. An id in a receipt is thus decoded like the id in its `submit_sm_resp`.
fn decode_octets(octets: &[u8]) -> String {
    std::str::from_utf8(octets)
        .map_or_else(|_| octets.iter().map(|octet| char::from(*octet)).collect(), str::to_owned)
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

/// Returns the state of the optional parameter; without one, that of the text. If the parameter is `UNKNOWN`, the text
/// takes precedence.
fn message_state(message: &ShortMessage, fields: &ReceiptFields) -> String {
    let text_state = fields.state.clone().unwrap_or_default();
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
fn format_network_error(error_octets: [u8; 3]) -> String {
    match std::str::from_utf8(&error_octets) {
        Ok(digits) if error_octets[0].is_ascii_digit() => digits.to_owned(),
        _ => u16::from_be_bytes([error_octets[1], error_octets[2]]).to_string(),
    }
}
