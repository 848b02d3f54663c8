//! The parts of a text message: their number and their boundaries.
//!
//! A body in the GSM 7-bit alphabet has 160 characters in one part, or 153 in each of several; one character outside
//! that alphabet makes the whole body UCS-2, with 70 units in one part or 67 in each of several. No escape pair and no
//! surrogate pair is split.

use crate::gsm7;

/// The alphabet in which a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The 7-bit alphabet of GSM 03.38 with its extension table.
    Gsm7,
    /// UTF-16 code units.
    Ucs2,
}

impl Alphabet {
    /// Returns the maximum number of units in a single part.
    pub fn single_part_units_max(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// Returns the maximum number of units in one of several parts, which also has a concatenation header.
    pub fn concatenated_part_units_max(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// Returns the number of units of a character.
    fn units(self, c: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::units(c),
            Self::Ucs2 => c.len_utf16(),
        }
    }
}

/// The size of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextParts {
    /// The alphabet.
    pub alphabet: Alphabet,
    /// Number of parts, at least one.
    pub count: u32,
    /// Number of units of the alphabet in all parts.
    pub units: usize,
}

/// Counts the parts of a body without splitting it.
pub fn count_parts(message_body: &str) -> TextParts {
    let (alphabet, units, has_pairs) = measure_units(message_body);
    let part_count = if units <= alphabet.single_part_units_max() {
        1
    } else if has_pairs {
        part_boundaries(message_body, alphabet).count() + 1
    } else {
        units.div_ceil(alphabet.concatenated_part_units_max())
    };
    TextParts { alphabet, count: u32::try_from(part_count).unwrap_or(u32::MAX), units }
}

/// Splits a body into the parts that [`count_parts`] counts.
pub fn split_parts(message_body: &str) -> Vec<String> {
    let (alphabet, units, _) = measure_units(message_body);
    if units <= alphabet.single_part_units_max() {
        return vec![message_body.to_owned()];
    }
    let mut part_start = 0;
    let part_ends = part_boundaries(message_body, alphabet).chain([message_body.len()]);
    part_ends.map(|end| message_body[std::mem::replace(&mut part_start, end)..end].to_owned()).collect()
}

/// Returns the alphabet, the units, and whether a character has two units, between which the body must not be split.
fn measure_units(message_body: &str) -> (Alphabet, usize, bool) {
    let gsm_units = message_body.chars().try_fold(0, |sum, c| match gsm7::units(c) {
        0 => None,
        units => Some(sum + units),
    });
    let (alphabet, units) = match gsm_units {
        Some(units) => (Alphabet::Gsm7, units),
        None => (Alphabet::Ucs2, message_body.chars().map(char::len_utf16).sum()),
    };
    (alphabet, units, units != message_body.chars().count())
}

/// Returns the byte positions at which a new part begins.
fn part_boundaries(body: &str, alphabet: Alphabet) -> impl Iterator<Item = usize> {
    let mut part_units = 0;
    body.char_indices().filter_map(move |(position, c)| {
        let char_units = alphabet.units(c);
        part_units += char_units;
        let is_part_full = part_units > alphabet.concatenated_part_units_max();
        is_part_full.then(|| {
            part_units = char_units;
            position
        })
    })
}

#[cfg(test)]
mod tests;
