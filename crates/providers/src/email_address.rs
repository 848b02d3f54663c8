//! Email addresses and subjects, for the kinds that send email.
//!
//! A parsed address cannot contain a second recipient or another header. lettre parses addresses; `Url` encodes their
//! international domains.

use std::borrow::Cow;

use crate::provider::OutboundMessage;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use lettre::Address;
use lettre::message::Mailbox;
use lettre::message::header::{From, Headers};
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

/// Returns the subject of an email if the message, the channel and the settings have none.
pub(super) fn default_subject() -> String {
    "Message".to_owned()
}

const INVALID_DOMAIN: &str = "the domain of the email address is not valid";

/// Deserialises `"shop@example.org"` or `"Shop <shop@example.org>"`.
pub(super) fn deserialize_mailbox<'de, D: Deserializer<'de>>(from: D) -> Result<Mailbox, D::Error> {
    let mailbox = String::deserialize(from)?;
    if mailbox.contains(char::is_control) {
        return Err(D::Error::custom("must be one line without control characters"));
    }
    let has_comma = mailbox.contains(',') && !mailbox.contains('"');
    let mailbox: Mailbox = mailbox.parse().map_err(|_| {
        let remedy = if has_comma {
            "; a name with a comma needs quotes: \"\\\"Shop, Inc.\\\" <shop@example.org>\""
        } else {
            ""
        };
        D::Error::custom(format!(
            "not an email address; write \"shop@example.org\" or \"Shop <shop@example.org>\"{remedy}"
        ))
    })?;
    let email = with_ascii_domain(mailbox.email).ok_or_else(|| D::Error::custom(INVALID_DOMAIN))?;
    Ok(Mailbox { email, ..mailbox })
}

/// Returns the address with its domain in ASCII (`xn--…`), which every server accepts.
fn with_ascii_domain(address: Address) -> Option<Address> {
    if address.domain().is_ascii() { Some(address) } else { parse_recipient(address.as_ref()) }
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
    let address = String::deserialize(from)?.parse();
    let address =
        address.map_err(|_| D::Error::custom("not an email address; write \"bounces@example.org\""))?;
    with_ascii_domain(address).map(Some).ok_or_else(|| D::Error::custom(INVALID_DOMAIN))
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
    let subject = subject.unwrap_or_default().trim_matches(char::is_control);
    if subject.trim().is_empty() {
        return Cow::Borrowed(default);
    }
    // A line break would begin another header.
    Cow::Owned(subject.replace(char::is_control, " "))
}

/// Maximum number of bytes of a text in one encoded word: 45 bytes are 60 characters in base64, and an encoded word has
/// at most 75 characters (RFC 2047).
const ENCODED_WORD_BYTES: usize = 45;

/// Encodes a header text so that it arrives as it is. A text is written plainly only when every character is printable
/// ASCII, it has single blanks between its words and none of them looks like an encoded word; otherwise the whole text
/// is encoded, because blanks between encoded words are lost.
pub(super) fn encode_header_text(header_text: &str) -> String {
    let is_plain = header_text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
        && !header_text.contains("=?")
        && !header_text.contains("  ")
        && header_text.trim() == header_text
        && header_text.split(' ').all(|word| word.len() <= PLAIN_WORD_BYTES_MAX);
    if is_plain {
        return fold(header_text.split(' '));
    }
    let mut chunks = vec![String::new()];
    for character in header_text.chars() {
        if chunks.last().is_some_and(|chunk| chunk.len() + character.len_utf8() > ENCODED_WORD_BYTES) {
            chunks.push(String::new());
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(character);
        }
    }
    let encoded: Vec<String> =
        chunks.iter().map(|chunk| format!("=?utf-8?b?{}?=", BASE64.encode(chunk))).collect();
    fold(encoded.iter().map(String::as_str))
}

/// Maximum length of a plain word, so that no line of the header is longer than 998 bytes (RFC 5322).
const PLAIN_WORD_BYTES_MAX: usize = 900;

/// Length of a line after which the header continues on the next line.
const HEADER_LINE_BYTES: usize = 76;

/// Joins words with blanks, and begins a new line before a word that would make the line too long.
fn fold<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut folded = String::new();
    // The first word follows the name of the header on the same line.
    let mut line_bytes = "Subject: ".len();
    for header_word in words {
        if !folded.is_empty() {
            let is_full = line_bytes + 1 + header_word.len() > HEADER_LINE_BYTES;
            folded.push_str(if is_full { "\r\n " } else { " " });
            line_bytes = if is_full { 1 } else { line_bytes + 1 };
        }
        folded.push_str(header_word);
        line_bytes += header_word.len();
    }
    folded
}

/// Returns the sender of a mail: the message's own, or else that of the settings.
pub(super) fn from_mailbox(message: &OutboundMessage, default: &Mailbox) -> Mailbox {
    let own_address = message.email_sender().and_then(parse_recipient);
    own_address.map_or_else(|| default.clone(), |address| Mailbox::new(None, address))
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
