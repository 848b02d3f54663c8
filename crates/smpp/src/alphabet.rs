//! Character encodings of short messages: the GSM 7-bit alphabet, UCS-2 and Latin-1, selected by `data_coding`.
//!
//! The tables of the GSM alphabet are in [`postrider_core::gsm7`]. Splitting into parts is left to
//! [`submit`](crate::submit). encoding_rs is not used: it reads Latin-1 as windows-1252, drops half a UTF-16 unit, and
//! would replace two expressions of the standard library.

use postrider_core::gsm7;
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// `data_coding` of the SMSC default alphabet.
pub const DATA_CODING_DEFAULT: u8 = 0x00;

/// `data_coding` of UCS-2.
pub const DATA_CODING_UCS2: u8 = 0x08;

/// The alphabet that an SMSC uses for `data_coding` 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAlphabet {
    /// GSM 7-bit, as mobile networks use it.
    #[default]
    Gsm,
    /// ISO 8859-1, as some SMSCs use it.
    Latin1,
}

/// Encodes a text as UTF-16, big endian.
pub fn encode_ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Encodes a text as ISO 8859-1; `None` when ISO 8859-1 lacks a character of the text.
pub fn encode_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|character| u8::try_from(character).ok()).collect()
}

/// Decodes the text of a short message by its `data_coding`; `None` when the coding is binary or unknown.
///
/// Message class codings (0x10–0x1B, 0xF0–0xF3) are read like the alphabet they name.
pub fn decode_text(data_coding: u8, octets: &[u8], default: DefaultAlphabet) -> Option<String> {
    Some(match data_coding {
        0x00 | 0x10..=0x13 | 0xF0..=0xF3 if default == DefaultAlphabet::Gsm => gsm7::decode(octets),
        0x00 | 0x01 | 0x03 | 0x10..=0x13 | 0xF0..=0xF3 => {
            octets.iter().map(|octet| char::from(*octet)).collect()
        }
        0x08 | 0x18..=0x1B => decode_ucs2(octets),
        _ => return None,
    })
}

/// Decodes UTF-16, big endian. A missing last octet counts as zero.
fn decode_ucs2(octets: &[u8]) -> String {
    let unit = |pair: &[u8]| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
    String::from_utf16_lossy(&octets.chunks(2).map(unit).collect::<Vec<_>>())
}
