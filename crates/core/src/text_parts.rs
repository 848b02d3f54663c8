//! How many text parts a body takes, and where it is cut.
//!
//! Plain text goes in the GSM 7-bit alphabet, 160 characters alone or 153 a part; one character outside it
//! turns the whole body into UCS-2, 70 or 67. No escape pair and no surrogate pair is ever cut.

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
            Self::Gsm7 => gsm_units(letter),
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
        let taken = gsm_units(letter);
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
        match ASCII_UNITS.get(usize::from(byte)) {
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

/// How many 7-bit units a character takes: one, two with an escape, none when the alphabet has not got it.
fn gsm_units(letter: char) -> usize {
    match u8::try_from(letter) {
        Ok(byte) if byte.is_ascii() => usize::from(ASCII_UNITS[usize::from(byte)]),
        _ if GSM_BEYOND_ASCII.contains(&letter) => 1,
        _ => usize::from(letter == '€') * 2,
    }
}

/// The characters of the basic table beyond ASCII.
const GSM_BEYOND_ASCII: [char; 39] = [
    '£', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', 'Ø', 'ø', 'Å', 'å', 'Δ', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ',
    'Ξ', 'Æ', 'æ', 'ß', 'É', '¤', '¡', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'ä', 'ö', 'ñ', 'ü', 'à',
];

/// How many units each ASCII character takes.
const ASCII_UNITS: [u8; 128] = ascii_units();

const fn ascii_units() -> [u8; 128] {
    let mut table = [0; 128];
    table[b'\n' as usize] = 1;
    table[b'\r' as usize] = 1;
    let mut byte = b' ';
    while byte < 0x7F {
        table[byte as usize] = match byte {
            b'`' => 0,
            b'^' | b'{' | b'}' | b'\\' | b'[' | b'~' | b']' | b'|' => 2,
            _ => 1,
        };
        byte += 1;
    }
    table[0x0C] = 2;
    table
}

#[cfg(test)]
mod tests;
