//! Parsing of addresses.

use super::error::AddressError;
use super::kind::AddressKind;
use super::phone::PhoneRules;

/// The longest e-mail address, in bytes, and the longest part before its `@` (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
/// The longest opaque address, in bytes: the longest URL that is safe everywhere.
const OPAQUE_BYTES_MAX: usize = 2_048;

/// Reads an address as its channel needs it and gives it back in the one form it is kept in.
pub fn parse_address(kind: AddressKind, typed: &str, rules: &PhoneRules) -> Result<String, AddressError> {
    match kind {
        AddressKind::Phone => rules.parse_phone(typed),
        AddressKind::Email => parse_email(typed),
        AddressKind::Url => parse_url(typed),
        AddressKind::Push | AddressKind::Messenger | AddressKind::Any => parse_opaque(typed),
    }
}

/// Reads an address of which only the channel is known: as the first of the channel's `kinds` that it can be, those
/// that are strict before those that take any text.
pub fn parse_address_of_kinds(
    kinds: &[AddressKind],
    typed: &str,
    rules: &PhoneRules,
) -> Result<(AddressKind, String), AddressError> {
    if let [kind] = kinds {
        return parse_address(*kind, typed, rules).map(|address| (*kind, address));
    }
    let strict_first = [
        AddressKind::Url,
        AddressKind::Email,
        AddressKind::Phone,
        AddressKind::Push,
        AddressKind::Messenger,
        AddressKind::Any,
    ];
    let mut why = AddressError::InvalidFormat;
    for kind in strict_first.into_iter().filter(|kind| kinds.contains(kind)) {
        match parse_address(kind, typed, rules) {
            Ok(address) => return Ok((kind, address)),
            Err(wrong) => why = wrong,
        }
    }
    Err(why)
}

/// What a normalised address most likely is.
pub fn guess_address_kind(address: &str) -> AddressKind {
    let digits = address.strip_prefix('+').unwrap_or_default();
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        AddressKind::Phone
    } else if address.starts_with("http://") || address.starts_with("https://") {
        AddressKind::Url
    } else if address.contains('@') {
        AddressKind::Email
    } else {
        AddressKind::Push
    }
}

/// Reads an e-mail address: one `@`, lengths, no blanks. The domain is kept in small letters.
fn parse_email(typed: &str) -> Result<String, AddressError> {
    let typed = typed.trim();
    if typed.is_empty() {
        return Err(AddressError::Empty);
    }
    if typed.len() > EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let odd =
        |letter: char| letter.is_whitespace() || letter.is_control() || "<>()[]\\,;:\"".contains(letter);
    if typed.contains(odd) {
        return Err(AddressError::InvalidCharacter);
    }
    let (local, domain) = typed.split_once('@').ok_or(AddressError::InvalidFormat)?;
    let is_label = |label: &str| {
        let clean = label
            .chars()
            .all(|letter| letter.is_alphanumeric() || letter == '-');
        clean && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX || !domain.split('.').all(is_label) {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{local}@{}", domain.to_lowercase()))
}

/// Reads a URL: `http` or `https`, a host, no blanks. Scheme and host are kept in small letters.
fn parse_url(typed: &str) -> Result<String, AddressError> {
    let typed = parse_opaque(typed)?;
    if typed.contains(char::is_whitespace) {
        return Err(AddressError::InvalidCharacter);
    }
    let (scheme, rest) = typed.split_once("://").ok_or(AddressError::InvalidFormat)?;
    let scheme = scheme.to_ascii_lowercase();
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (login, host) = match authority.rsplit_once('@') {
        Some((login, host)) => (format!("{login}@"), host),
        None => (String::new(), authority),
    };
    if !matches!(scheme.as_str(), "http" | "https") || host.is_empty() || host.starts_with(':') {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{scheme}://{login}{}{path}", host.to_lowercase()))
}

/// Reads any text that only the provider understands: not empty, not endless, no control characters.
fn parse_opaque(typed: &str) -> Result<String, AddressError> {
    let typed = typed.trim();
    if typed.is_empty() {
        Err(AddressError::Empty)
    } else if typed.len() > OPAQUE_BYTES_MAX {
        Err(AddressError::TooLong)
    } else if typed.contains(char::is_control) {
        Err(AddressError::InvalidCharacter)
    } else {
        Ok(typed.to_owned())
    }
}

#[cfg(test)]
mod tests;
