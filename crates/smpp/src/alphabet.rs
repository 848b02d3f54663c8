//! Character encodings of short messages: the GSM 7-bit alphabet, UCS-2 and Latin-1, selected by `data_coding`.
//!
//! The tables of the GSM alphabet are in [`postrider_core::gsm7`]. Splitting into parts is left to
//! [`submit`](crate::submit). The crate `encoding_rs` is not used: it reads Latin-1 as windows-1252, drops an
//! incomplete UTF-16 unit, and would replace only two expressions of the standard library.

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

/// The encoding that a `data_coding` names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    /// The default alphabet of the SMSC.
    Default,
    Latin1,
    /// ISO 8859-5.
    Cyrillic,
    /// ISO 8859-8.
    Hebrew,
    Ucs2,
    /// UCS-2 of a message waiting indication, in which SMSCs also send plain ASCII.
    IndicationUcs2,
    /// 8-bit data, or a character set that is not decoded. It is read only if it is plain text.
    EightBit,
}

/// Returns the encoding of a `data_coding` value: SMPP 3.4 up to 0x0F, the groups of 3GPP TS 23.038 above. Reserved
/// groups mean the default alphabet, as that standard requires. Compressed text is read only if it is plain text.
fn encoding_of(data_coding: u8) -> Encoding {
    match data_coding {
        0x01 | 0x03 => Encoding::Latin1,
        0x06 => Encoding::Cyrillic,
        0x07 => Encoding::Hebrew,
        0x08 => Encoding::Ucs2,
        0x02 | 0x04..=0x0F | 0x20..=0x3F | 0x60..=0x7F => Encoding::EightBit,
        0x10..=0x1F | 0x40..=0x5F => match data_coding >> 2 & 0x03 {
            1 => Encoding::EightBit,
            2 => Encoding::Ucs2,
            _ => Encoding::Default,
        },
        0xE0..=0xEF => Encoding::IndicationUcs2,
        0xF4..=0xF7 | 0xFC..=0xFF => Encoding::EightBit,
        0x00 | 0x80..=0xDF | 0xF0..=0xF3 | 0xF8..=0xFB => Encoding::Default,
    }
}

/// Decodes the text of a short message by its `data_coding`; `None` when it is binary.
///
/// A byte-order mark takes precedence over `data_coding`. The text ends at the first NUL; in the GSM alphabet, where NUL
/// is `@`, only trailing NULs are removed.
pub fn decode_text(data_coding: u8, text_octets: &[u8], default: DefaultAlphabet) -> Option<String> {
    let encoding = encoding_of(data_coding);
    if has_ucs2_mark(text_octets) {
        return Some(decode_ucs2(text_octets));
    }
    if let Some(marked) = text_octets.strip_prefix(&UTF8_MARK)
        && let Some(plain_text) = decode_plain(marked)
    {
        return Some(plain_text);
    }
    Some(match encoding {
        Encoding::Default if default == DefaultAlphabet::Gsm => {
            let end = text_octets.iter().rposition(|octet| *octet != 0).map_or(0, |last| last + 1);
            gsm7::decode(&text_octets[..end])
        }
        Encoding::Default | Encoding::Latin1 => decode_octets(text_octets, u32::from),
        Encoding::Cyrillic => decode_octets(text_octets, cyrillic_code_point),
        Encoding::Hebrew => decode_octets(text_octets, hebrew_code_point),
        Encoding::IndicationUcs2 => match decode_plain(text_octets) {
            // The whole text is ASCII, apart from NULs at its end.
            Some(plain_text)
                if plain_text.is_ascii()
                    && !plain_text.is_empty()
                    && text_octets[plain_text.len()..].iter().all(|octet| *octet == 0) =>
            {
                plain_text
            }
            _ => decode_ucs2(text_octets),
        },
        Encoding::Ucs2 => decode_ucs2(text_octets),
        Encoding::EightBit if text_octets.chunks(2).all(|pair| pair[0] == 0) => decode_ucs2(text_octets),
        Encoding::EightBit => return decode_plain(text_octets),
    })
}

