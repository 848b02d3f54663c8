//! Addresses of mailboxes, for the kinds that send mail: read from the configuration, and as the wire wants them.
//!
//! An address that a parser took apart cannot carry a second recipient or a header.

use lettre::Address;
use lettre::message::Mailbox;
use lettre::message::header::{From, Headers};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// The subject of mails that bring none, where neither channel nor provider has one.
pub(super) fn default_subject() -> String {
    "Message".to_owned()
}

/// Reads `"shop@example.org"` or `"Shop <shop@example.org>"`.
pub(super) fn deserialize_mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Mailbox, D::Error> {
    let text = String::deserialize(from)?;
    if text.contains(char::is_control) {
        return Err(D::Error::custom("must be one line without control characters"));
    }
    text.parse().map_err(|_| {
        D::Error::custom("is no address; write \"shop@example.org\" or \"Shop <shop@example.org>\"")
    })
}

/// Like [`mailbox`], for a key that may be left out.
pub(super) fn deserialize_optional_mailbox<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Mailbox>, D::Error> {
    deserialize_mailbox(from).map(Some)
}

/// Reads an address alone, for a key that may be left out.
pub(super) fn deserialize_optional_address<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(from)?;
    let address = text.parse();
    let address = address.map_err(|_| D::Error::custom("is no address; write \"bounces@example.org\""))?;
    Ok(Some(address))
}

/// A recipient's address with its domain as the wire writes it (`xn--…`); none when it is no address.
pub(super) fn parse_recipient(text: &str) -> Option<Address> {
    let (local, domain) = text.rsplit_once('@')?;
    if domain.is_ascii() {
        return text.parse().ok();
    }
    let url = reqwest::Url::parse(&format!("http://{domain}/")).ok()?;
    format!("{local}@{}", url.host_str()?).parse().ok()
}

/// A header's text on one line: a line break in it would begin a header of its own.
pub(super) fn single_line(text: &str) -> String {
    let printable = |letter: char| if letter.is_control() { ' ' } else { letter };
    text.chars().map(printable).collect::<String>().trim().to_owned()
}

/// A name and address as they stand in a header, letters beyond ASCII encoded.
pub(super) fn encode_mailbox(mailbox: &Mailbox) -> String {
    let mut headers = Headers::new();
    headers.set(From::from(lettre::message::Mailboxes::from(mailbox.clone())));
    let header = headers.to_string().replace("\r\n", "");
    header.strip_prefix("From: ").unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_beyond_ascii_is_encoded() {
        let name = "Müller & Co <shop@example.org>".parse().unwrap();
        assert_eq!(
            encode_mailbox(&name),
            "=?utf-8?b?TcO8bGxlciAmIENv?= <shop@example.org>"
        );
        assert_eq!(
            encode_mailbox(&"shop@example.org".parse().unwrap()),
            "shop@example.org"
        );
    }

    #[test]
    fn a_domain_beyond_ascii_is_written_as_the_wire_has_it() {
        let written = parse_recipient("user@bücher.example").unwrap().to_string();
        assert_eq!(written, "user@xn--bcher-kva.example");
        assert_eq!(parse_recipient("user@a b.example"), None);
    }
}
