//! Random phone numbers, texts and names for generated messages and users.
//!
//! A seeded [`Random`] gives the same sequence on every run.

use postrider_core::random::Random;

/// Digits of a generated phone number.
const PHONE_DIGITS: usize = 10;

/// Maximum length of a generated text, in characters.
pub const TEXT_CHARS_MAX: usize = 100;

/// Characters of a generated text.
const TEXT_ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// First syllables of generated names.
const NAME_PREFIXES: [&str; 16] =
    ["Ba", "Ce", "Do", "Fi", "Ga", "Ho", "Ja", "Ki", "Lu", "Me", "No", "Pe", "Ri", "Su", "Te", "Vo"];

/// Further syllables of generated names.
const NAME_SUFFIXES: [&str; 16] = [
    "bel", "dar", "fen", "gon", "kas", "lim", "mir", "nor", "pal", "ras", "sen", "tan", "ver", "vin", "zar",
    "zo",
];

/// Returns ten digits, the first of which is not 0.
pub fn random_phone_number(random: &Random) -> String {
    let bytes: [u8; PHONE_DIGITS] = random.bytes();
    let digit = |(index, byte)| match index {
        0 => b'1' + scale_byte(byte, 9),
        _ => b'0' + scale_byte(byte, 10),
    };
    bytes.into_iter().enumerate().map(|indexed| char::from(digit(indexed))).collect()
}

/// Returns 1 to [`TEXT_CHARS_MAX`] letters and digits.
pub fn random_text(random: &Random) -> String {
    let bytes: [u8; TEXT_CHARS_MAX + 1] = random.bytes();
    let [length, letters @ ..] = bytes;
    let length = 1 + usize::from(scale_byte(length, 100));
    let letter = |byte: &u8| TEXT_ALPHABET.get(usize::from(scale_byte(*byte, 62))).copied().map(char::from);
    letters.iter().take(length).filter_map(letter).collect()
}

/// Returns a given name and a family name.
pub fn random_name(random: &Random) -> String {
    let [given_start, given_end, family_start, family_middle, family_end] = random.bytes();
    let pick = |list: &[&'static str; 16], byte| {
        list.get(usize::from(scale_byte(byte, 16))).copied().unwrap_or_default()
    };
    let given = [pick(&NAME_PREFIXES, given_start), pick(&NAME_SUFFIXES, given_end)].concat();
    let family = [
        pick(&NAME_PREFIXES, family_start),
        pick(&NAME_SUFFIXES, family_middle),
        pick(&NAME_SUFFIXES, family_end),
    ]
    .concat();
    format!("{given} {family}")
}

/// Maps a byte to `0..range`, nearly uniformly.
fn scale_byte(byte: u8, range: u8) -> u8 {
    u16::from(byte).wrapping_mul(u16::from(range)).to_be_bytes()[0]
}

#[cfg(test)]
mod tests;
