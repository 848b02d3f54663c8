//! The alphabets of text messages: GSM 03.38 with its extension, UCS-2, and what others send us in.
//!
//! Each septet travels as one octet here; the message centre packs them. Says nothing of parts or headers.

/// The basic table, by septet. 0x1B stands for itself: it opens the extension.
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

/// What the escape turns a septet into.
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

/// No septet: the character is not in the basic table.
const NO_SEPTET: u8 = 0xFF;

/// The septet of each ASCII character.
const ASCII_SEPTETS: [u8; 128] = ascii_septets();

#[allow(clippy::cast_possible_truncation)] // The index of a table of 128 fits.
const fn ascii_septets() -> [u8; 128] {
    let mut table = [NO_SEPTET; 128];
    let mut septet = 0;
    while septet < 128 {
        let letter = GSM7_BASIC[septet] as usize;
        if letter < 128 && letter != GSM7_ESCAPE as usize {
            table[letter] = septet as u8;
        }
        septet += 1;
    }
    table
}

/// The text in septets; none when a character has none.
pub(super) fn encode_gsm7(text: &str) -> Option<Vec<u8>> {
    let mut septets = Vec::with_capacity(text.len());
    for letter in text.chars() {
        match basic_septet(letter) {
            Some(septet) => septets.push(septet),
            None => {
                let (_, septet) = GSM7_EXTENSION.iter().find(|(extended, _)| *extended == letter)?;
                septets.extend([GSM7_ESCAPE, *septet]);
            }
        }
    }
    Some(septets)
}

fn basic_septet(letter: char) -> Option<u8> {
    if letter.is_ascii() {
        let place = u32::from(letter) as usize;
        return ASCII_SEPTETS
            .get(place)
            .copied()
            .filter(|septet| *septet != NO_SEPTET);
    }
    let place = GSM7_BASIC.iter().position(|known| *known == letter)?;
    u8::try_from(place).ok()
}

/// The text in UTF-16, the larger byte first.
pub(super) fn encode_ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// The text in ISO 8859-1; none when a character is not in it.
pub(super) fn encode_latin1(text: &str) -> Option<Vec<u8>> {
    text.chars().map(|letter| u8::try_from(letter).ok()).collect()
}

/// What septets say; unknown ones become U+FFFD.
pub(super) fn decode_gsm7(septets: &[u8]) -> String {
    let mut text = String::with_capacity(septets.len());
    let mut octets = septets.iter();
    while let Some(octet) = octets.next() {
        let basic = |octet: &u8| GSM7_BASIC.get(usize::from(*octet)).copied();
        let letter = if *octet == GSM7_ESCAPE {
            let Some(octet) = octets.next() else { break };
            let extended = GSM7_EXTENSION.iter().find(|(_, septet)| septet == octet);
            extended.map(|(letter, _)| *letter).or_else(|| basic(octet))
        } else {
            basic(octet)
        };
        text.push(letter.unwrap_or(char::REPLACEMENT_CHARACTER));
    }
    text
}

/// What a text from a phone says, by the number of its alphabet; none when it is no text.
pub(super) fn decode_text(coding: u8, octets: &[u8], zero_is_latin1: bool) -> Option<String> {
    let latin1 = |octets: &[u8]| octets.iter().map(|octet| char::from(*octet)).collect();
    Some(match coding {
        0x00 | 0x10..=0x13 | 0xF0..=0xF3 if !zero_is_latin1 => decode_gsm7(octets),
        0x00 | 0x01 | 0x03 | 0x10..=0x13 | 0xF0..=0xF3 => latin1(octets),
        0x08 | 0x18..=0x1B => {
            let units: Vec<u16> = octets
                .chunks(2)
                .map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
                .collect();
            String::from_utf16_lossy(&units)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use postrider_core::text_parts::{Alphabet, count_parts};

    #[test]
    fn the_tables_give_what_the_reference_shows() {
        assert_eq!(
            encode_gsm7("€[x]").unwrap(),
            [0x1B, 0x65, 0x1B, 0x3C, 0x78, 0x1B, 0x3E]
        );
        assert_eq!(encode_gsm7("Hello @ 5$").unwrap(), b"Hello \x00 5\x02");
        assert_eq!(encode_ucs2("کد"), [0x06, 0xA9, 0x06, 0x2F]);
        assert_eq!(encode_gsm7("`"), None);
        assert_eq!(encode_latin1("Grün €"), None);
        assert_eq!(encode_latin1("Grün"), Some(b"Gr\xfcn".to_vec()));
    }

    #[test]
    fn what_comes_from_a_phone_is_read_by_its_alphabet() {
        assert_eq!(
            decode_text(0, &[0x53, 0x54, 0x4F, 0x50], false).as_deref(),
            Some("STOP")
        );
        assert_eq!(decode_text(0, b"\x1b\x65\x00", false).as_deref(), Some("€@"));
        assert_eq!(
            decode_text(0, b"\x1b\x41\x80\x1b", false).as_deref(),
            Some("A\u{FFFD}")
        );
        assert_eq!(decode_text(0, b"@\xfc", true).as_deref(), Some("@\u{fc}"));
        assert_eq!(
            decode_text(8, &[0x06, 0xA9, 0x06], false).as_deref(),
            Some("ک\u{600}")
        );
        assert_eq!(decode_text(3, b"\xe9", false).as_deref(), Some("é"));
        assert_eq!(decode_text(4, b"binary", false), None);
    }

    proptest! {
        #[test]
        fn a_text_has_septets_exactly_when_parts_are_counted_so(body in "[ -~\n€à^سçΔ\u{c}]{0,40}") {
            let counted = count_parts(&body);
            let septets = encode_gsm7(&body);
            prop_assert_eq!(septets.is_some(), counted.alphabet == Alphabet::Gsm7);
            if let Some(septets) = septets {
                prop_assert_eq!(septets.len(), counted.units);
                prop_assert_eq!(decode_gsm7(&septets), body);
            }
        }

        #[test]
        fn any_octets_from_a_phone_can_be_read(coding in any::<u8>(), octets in any::<Vec<u8>>()) {
            let _ = decode_text(coding, &octets, false);
        }
    }
}
