//! Email addresses and subjects, for the kinds that send mail.
//!
//! Addresses are parsed, so that they cannot contain a second recipient or a header.

use std::borrow::Cow;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::message::header::{From, Headers};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Returns the subject of mails for which neither the message, the channel nor the provider has one.
pub(super) fn default_subject() -> String {
    "Message".to_owned()
}

/// Deserializes `"shop@example.org"` or `"Shop <shop@example.org>"`.
pub(super) fn deserialize_mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Mailbox, D::Error> {
    let text = String::deserialize(from)?;
    if text.contains(char::is_control) {
        return Err(D::Error::custom("must be one line without control characters"));
    }
    text.parse().map_err(|_| {
        D::Error::custom("is not an email address; write \"shop@example.org\" or \"Shop <shop@example.org>\"")
    })
}

/// Does the same as [`deserialize_mailbox`] for an optional key.
pub(super) fn deserialize_optional_mailbox<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Mailbox>, D::Error> {
    deserialize_mailbox(from).map(Some)
}

/// Deserializes an address without a name, for an optional key.
pub(super) fn deserialize_optional_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(from)?;
    let address = text.parse();
    let address =
        address.map_err(|_| D::Error::custom("is not an email address; write \"bounces@example.org\""))?;
    Ok(Some(address))
}

/// Parses the address of a recipient and encodes its domain (`xn--…`); `None` when it is not an address.
pub(super) fn parse_recipient(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    if domain.is_ascii() {
        return text.parse().ok();
    }
    let url = reqwest::Url::parse(&format!("http://{domain}/")).ok()?;
    format!("{local}@{}", url.host_str()?).parse().ok()
}

/// Returns the subject of a message on one line, or `default` when the message has none.
pub(super) fn subject_or<'a>(subject: Option<&str>, default: &'a str) -> Cow<'a, str> {
    match subject.map(single_line) {
        Some(subject) if !subject.is_empty() => Cow::Owned(subject),
        _ => Cow::Borrowed(default),
    }
}

/// Replaces control characters, because a line break would begin another header.
fn single_line(text: &str) -> String {
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(printable).collect::<String>().trim().to_owned()
}

/// Returns a name and address as a header value, with non-ASCII characters encoded.
pub(super) fn encode_mailbox(mailbox: &Mailbox) -> String {
    let mut headers = Headers::new();
    headers.set(From::from(lettre::message::Mailboxes::from(mailbox.clone())));
    let header = headers.to_string().replace("\r\n", "");
    header.strip_prefix("From: ").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
