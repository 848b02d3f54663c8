//! Decodes queries and forms leniently, as the clients of the compatible APIs need it.
//!
//! Names and values are bytes, because their character set is a parameter itself. Decoding never fails: an invalid escape
//! stays as it is, also at the end of a value. The strict decoder of our own APIs is `form`.

#[cfg(test)]
mod tests;

/// Decoded fields in the order of the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LenientFields(Vec<(Vec<u8>, Vec<u8>)>);

impl LenientFields {
    /// Splits a query or a form at `&` and at the first `=`, and decodes names and values.
    pub(crate) fn parse(encoded: &[u8]) -> Self {
        let pairs = encoded.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
                    (decode(&pair[..end]), decode(pair.get(end + 1..).unwrap_or_default()))
                })
                .collect(),
        )
    }

    /// Adds a field behind the others.
    pub(crate) fn push(&mut self, name: &str, value: impl Into<Vec<u8>>) {
        self.0.push((name.as_bytes().to_vec(), value.into()));
    }

    /// Returns whether there is no field.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the names in the order of the request.
    pub(crate) fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|(name, _)| name.as_slice())
    }

    /// Returns the first value of the first of these names that was sent.
    pub(crate) fn bytes(&self, names: &[&str]) -> Option<&[u8]> {
        let first_value = |name: &&str| self.0.iter().find(|field| field.0 == name.as_bytes());
        names.iter().find_map(first_value).map(|(_, value)| value.as_slice())
    }

    /// Returns the value as text. Bytes that are not UTF-8 become U+FFFD.
    pub(crate) fn text(&self, names: &[&str]) -> Option<String> {
        self.bytes(names).map(|value| String::from_utf8_lossy(value).into_owned())
    }
}

/// Decodes `+` and escapes; an invalid escape stays as it is.
pub(crate) fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after_byte)) = rest.split_first() {
        rest = after_byte;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                match after_byte.split_at_checked(2).and_then(|(hex, tail)| Some((parse_hex(hex)?, tail))) {
                    Some((octet, tail)) => {
                        decoded.push(octet);
                        rest = tail;
                    }
                    None => decoded.push(b'%'),
                }
            }
            byte => decoded.push(*byte),
        }
    }
    decoded
}

fn parse_hex(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits)
        .ok()
        .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    u8::from_str_radix(digits, 16).ok()
}

/// Returns the number that C reads with `%d`: leading blanks and whatever follows the digits are ignored. `None` without a
/// digit.
pub(crate) fn leading_integer(value: &[u8]) -> Option<i64> {
    let text = value.trim_ascii_start();
    let (sign, digits) = match text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, text),
    };
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    let number: i64 = std::str::from_utf8(&digits[..end])
        .ok()
        .filter(|digits| !digits.is_empty())?
        .parse()
        .unwrap_or(i64::MAX);
    Some(sign * number)
}

/// Returns a phone number whose leading blanks are a `+` that the client did not encode.
pub(crate) fn restore_plus(number: &str) -> String {
    let without_blanks = number.trim_start_matches(' ');
    if without_blanks.len() == number.len() || without_blanks.starts_with('+') {
        return without_blanks.to_owned();
    }
    log::debug!("compatible API: a blank before a phone number was read as +");
    format!("+{without_blanks}")
}
