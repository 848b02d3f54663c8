//! How many text parts a body takes, and where it is cut.
//!
//! Plain text goes in the GSM 7-bit alphabet, 160 characters alone or 153 a part; one character outside it
//! turns the whole body into UCS-2, 70 or 67. No escape pair and no surrogate pair is ever cut.

use crate::gsm7;

/// In which alphabet a body travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// The 7-bit alphabet of GSM 03.38 with its extension table.
    Gsm7,
    /// UTF-16 code units.
    Ucs2,
}

impl Alphabet {
    /// The most units in a body that travels in one part.
    pub fn single_part_units_max(self) -> usize {
        match self {
            Self::Gsm7 => 160,
            Self::Ucs2 => 70,
        }
    }

    /// The most units in one of several parts, which also carries its number.
    pub fn concatenated_part_units_max(self) -> usize {
        match self {
            Self::Gsm7 => 153,
            Self::Ucs2 => 67,
        }
    }

    /// How many units a character takes.
    fn units(self, letter: char) -> usize {
        match self {
            Self::Gsm7 => gsm7::units(letter),
            Self::Ucs2 => letter.len_utf16(),
        }
    }
}

/// What a body takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextParts {
    /// The alphabet it travels in.
    pub alphabet: Alphabet,
    /// How many parts, at least one.
    pub count: u32,
    /// How many units of the alphabet in all.
    pub units: usize,
}

/// Counts a body's parts without making them.
pub fn count_parts(body: &str) -> TextParts {
    let (alphabet, units, has_pairs) = measure_units(body);
    let each = alphabet.concatenated_part_units_max();
    let count = if units <= alphabet.single_part_units_max() {
        1
    } else if has_pairs {
        part_boundaries(body, alphabet).count() + 1
    } else {
        units.div_ceil(each)
    };
    TextParts {
        alphabet,
        count: u32::try_from(count).unwrap_or(u32::MAX),
        units,
    }
}

/// Cuts a body into the parts that [`parts`] counts.
pub fn split_parts(body: &str) -> Vec<String> {
    let (alphabet, units, _) = measure_units(body);
    if units <= alphabet.single_part_units_max() {
        return vec![body.to_owned()];
    }
    let mut start = 0;
    let mut pieces = Vec::new();
    for cut in part_boundaries(body, alphabet).chain([body.len()]) {
        pieces.push(body[start..cut].to_owned());
        start = cut;
    }
    pieces
}

/// The alphabet, the units, and whether some character takes two units and so must not be cut.
fn measure_units(body: &str) -> (Alphabet, usize, bool) {
    if let Some(units) = measure_ascii_units(body) {
        return (Alphabet::Gsm7, units, units != body.len());
    }
    let mut units = 0;
    let mut is_gsm = true;
    for letter in body.chars() {
        let taken = gsm7::units(letter);
        if taken == 0 {
            is_gsm = false;
            break;
        }
        units += taken;
    }
    if is_gsm {
        return (Alphabet::Gsm7, units, units != body.chars().count());
    }
    let (mut letters, mut units) = (0, 0);
    for letter in body.chars() {
        letters += 1;
        units += letter.len_utf16();
    }
    (Alphabet::Ucs2, units, units != letters)
}

/// The units of a body that is plain ASCII, which most are; none when it is not.
fn measure_ascii_units(body: &str) -> Option<usize> {
    let mut units = 0;
    for byte in body.bytes() {
        match gsm7::ASCII_UNITS.get(usize::from(byte)) {
            Some(0) | None => return None,
            Some(taken) => units += usize::from(*taken),
        }
    }
    Some(units)
}

/// The byte places at which a new part begins.
fn part_boundaries(body: &str, alphabet: Alphabet) -> impl Iterator<Item = usize> {
    let mut filled = 0;
    body.char_indices().filter_map(move |(place, letter)| {
        let units = alphabet.units(letter);
        filled += units;
        if filled <= alphabet.concatenated_part_units_max() {
            return None;
        }
        filled = units;
        Some(place)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bodies_take_the_parts_that_carriers_count() {
        use Alphabet::{Gsm7, Ucs2};
        let of = |text: &str, times: usize| text.repeat(times);
        for (body, alphabet, count, units) in [
            (String::new(), Gsm7, 1, 0),
            (of("a", 1), Gsm7, 1, 1),
            (of("a", 160), Gsm7, 1, 160),
            (of("a", 161), Gsm7, 2, 161),
            (of("a", 306), Gsm7, 2, 306),
            (of("a", 307), Gsm7, 3, 307),
            (of("à", 160), Gsm7, 1, 160),
            (of("€", 80), Gsm7, 1, 160),
            (of("€", 81), Gsm7, 2, 162),
            (of("€", 152), Gsm7, 2, 304),
            (of("€", 153), Gsm7, 3, 306),
            (of("a", 152) + "€" + &of("a", 152), Gsm7, 3, 306),
            (of("^{}\\[~]|", 10), Gsm7, 1, 160),
            ("\u{C}".to_owned(), Gsm7, 1, 2),
            ("`".to_owned(), Ucs2, 1, 1),
            ("\t".to_owned(), Ucs2, 1, 1),
            (of("س", 70), Ucs2, 1, 70),
            (of("س", 71), Ucs2, 2, 71),
            (of("س", 134), Ucs2, 2, 134),
            (of("س", 135), Ucs2, 3, 135),
            (of("a", 70) + "س", Ucs2, 2, 71),
            (of("😀", 35), Ucs2, 1, 70),
            (of("😀", 36), Ucs2, 2, 72),
            (of("😀", 66), Ucs2, 2, 132),
            (of("😀", 67), Ucs2, 3, 134),
        ] {
            let counted = count_parts(&body);
            assert_eq!(
                counted,
                TextParts {
                    alphabet,
                    count,
                    units
                },
                "{body}"
            );
        }
    }

    #[test]
    fn the_whole_basic_table_is_plain_text() {
        let table = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ\
                     ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
        assert_eq!(table.chars().count(), 127);
        assert!(table.chars().all(|letter| gsm7::units(letter) == 1));
        assert!("\u{C}^{}\\[~]|€".chars().all(|letter| gsm7::units(letter) == 2));
        assert!("`ç\t\u{0}\u{7F}اÀ".chars().all(|letter| gsm7::units(letter) == 0));
    }

    fn body() -> impl Strategy<Value = String> {
        prop_oneof![
            "[a-z€\\[\\]^|à]{0,700}",
            "[a-z€سلام😀👍]{0,400}",
            "[😀a]{0,300}",
            "\\PC{0,300}",
            "[ -~\n]{0,700}",
        ]
    }

    proptest! {
        #[test]
        fn the_parts_together_are_the_body_and_each_fits(body in body()) {
            let counted = count_parts(&body);
            let pieces = split_parts(&body);
            prop_assert_eq!(pieces.concat(), body);
            prop_assert_eq!(counted.count as usize, pieces.len());
            let limit = if pieces.len() == 1 {
                counted.alphabet.single_part_units_max()
            } else {
                counted.alphabet.concatenated_part_units_max()
            };
            let units = |piece: &String| piece.chars().map(|letter| counted.alphabet.units(letter)).sum::<usize>();
            prop_assert!(pieces.iter().all(|piece| units(piece) <= limit));
            prop_assert_eq!(pieces.iter().map(units).sum::<usize>(), counted.units);
        }
    }
}
