//! Parsing of addresses into the form in which they are stored.
//!
//! Checks the form only. Errors never contain the address. email_address is not used, because it accepts domains such as
//! `a!b` and rejects existing mailboxes with two dots in a row; url is not used, because it would rewrite the path.

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
pub fn parse_address(
    kind: AddressKind,
    address_text: &str,
    rules: &PhoneRules,
) -> Result<String, AddressError> {
    match kind {
        AddressKind::Phone => rules.parse_phone(address_text),
        AddressKind::Email => parse_email(address_text),
        AddressKind::Url => parse_url(address_text),
        AddressKind::Push | AddressKind::Messenger | AddressKind::Any => parse_opaque(address_text),
    }
}

/// Parses an address on a channel with several kinds. Tries the kinds with a strict form first and the kinds that accept
/// any text last. Returns the first kind that fits and the normal form.
///
/// # Errors
/// The text is not an address of any of `kinds`.
pub fn parse_address_of_kinds(
    kinds: &[AddressKind],
    address_text: &str,
    rules: &PhoneRules,
) -> Result<(AddressKind, String), AddressError> {
    if let [address_kind] = kinds {
        return parse_address(*address_kind, address_text, rules).map(|address| (*address_kind, address));
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
    for address_kind in strict_first.into_iter().filter(|address_kind| kinds.contains(address_kind)) {
        match parse_address(address_kind, address_text, rules) {
            Ok(address) => return Ok((address_kind, address)),
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
fn parse_email(email_text: &str) -> Result<String, AddressError> {
    let email_text = email_text.trim();
    if email_text.is_empty() {
        return Err(AddressError::Empty);
    }
    if email_text.len() > EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong);
    }
    let is_invalid = |c: char| c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"".contains(c);
    if email_text.contains(is_invalid) {
        return Err(AddressError::InvalidCharacter);
    }
    let (local, domain) = email_text.split_once('@').ok_or(AddressError::InvalidFormat)?;
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
fn parse_url(url_text: &str) -> Result<String, AddressError> {
    let url_text = parse_opaque(url_text)?;
    if url_text.contains(char::is_whitespace) {
        return Err(AddressError::InvalidCharacter);
    }
    let (scheme, after_scheme) = url_text.split_once("://").ok_or(AddressError::InvalidFormat)?;
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
fn parse_opaque(opaque_address: &str) -> Result<String, AddressError> {
    let opaque_address = opaque_address.trim();
    if opaque_address.is_empty() {
        Err(AddressError::Empty)
    } else if opaque_address.len() > OPAQUE_BYTES_MAX {
        Err(AddressError::TooLong)
    } else if opaque_address.contains(char::is_control) {
        Err(AddressError::InvalidCharacter)
    } else {
        Ok(opaque_address.to_owned())
    }
}

#[cfg(test)]
mod tests;