/// Joins the parts of one text. UCS-2 parts may each begin with a byte-order mark, which is removed.
pub fn join_parts(data_coding: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let is_ucs2 = matches!(encoding_of(data_coding), Encoding::Ucs2 | Encoding::IndicationUcs2);
    let join_part = |part: &Vec<u8>| {
        if is_ucs2 && has_ucs2_mark(part) { encode_units(&ucs2_units(part)) } else { part.clone() }
    };
    parts.iter().flat_map(join_part).collect()
}

/// Byte-order marks of UTF-16, big and little endian, and of UTF-8.
const BIG_ENDIAN_MARK: [u8; 2] = [0xFE, 0xFF];
const LITTLE_ENDIAN_MARK: [u8; 2] = [0xFF, 0xFE];
const UTF8_MARK: [u8; 3] = [0xEF, 0xBB, 0xBF];

fn has_ucs2_mark(octets: &[u8]) -> bool {
    octets.starts_with(&BIG_ENDIAN_MARK) || octets.starts_with(&LITTLE_ENDIAN_MARK)
}

/// Decodes UTF-16, big endian unless a byte-order mark says otherwise. A missing last octet counts as zero.
pub fn decode_ucs2(octets: &[u8]) -> String {
    let units = ucs2_units(octets);
    let end = units.iter().position(|unit| *unit == 0).unwrap_or(units.len());
    String::from_utf16_lossy(&units[..end])
}

/// Returns the UTF-16 units without a byte-order mark.
fn ucs2_units(ucs2_octets: &[u8]) -> Vec<u16> {
    let pair_of = |pair: &[u8]| [pair[0], pair.get(1).copied().unwrap_or(0)];
    if let Some(unmarked_octets) = ucs2_octets.strip_prefix(&LITTLE_ENDIAN_MARK) {
        return unmarked_octets.chunks(2).map(|pair| u16::from_le_bytes(pair_of(pair))).collect();
    }
    let unmarked_octets = ucs2_octets.strip_prefix(&BIG_ENDIAN_MARK).unwrap_or(ucs2_octets);
    unmarked_octets.chunks(2).map(|pair| u16::from_be_bytes(pair_of(pair))).collect()
}

fn encode_units(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_be_bytes()).collect()
}

/// Returns the octets before the first NUL.
fn until_nul(octets: &[u8]) -> &[u8] {
    octets.split(|octet| *octet == 0).next().unwrap_or_default()
}

/// Decodes UTF-8 without control characters (this includes ASCII); `None` for anything else.
fn decode_plain(octets: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(until_nul(octets)).ok()?;
    let is_binary = |character: char| character.is_control() && !character.is_whitespace();
    (!text.contains(is_binary)).then(|| text.to_owned())
}

/// Decodes up to the first NUL, one character for each octet.
fn decode_octets(octets: &[u8], code_point: fn(u8) -> u32) -> String {
    let character = |octet: &u8| char::from_u32(code_point(*octet)).unwrap_or(char::REPLACEMENT_CHARACTER);
    until_nul(octets).iter().map(character).collect()
}

/// Returns the code point of an octet of ISO 8859-5.
fn cyrillic_code_point(octet: u8) -> u32 {
    match octet {
        0xAD => 0xAD,
        0xF0 => 0x2116,
        0xFD => 0xA7,
        0xA1..=0xFF => u32::from(octet) - 0xA0 + 0x400,
        _ => u32::from(octet),
    }
}

/// Returns the code point of an octet of ISO 8859-8.
fn hebrew_code_point(octet: u8) -> u32 {
    match octet {
        0xE0..=0xFA => u32::from(octet) - 0xE0 + 0x5D0,
        0xFD => 0x200E,
        0xFE => 0x200F,
        _ => u32::from(octet),
    }
}
