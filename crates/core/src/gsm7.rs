//! The GSM 7-bit default alphabet (3GPP TS 23.038) with its extension table.
//!
//! One octet holds one septet; packing eight septets into seven octets is left to the SMSC. [`units`] and [`encode`] use
//! the same tables, so a counted length always equals the encoded length.

#[cfg(test)]
mod tests;

/// The basic table, indexed by septet. 0x1B, the escape to the extension table, is in its own position.
#[rustfmt::skip]
const GSM7_BASIC: [char; 128] = [
    '@', '£', '$', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', '\n', 'Ø', 'ø', '\r', 'Å', 'å',
    'Δ', '_', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', '\u{1B}', 'Æ', 'æ', 'ß', 'É',
    ' ', '!', '"', '#', '¤', '%', '&', '\'', '(', ')', '*', '+', ',', '-', '.', '/',
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', ':', ';', '<', '=', '>', '?',
    '¡', 'A', 'B', 'C', 'D', 'E', 'F', 'G', 'H', 'I', 'J', 'K', 'L', 'M', 'N', 'O',
    'P', 'Q', 'R', 'S', 'T', 'U', 'V', 'W', 'X', 'Y', 'Z', 'Ä', 'Ö', 'Ñ', 'Ü', '§',
    '¿', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// The extension table: characters that take the escape and one more septet.
const GSM7_EXTENSION: [(char, u8); 10] = [
    ('\u{C}', 0x0A),
    ('^', 0x14),
    ('{', 0x28),
    ('}', 0x29),
    ('\\', 0x2F),
    ('[', 0x3C),
    ('~', 0x3D),
    (']', 0x3E),
    ('|', 0x40),
    ('€', 0x65),
];

const GSM7_ESCAPE: u8 = 0x1B;

/// Entry of [`ASCII_SEPTETS`] for a character that the basic table lacks.
const NO_SEPTET: u8 = 0xFF;

/// The basic septet of each ASCII character, because most texts are ASCII and a search of [`GSM7_BASIC`] is slow.
const ASCII_SEPTETS: [u8; 128] = ascii_septets();

#[allow(clippy::cast_possible_truncation)] // An index of 128 entries fits.
const fn ascii_septets() -> [u8; 128] {
    let mut septet_table = [NO_SEPTET; 128];
    let mut septet = 0;
    while septet < 128 {
        let character = GSM7_BASIC[septet] as usize;
        if character < 128 && character != GSM7_ESCAPE as usize {
            septet_table[character] = septet as u8;
        }
        septet += 1;
    }
    septet_table
}

/// Returns how many septets a character takes: 1, 2 with the escape, 0 when the alphabet lacks it.
pub fn units(character: char) -> usize {
    if basic_septet(character).is_some() {
        1
    } else if extension_septet(character).is_some() {
        2
    } else {
        0
    }
}

/// Encodes a text, one septet in an octet; `None` when the alphabet lacks a character of the text.
pub fn encode(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for character in text.chars() {
        match basic_septet(character) {
            Some(septet) => septets.push(septet),
            None => septets.extend([GSM7_ESCAPE, extension_septet(character)?]),
        }
    }
    Some(septets)
}

/// Decodes septets, one in an octet. An octet above 0x7F becomes U+FFFD; an unknown extension falls back to the basic table.
pub fn decode(septets: &[u8]) -> String {
    let basic_character = |octet: u8| GSM7_BASIC.get(usize::from(octet)).copied();
    let mut decoded_text = String::with_capacity(septets.len());
    let mut septet_values = septets.iter().copied();
    while let Some(octet) = septet_values.next() {
        let character = if octet == GSM7_ESCAPE {
            let Some(octet) = septet_values.next() else { break };
            let extended = GSM7_EXTENSION.iter().find(|(_, septet)| *septet == octet);
            extended.map(|(character, _)| *character).or_else(|| basic_character(octet))
        } else {
            basic_character(octet)
        };
        decoded_text.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    decoded_text
}

fn basic_septet(character: char) -> Option<u8> {
    if character.is_ascii() {
        let septet = ASCII_SEPTETS.get(u32::from(character) as usize).copied();
        return septet.filter(|septet| *septet != NO_SEPTET);
    }
    let index = GSM7_BASIC.iter().position(|listed| *listed == character)?;
    u8::try_from(index).ok()
}

fn extension_septet(character: char) -> Option<u8> {
    let entry = GSM7_EXTENSION.iter().find(|(extended, _)| *extended == character);
    entry.map(|(_, septet)| *septet)
}
