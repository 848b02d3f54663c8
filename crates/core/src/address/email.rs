//! E-mail addresses: one key for all spellings of an address, and the form in which a mail is sent.
//!
//! The key has the name in lower case and NFC and the domain as A-label (UTS 46), both without invisible characters. A mail
//! keeps the name as the client wrote it, because a server may distinguish case, in quotes where its dots need them.
//! email_address is not used, because it accepts domains such as `a!b` and refuses existing mailboxes with two dots in a
//! row.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use unicode_normalization::UnicodeNormalization;

use super::error::AddressError;
use super::invisible::is_invisible;

/// Longest e-mail address and longest part before the `@`, in bytes (RFC 5321).
const EMAIL_BYTES_MAX: usize = 254;
const NAME_BYTES_MAX: usize = 64;

/// An e-mail address whose form was checked.
struct EmailAddress {
    /// The part before the `@` as the client wrote it, without quotes and invisible characters.
    name: String,
    /// The domain as A-label.
    domain: String,
}

/// Parses an e-mail address and returns its key.
pub(super) fn parse_email(text: &str) -> Result<String, AddressError> {
    let EmailAddress { name, domain } = split_email(text)?;
    let key = format!("{}@{domain}", fold_case(&name));
    if key.len() > EMAIL_BYTES_MAX { Err(AddressError::TooLong(EMAIL_BYTES_MAX)) } else { Ok(key) }
}

/// Returns the form of an e-mail address for a mail: the name as written, in quotes if its dots need them (RFC 5321).
pub(super) fn outgoing_email(text: &str) -> Result<String, AddressError> {
    let EmailAddress { name, domain } = split_email(text)?;
    let needs_quotes = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    Ok(if needs_quotes { format!("\"{name}\"@{domain}") } else { format!("{name}@{domain}") })
}

fn split_email(text: &str) -> Result<EmailAddress, AddressError> {
    // Twice the length, because characters that are removed count here.
    if text.len() > 2 * EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong(EMAIL_BYTES_MAX));
    }
    let text = text.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let (name, domain) = text.rsplit_once('@').ok_or(AddressError::NoAtSign)?;
    let name = name.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"')).unwrap_or(name);
    let name: String = name.chars().filter(|c| !is_invisible(*c)).collect();
    if name.is_empty() || name.contains('@') || domain.is_empty() {
        return Err(AddressError::NoAtSign);
    }
    if let Some(c) = name.chars().chain(domain.chars()).find(|c| is_forbidden(*c)) {
        return Err(AddressError::InvalidCharacter(c));
    }
    let domain = parse_domain(domain)?;
    if name.len() > NAME_BYTES_MAX {
        return Err(AddressError::NameTooLong);
    }
    if name.len() + 1 + domain.len() > EMAIL_BYTES_MAX {
        return Err(AddressError::TooLong(EMAIL_BYTES_MAX));
    }
    Ok(EmailAddress { name, domain })
}

/// Returns whether a character occurs in no address that this program sends to: it needs quotes or would end a header.
fn is_forbidden(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "<>()[]\\,;:\"".contains(c)
}

/// Returns a domain as A-label in lower case (UTS 46, IDNA 2008 with joiners checked by context).
pub(super) fn parse_domain(domain: &str) -> Result<String, AddressError> {
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| AddressError::InvalidDomain)?;
    Ok(ascii.into_owned())
}

/// Returns a name in lower case and NFC. All forms of sigma and of sharp s become one, as in Unicode case folding.
fn fold_case(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let fold = |c: char| match c {
        // Upper case would make it the dotted i.
        'ı' => vec!['ı'],
        c => c.to_uppercase().flat_map(char::to_lowercase).collect(),
    };
    name.nfd().flat_map(fold).nfc().collect()
}

#[cfg(test)]
mod tests;
