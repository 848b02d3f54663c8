//! Email addresses and subjects, for the kinds that send email.
//!
//! A parsed address cannot contain a second recipient or another header.

use std::borrow::Cow;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::message::header::{From, Headers};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Returns the subject of an email when neither message, channel nor settings have one.
pub(super) fn default_subject() -> String {
    "Message".to_owned()
}

/// Deserialises `"shop@example.org"` or `"Shop <shop@example.org>"`.
pub(super) fn deserialize_mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Mailbox, D::Error> {
    let text = String::deserialize(from)?;
    if text.contains(char::is_control) {
        return Err(D::Error::custom("must be one line without control characters"));
    }
    text.parse().map_err(|_| {
        D::Error::custom("not an email address; write \"shop@example.org\" or \"Shop <shop@example.org>\"")
    })
}

/// Deserialises a mailbox of an optional key.
pub(super) fn deserialize_optional_mailbox<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Mailbox>, D::Error> {
    deserialize_mailbox(from).map(Some)
}

/// Deserialises an address without a name, of an optional key.
pub(super) fn deserialize_optional_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(from)?;
    let address = text.parse();
    let address =
        address.map_err(|_| D::Error::custom("not an email address; write \"bounces@example.org\""))?;
    Ok(Some(address))
}

/// Parses a recipient's address and encodes its domain in ASCII (`xn--…`).
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

/// Returns the text on one line: a line break would begin another header.
fn single_line(text: &str) -> String {
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().map(printable).collect::<String>().trim().to_owned()
}

/// Encodes a name and an address for a header.
pub(super) fn encode_mailbox(mailbox: &Mailbox) -> String {
    let mut headers = Headers::new();
    headers.set(From::from(lettre::message::Mailboxes::from(mailbox.clone())));
    let header = headers.to_string().replace("\r\n", "");
    header.strip_prefix("From: ").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
