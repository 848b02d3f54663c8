//! Parsing of addresses into the form in which they are stored.
//!
//! Checks the form only. Errors never contain the address. The crate `email_address` is not used, because it accepts
//! domains such as `a!b` and rejects existing mailboxes with two dots in a row; url is not used, because it would
//! rewrite the path.

use super::error::AddressError;
use super::kind::AddressKind;
use super::phone::PhoneRules;

/// Longest e-mail address and longest part before the `@`, in bytes (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
const EMAIL_LOCAL_BYTES_MAX: usize = 64;
/// Longest opaque address, in bytes: the longest URL that browsers and proxies commonly accept.
const OPAQUE_BYTES_MAX: usize = 2_048;

/// Parses an address of a known kind and returns its normal form.
///
/// # Errors
/// The text is not an address of this kind.
pub fn parse_address(kind: AddressKind, text: &str, rules: &PhoneRules) -> Result<String, AddressError> {
    match kind {
        AddressKind::Phone => rules.parse_phone(text),
        AddressKind::Email => parse_email(text),
        AddressKind::Url => parse_url(text),
        AddressKind::Push | AddressKind::Messenger | AddressKind::Any => parse_opaque(text),
    }
}

/// Parses an address on a channel with several kinds. Tries the kinds with a strict form first and the kinds that accept
/// any text last. Returns the first kind that fits and the normal form.
///
/// # Errors
/// The text is not an address of any of `kinds`.
pub fn parse_address_of_kinds(
    kinds: &[AddressKind],
    text: &str,
    rules: &PhoneRules,
) -> Result<(AddressKind, String), AddressError> {
    if let [kind] = kinds {
        return parse_address(*kind, text, rules).map(|address| (*kind, address));
    }
    let strict_first = [
        AddressKind::Url,
        AddressKind::Email,
        AddressKind::Phone,
        AddressKind::Push,
        AddressKind::Messenger,
        AddressKind::Any,
    ];
    let mut last_error = AddressError::InvalidFormat;
    for kind in strict_first.into_iter().filter(|kind| kinds.contains(kind)) {
        match parse_address(kind, text, rules) {
            Ok(address) => return Ok((kind, address)),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// Guesses the kind of an address in normal form.
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

/// Parses an e-mail address: one `@`, limited lengths, no blanks. The domain becomes lower case.
fn parse_email(text: &str) -> Result<String, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.len() > EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let is_invalid = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"".contains(c);
    if text.contains(is_invalid) {
        return Err(AddressError::InvalidCharacter);
    }
    let (local, domain) = text.split_once('@').ok_or(AddressError::InvalidFormat)?;
    let is_domain_label = |label: &str| {
        label.chars().all(|c| c.is_alphanumeric() || c == '-')
            && (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if local.is_empty() || local.len() > EMAIL_LOCAL_BYTES_MAX || !domain.split('.').all(is_domain_label) {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{local}@{}", domain.to_lowercase()))
}

/// Parses a URL: `http` or `https`, a host, no blanks. Scheme and host become lower case.
fn parse_url(text: &str) -> Result<String, AddressError> {
    let text = parse_opaque(text)?;
    if text.contains(char::is_whitespace) {
        return Err(AddressError::InvalidCharacter);
    }
    let (scheme, after_scheme) = text.split_once("://").ok_or(AddressError::InvalidFormat)?;
    let scheme = scheme.to_ascii_lowercase();
    let authority_end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (authority, path) = after_scheme.split_at(authority_end);
    let (userinfo, host) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    if !matches!(scheme.as_str(), "http" | "https") || host.is_empty() || host.starts_with(':') {
        return Err(AddressError::InvalidFormat);
    }
    Ok(format!("{scheme}://{userinfo}{}{path}", host.to_lowercase()))
}

/// Parses an address that only the provider understands: limited length, no control characters.
fn parse_opaque(text: &str) -> Result<String, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        Err(AddressError::Empty)
    } else if text.len() > OPAQUE_BYTES_MAX {
        Err(AddressError::TooLong)
    } else if text.contains(char::is_control) {
        Err(AddressError::InvalidCharacter)
    } else {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests;
