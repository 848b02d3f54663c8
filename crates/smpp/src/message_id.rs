//! Normalises message ids, so that the id of a `submit_sm_resp` equals the id in its receipt.
//!
//! The two may differ in letter case and leading zeros, and some SMSCs write one in hexadecimal and the other in
//! decimal. The format is never guessed; it is configured for each SMSC.

use std::borrow::Cow;

use serde::Deserialize;

#[cfg(test)]
mod tests;

/// Maximum length of a message id, in bytes. The specification allows 65 octets with the terminating zero, and SMSCs exceed
/// it.
const MESSAGE_ID_BYTES_MAX: usize = 255;

/// Number formats of message ids in `submit_sm_resp` and in receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MessageIdFormat {
    /// The same format in both, apart from letter case and leading zeros.
    #[default]
    Same,
    /// Hexadecimal in `submit_sm_resp`, decimal in receipts.
    HexThenDecimal,
    /// Decimal in `submit_sm_resp`, hexadecimal in receipts.
    DecimalThenHex,
}

impl MessageIdFormat {
    /// All formats.
    pub const ALL: [Self; 3] = [Self::Same, Self::HexThenDecimal, Self::DecimalThenHex];

    /// Returns the name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::HexThenDecimal => "hex_then_decimal",
            Self::DecimalThenHex => "decimal_then_hex",
        }
    }

    /// Normalises an id from `submit_sm_resp`; `None` when it is not a valid id.
    pub fn normalize_submitted(self, text: &[u8]) -> Option<String> {
        normalize(text).map(|id| if self == Self::HexThenDecimal { hex_to_decimal(id) } else { id })
    }

    /// Normalises an id from a receipt; `None` when it is not a valid id.
    pub fn normalize_receipted(self, text: &[u8]) -> Option<String> {
        normalize(text).map(|id| if self == Self::DecimalThenHex { hex_to_decimal(id) } else { id })
    }
}

/// Returns the id in lower case and without leading zeros.
fn normalize(id_text: &[u8]) -> Option<String> {
    let id_text = decode_id(id_text);
    let id_text = id_text.trim();
    let is_valid = (1..=MESSAGE_ID_BYTES_MAX).contains(&id_text.len()) && !id_text.contains(char::is_control);
    let stripped = id_text.trim_start_matches('0');
    is_valid.then(|| if stripped.is_empty() { "0" } else { stripped }.to_ascii_lowercase())
}

/// Decodes an id as UTF-8, or else as Latin-1, so that every id can be matched.
fn decode_id(octets: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(octets)
        .map_or_else(|_| octets.iter().map(|octet| char::from(*octet)).collect(), Cow::Borrowed)
}

/// Returns a hexadecimal id in decimal. An id that is not hexadecimal stays unchanged.
fn hex_to_decimal(id: String) -> String {
    let digits = id.strip_prefix('x').unwrap_or(&id);
    u128::from_str_radix(digits, 16).map_or(id, |number| number.to_string())
}
