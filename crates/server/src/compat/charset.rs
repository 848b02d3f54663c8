//! Decodes the text of a compatible API by the character set that the request names.
//!
//! encoding_rs is not a dependency of this program; the alphabets of `postrider_smpp` and the tables here are the sets that
//! clients of SMS gateways use.

use postrider_smpp::alphabet::{DefaultAlphabet, decode_text};

#[cfg(test)]
mod tests;

/// `data_coding` values of SMPP for sets of one octet.
const GSM: u8 = 0x00;
const CYRILLIC: u8 = 0x06;
const HEBREW: u8 = 0x07;

/// The characters of windows-1252 from 0x80 to 0x9F; U+FFFD where none is assigned.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{FFFD}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{FFFD}', 'Ž', '\u{FFFD}',
    '\u{FFFD}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{FFFD}', 'ž', 'Ÿ',
];

/// The characters in which ISO 8859-15 differs from ISO 8859-1.
const LATIN9: [(u8, char); 8] =
    [(0xA4, '€'), (0xA6, 'Š'), (0xA8, 'š'), (0xB4, 'Ž'), (0xB8, 'ž'), (0xBC, 'Œ'), (0xBD, 'œ'), (0xBE, 'Ÿ')];

/// Decodes text of the named character set; `None` for an unknown set and for octets that the set does not have.
pub(super) fn decode(charset: &str, octets: &[u8]) -> Option<String> {
    let name = charset.trim().to_ascii_lowercase().replace('_', "-");
    match name.as_str() {
        "" | "utf-8" | "utf8" => {
            let without_mark = octets.strip_prefix("\u{FEFF}".as_bytes()).unwrap_or(octets);
            std::str::from_utf8(without_mark).ok().map(str::to_owned)
        }
        "us-ascii" | "ascii" => octets.is_ascii().then(|| String::from_utf8_lossy(octets).into_owned()),
        "iso-8859-1" | "iso8859-1" | "latin1" | "latin-1" => {
            Some(octets.iter().map(|octet| char::from(*octet)).collect())
        }
        "iso-8859-15" | "iso8859-15" | "latin9" | "latin-9" => {
            Some(octets.iter().map(|octet| latin9(*octet)).collect())
        }
        "windows-1252" | "cp1252" => octets.iter().map(|octet| windows_1252(*octet)).collect(),
        "iso-8859-5" => decode_text(CYRILLIC, octets, DefaultAlphabet::Gsm),
        "iso-8859-8" => decode_text(HEBREW, octets, DefaultAlphabet::Gsm),
        "utf-16be" | "utf-16" | "utf16" | "ucs-2" | "ucs2" | "ucs-2be" | "iso-10646-ucs-2" => {
            decode_utf16(octets, u16::from_be_bytes)
        }
        "utf-16le" | "ucs-2le" => decode_utf16(octets, u16::from_le_bytes),
        "gsm" | "gsm-7" | "gsm7" | "gsm-03.38" => decode_text(GSM, octets, DefaultAlphabet::Gsm),
        _ => None,
    }
}

/// Decodes text by the `data_coding` of SMPP; `None` if it is binary.
pub(super) fn decode_by_data_coding(data_coding: u8, octets: &[u8]) -> Option<String> {
    decode_text(data_coding, octets, DefaultAlphabet::Gsm)
}

fn latin9(octet: u8) -> char {
    LATIN9.iter().find(|(code, _)| *code == octet).map_or(char::from(octet), |(_, character)| *character)
}

fn windows_1252(octet: u8) -> Option<char> {
    let index = octet.checked_sub(0x80).map(usize::from);
    let character = index.and_then(|index| WINDOWS_1252.get(index)).copied().unwrap_or(char::from(octet));
    (character != char::REPLACEMENT_CHARACTER).then_some(character)
}

/// Decodes UTF-16. A byte-order mark decides about the order of the octets; half a unit is an error.
fn decode_utf16(octets: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    if !octets.len().is_multiple_of(2) {
        return None;
    }
    let (octets, unit) = match octets {
        [0xFE, 0xFF, rest @ ..] => (rest, u16::from_be_bytes as fn([u8; 2]) -> u16),
        [0xFF, 0xFE, rest @ ..] => (rest, u16::from_le_bytes as fn([u8; 2]) -> u16),
        octets => (octets, unit),
    };
    let units: Vec<u16> = octets.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    String::from_utf16(&units).ok()
}
