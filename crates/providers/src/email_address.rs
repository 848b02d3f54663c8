//! Email addresses and subjects, for the kinds that send email.
//!
//! A parsed address cannot contain a second recipient or another header. lettre parses addresses; `Url` encodes their
//! international domains.

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
    let mailbox = String::deserialize(from)?;
    if mailbox.contains(char::is_control) {
        return Err(D::Error::custom("must be one line without control characters"));
    }
    mailbox.parse().map_err(|_| {
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
    let address = String::deserialize(from)?.parse().map(Some);
    address.map_err(|_| D::Error::custom("not an email address; write \"bounces@example.org\""))
}

/// Parses a recipient's address and encodes its domain in ASCII (`xn--…`).
pub(super) fn parse_recipient(address: &str) -> Option<Address> {
    let (local_part, domain) = address.rsplit_once('@')?;
    if domain.is_ascii() {
        return address.parse().ok();
    }
    let domain_url = reqwest::Url::parse(&format!("http://{domain}/")).ok()?;
    format!("{local_part}@{}", domain_url.host_str()?).parse().ok()
}

/// Returns the subject of a message on one line, or `default` when the message has none.
pub(super) fn subject_or<'a>(subject: Option<&str>, default: &'a str) -> Cow<'a, str> {
    // A line break would begin another header.
    let subject = subject.unwrap_or_default().replace(char::is_control, " ").trim().to_owned();
    if subject.is_empty() { Cow::Borrowed(default) } else { Cow::Owned(subject) }
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
