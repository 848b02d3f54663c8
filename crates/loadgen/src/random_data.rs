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
    let [first, others @ ..] = random.bytes::<PHONE_DIGITS>();
    let first_digit = b'1' + scale_byte(first, 9);
    let other_digits = others.map(|byte| b'0' + scale_byte(byte, 10));
    std::iter::once(first_digit).chain(other_digits).map(char::from).collect()
}

/// Returns 1 to [`TEXT_CHARS_MAX`] letters and digits.
pub fn random_text(random: &Random) -> String {
    let [length_byte, letter_bytes @ ..] = random.bytes::<{ TEXT_CHARS_MAX + 1 }>();
    let length = 1 + usize::from(scale_byte(length_byte, 100));
    let letter = |byte: &u8| char::from(TEXT_ALPHABET[usize::from(scale_byte(*byte, 62))]);
    letter_bytes.iter().take(length).map(letter).collect()
}

/// Returns a given name and a family name.
pub fn random_name(random: &Random) -> String {
    let [given_start, given_end, family_start, family_middle, family_end] = random.bytes();
    let prefix = |byte| NAME_PREFIXES[usize::from(scale_byte(byte, 16))];
    let suffix = |byte| NAME_SUFFIXES[usize::from(scale_byte(byte, 16))];
    let given_name = format!("{}{}", prefix(given_start), suffix(given_end));
    let family_name = format!("{}{}{}", prefix(family_start), suffix(family_middle), suffix(family_end));
    format!("{given_name} {family_name}")
}

/// Maps a byte to `0..range`, nearly uniformly.
fn scale_byte(byte: u8, range: u8) -> u8 {
    u16::from(byte).wrapping_mul(u16::from(range)).to_be_bytes()[0]
}

#[cfg(test)]
mod tests;
