//! Decodes queries and forms strictly: `+` is a space, `%41` is a letter, invalid encoding is an error.
//!
//! `percent-encoding` decodes; the fields are split here, because `form_urlencoded` and `serde_urlencoded` accept
//! invalid encoding and change the text. A message with a changed text is worse than an error.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use chrono::DateTime;
use percent_encoding::percent_decode;

use crate::problem::Violation;
use postrider_core::clock::Timestamp;

/// Reason why a query or form cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormDecodeError {
    /// A `%` that is not followed by two hexadecimal digits.
    InvalidPercentEncoding,
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// The character NUL.
    ContainsNul,
}

impl fmt::Display for FormDecodeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::InvalidPercentEncoding => {
                "a % must be followed by two hexadecimal digits, such as %2B for +"
            }
            Self::InvalidUtf8 => "the text must be UTF-8",
            Self::ContainsNul => "the text must not contain the character NUL",
        })
    }
}

/// Returns the values of all fields with this name, still encoded.
pub(super) fn values<'a>(encoded: &'a [u8], name: &str) -> impl Iterator<Item = &'a [u8]> {
    encoded.split(|byte| *byte == b'&').filter_map(move |pair| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(end + 1..).unwrap_or_default();
        let is_plain = pair[..end] == *name.as_bytes();
        (is_plain || decode(&pair[..end]).is_ok_and(|decoded| decoded == name)).then_some(value)
    })
}

/// Returns the value of the first field with this name, still encoded.
pub(super) fn raw_value<'a>(encoded: &'a [u8], name: &str) -> Option<&'a [u8]> {
    values(encoded, name).next()
}

/// Returns the value of the first field with this name; empty if there is none.
pub(super) fn field<'a>(encoded: &'a [u8], name: &str) -> Result<Cow<'a, str>, FormDecodeError> {
    raw_value(encoded, name).map_or(Ok(Cow::Borrowed("")), decode)
}

/// Like [`field`], but a leading `+` stays a `+`, because users type phone numbers into the address bar. Before a zero
/// it is decoded as a blank, because no country code begins with zero.
pub(super) fn phone_number<'a>(encoded: &'a [u8], name: &str) -> Result<Cow<'a, str>, FormDecodeError> {
    match raw_value(encoded, name) {
        Some([b'+', rest @ ..]) => decode(rest).map(|rest| {
            let is_blank = rest.starts_with(['0', '\u{6F0}', '\u{660}', ' ', '+']);
            Cow::Owned(format!("{}{rest}", if is_blank { ' ' } else { '+' }))
        }),
        Some(value) => decode(value),
        None => Ok(Cow::Borrowed("")),
    }
}

/// Name and value of a field.
type FormPair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// Returns all fields in order.
pub(super) fn pairs(encoded: &[u8]) -> Result<Vec<FormPair<'_>>, FormDecodeError> {
    encoded
        .split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let value = pair.get(end + 1..).unwrap_or_default();
            Ok((decode(&pair[..end])?, decode(value)?))
        })
        .collect()
}

/// Calls `set_param` with each parameter of a query, and returns all invalid parameters. An empty value counts as not
/// given.
pub(super) fn read_params(
    query: &str,
    mut set_param: impl FnMut(&str, &str) -> Result<(), Cow<'static, str>>,
) -> Result<(), Vec<Violation>> {
    let params = pairs(query.as_bytes()).map_err(|error| vec![Violation::new("query", error.to_string())])?;
    let violations: Vec<Violation> = params
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .filter_map(|(name, value)| Some(Violation::new(&*name, set_param(&name, &value).err()?)))
        .collect();
    if violations.is_empty() { Ok(()) } else { Err(violations) }
}

/// Returns a violation if a time range does not end after it begins.
pub(super) fn check_order(since: Option<Timestamp>, until: Option<Timestamp>) -> Result<(), Vec<Violation>> {
    match (since, until) {
        (Some(since), Some(until)) if until <= since => {
            Err(vec![Violation::new("until", "must be after since")])
        }
        _ => Ok(()),
    }
}

/// Parses a time in RFC 3339. The plus of its offset may have been decoded as a blank.
pub(super) fn parse_rfc3339(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text);
    time.or_else(|_| DateTime::parse_from_rfc3339(&text.replace(' ', "+"))).ok().map(|time| time.to_utc())
}

/// Decodes a name or a value; borrows if nothing is encoded.
pub(super) fn decode(encoded: &[u8]) -> Result<Cow<'_, str>, FormDecodeError> {
    let begins_with_hex =
        |text: &[u8]| text.get(..2).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit));
    if !encoded.split(|byte| *byte == b'%').skip(1).all(begins_with_hex) {
        return Err(FormDecodeError::InvalidPercentEncoding);
    }
    let decoded = if encoded.contains(&b'+') {
        let with_blanks: Vec<u8> =
            encoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&with_blanks).decode_utf8().map(|text| Cow::Owned(text.into_owned()))
    } else {
        percent_decode(encoded).decode_utf8()
    };
    let decoded = decoded.map_err(|_| FormDecodeError::InvalidUtf8)?;
    if decoded.contains('\0') { Err(FormDecodeError::ContainsNul) } else { Ok(decoded) }
}
