//! Parsing of addresses into the form in which they are stored.
//!
//! Checks the form only. All spellings of an address have one normal form, which is the key of its status and of searches;
//! what a provider gets is the outgoing form, which keeps the client's spelling where it may matter. url is not used,
//! because it would rewrite the path.

use std::borrow::Cow;

use super::email::{outgoing_email, parse_domain, parse_email};
use super::error::AddressError;
use super::invisible::is_invisible;
use super::kind::AddressKind;
use super::phone::PhoneRules;

/// Longest opaque address, in bytes: the longest URL that browsers and proxies commonly accept.
const OPAQUE_BYTES_MAX: usize = 2_048;
/// Shortest hexadecimal push token whose case is ignored, in digits: that of APNs. Other services distinguish case.
const HEX_TOKEN_DIGITS_MIN: usize = 64;

/// Parses an address of a known kind and returns its normal form.
///
/// # Errors
/// The text is not an address of this kind.
pub fn parse_address(kind: AddressKind, text: &str, rules: &PhoneRules) -> Result<String, AddressError> {
    match kind {
        AddressKind::Phone => rules.parse_phone(text),
        AddressKind::Email => parse_email(text),
        AddressKind::Url => parse_url(text),
        AddressKind::Push => parse_push_token(text),
        AddressKind::Messenger | AddressKind::Any => parse_opaque(text),
    }
}

/// Returns the form of an address that a provider gets. `spelling` is what the client wrote; if `address` is not its normal
/// form, `address` is returned.
pub fn outgoing_address<'a>(
    kind: AddressKind,
    address: &'a str,
    spelling: &str,
    rules: &PhoneRules,
) -> Cow<'a, str> {
    let outgoing = match kind {
        AddressKind::Email => outgoing_email(spelling),
        AddressKind::Push => visible_token(spelling),
        AddressKind::Phone | AddressKind::Url | AddressKind::Messenger | AddressKind::Any => {
            return Cow::Borrowed(address);
        }
    };
    let is_same_address = |outgoing: &String| {
        parse_address(kind, outgoing, rules).is_ok_and(|outgoing_key| outgoing_key == address)
    };
    outgoing.ok().filter(is_same_address).map_or(Cow::Borrowed(address), Cow::Owned)
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
    let mut last_error = AddressError::UnusableKind;
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

/// Parses a URL: `http` or `https`, a host, no blanks. Scheme and host become lower case, an international host an A-label,
/// and the default port is removed.
fn parse_url(text: &str) -> Result<String, AddressError> {
    let text = parse_opaque(text)?;
    if let Some(blank) = text.chars().find(|c| c.is_whitespace()) {
        return Err(AddressError::InvalidCharacter(blank));
    }
    let (scheme, after_scheme) = text.split_once("://").ok_or(AddressError::InvalidUrl)?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(AddressError::InvalidUrl),
    };
    let authority_end = after_scheme.find(['/', '?', '#']).unwrap_or(after_scheme.len());
    let (authority, path) = after_scheme.split_at(authority_end);
    let (userinfo, host_and_port) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    let host_and_port = host_and_port.strip_suffix(default_port).unwrap_or(host_and_port);
    let port_start = host_and_port.rfind(':').filter(|_| !host_and_port.ends_with(']'));
    let (host, port) = host_and_port.split_at(port_start.unwrap_or(host_and_port.len()));
    if host.is_empty() {
        return Err(AddressError::InvalidUrl);
    }
    let host = if host.is_ascii() { host.to_ascii_lowercase() } else { parse_domain(host)? };
    Ok(format!("{scheme}://{userinfo}{host}{port}{path}"))
}

/// Parses a push token. A hexadecimal token of APNs becomes lower case.
fn parse_push_token(text: &str) -> Result<String, AddressError> {
    let token = visible_token(text)?;
    let is_hexadecimal = token.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(if is_hexadecimal && token.len() >= HEX_TOKEN_DIGITS_MIN { token.to_ascii_lowercase() } else { token })
}

/// Returns a token without blanks around it and without invisible characters.
fn visible_token(text: &str) -> Result<String, AddressError> {
    let visible: String = text.chars().filter(|c| !is_invisible(*c)).collect();
    parse_opaque(&visible)
}

/// Parses an address that only the provider understands: limited length, no control characters.
fn parse_opaque(text: &str) -> Result<String, AddressError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    if text.len() > OPAQUE_BYTES_MAX {
        return Err(AddressError::TooLong(OPAQUE_BYTES_MAX));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(AddressError::InvalidCharacter(control)),
        None => Ok(text.to_owned()),
    }
}

#[cfg(test)]
mod tests;
