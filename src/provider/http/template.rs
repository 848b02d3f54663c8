//! Templates: text with places such as `{to}` that are filled in for each message.
//!
//! Only a known name in braces is a place; every other brace is literal, so that JSON can be written as it is.
//! An unknown name in braces is refused, `{{name}}` stands for a literal `{name}`. What is filled in is escaped
//! by where it stands, so no message can break out of its place. Nothing is ever run or looked up.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, Result};
use crate::provider::Parcel;

/// All that must be escaped inside a path segment, a query and a form: everything but RFC 3986's "unreserved".
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a filled-in text is written, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// As it is: plain text, header values.
    None,
    /// `%20`: URLs and forms.
    Percent,
    /// `\n`: inside a JSON string.
    Json,
    /// `&lt;`: XML text and attributes.
    Xml,
}

impl Escape {
    /// Writes the text so that its reader gets back exactly this text.
    pub fn write(self, text: &str, out: &mut String) {
        match self {
            Self::None => out.push_str(text),
            Self::Percent => out.extend(utf8_percent_encode(text, RESERVED)),
            Self::Json => write_json(text, out),
            Self::Xml => text.chars().for_each(|letter| write_xml(letter, out)),
        }
    }
}

/// The inside of a JSON string.
fn write_json(text: &str, out: &mut String) {
    let mut plain = 0;
    for (index, byte) in text.bytes().enumerate() {
        let escaped = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..=0x1f => "",
            _ => continue,
        };
        out.push_str(&text[plain..index]);
        plain = index + 1;
        if escaped.is_empty() {
            // Writing to a String cannot fail.
            let _ = write!(out, "\\u{byte:04x}");
        } else {
            out.push_str(escaped);
        }
    }
    out.push_str(&text[plain..]);
}

/// XML 1.0 has no way to write most control characters, so they become the replacement character.
fn write_xml(letter: char, out: &mut String) {
    match letter {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        '\t' | '\n' | '\r' => {
            let _ = write!(out, "&#{};", u32::from(letter));
        }
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
        _ => out.push(letter),
    }
}

/// What differs from message to message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    To,
    ToDigits,
    Spelling,
    Subject,
    Body,
    MessageId,
    DeliveryId,
    Key,
    Parts,
}

/// What is the same for every message of a provider.
#[derive(Clone, Debug)]
pub(super) struct Constants {
    /// The provider's name.
    pub provider: String,
    /// How the outside reaches us, without a slash at the end.
    pub public_url: String,
    /// Where receipts of `receipts = "texting"` go, with their token; none for other providers.
    pub delivery_status_url: Option<String>,
}

/// Every name, with what it stands for in the documents.
pub(super) const NAMES: [(&str, &str); 12] = [
    ("to", "the address: +989122222222"),
    ("to_digits", "the address without its +"),
    ("spelling", "the address as the client wrote it"),
    ("subject", "the message's subject, or the channel's; else nothing"),
    ("body", "the text"),
    ("message_id", "our id of the message, a UUID"),
    ("delivery_id", "our number of the delivery, the same in every try"),
    ("key", "delivery and round: a new idempotency key for each try"),
    (
        "callback_url",
        "where this provider's receipts go: /v1/receipts/NAME of our public URL",
    ),
    (
        "delivery_status_url",
        "with receipts = \"texting\": /messages/delivery_status of our public URL, with this provider's token",
    ),
    ("parts", "how many text parts it has"),
    ("provider", "the provider's name in our configuration"),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Word(Word),
}

/// A text with places, taken apart once.
#[derive(Clone, Debug)]
pub(super) struct Template {
    pieces: Vec<Piece>,
    escape: Escape,
}

impl Template {
    /// A text that is written in the target's syntax already, such as a URL or a JSON document.
    pub fn document(text: &str, escape: Escape, constants: &Constants) -> Result<Self> {
        Self::read(text, Escape::None, escape, constants)
    }

    /// A plain value whose literal parts must be escaped as well, such as the value of a form's field.
    pub fn value(text: &str, escape: Escape, constants: &Constants) -> Result<Self> {
        Self::read(text, escape, escape, constants)
    }

    fn read(text: &str, literal: Escape, escape: Escape, constants: &Constants) -> Result<Self> {
        let mut template = Self {
            pieces: Vec::new(),
            escape,
        };
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            template.text(|out| literal.write(&rest[..start], out));
            rest = &rest[start..];
            rest = if let Some(name) = name_in(rest, "{{", "}}") {
                template.text(|out| literal.write(&rest[1..name.len() + 3], out));
                &rest[name.len() + 4..]
            } else if let Some(name) = name_in(rest, "{", "}") {
                template.place(name, constants)?;
                &rest[name.len() + 2..]
            } else {
                template.text(|out| literal.write("{", out));
                &rest[1..]
            };
        }
        template.text(|out| literal.write(rest, out));
        template
            .pieces
            .retain(|piece| *piece != Piece::Text(String::new()));
        Ok(template)
    }

    /// Lets `write` put text at the end.
    fn text(&mut self, write: impl FnOnce(&mut String)) {
        if let Some(Piece::Text(text)) = self.pieces.last_mut() {
            write(text);
        } else {
            let mut text = String::new();
            write(&mut text);
            self.pieces.push(Piece::Text(text));
        }
    }

    fn place(&mut self, name: &str, constants: &Constants) -> Result<()> {
        let word = match name {
            "to" => Word::To,
            "to_digits" => Word::ToDigits,
            "spelling" => Word::Spelling,
            "subject" => Word::Subject,
            "body" => Word::Body,
            "message_id" => Word::MessageId,
            "delivery_id" => Word::DeliveryId,
            "key" => Word::Key,
            "parts" => Word::Parts,
            _ => {
                let text = constant(name, constants)?;
                let escape = self.escape;
                self.text(|out| escape.write(&text, out));
                return Ok(());
            }
        };
        self.pieces.push(Piece::Word(word));
        Ok(())
    }

    /// Puts another template behind this one. Both escape alike.
    pub fn append(&mut self, other: Self) {
        for piece in other.pieces {
            match piece {
                Piece::Text(text) => self.append_text(&text),
                Piece::Word(_) => self.pieces.push(piece),
            }
        }
    }

    /// Puts a literal text, in the target's syntax, behind this template.
    pub fn append_text(&mut self, text: &str) {
        self.text(|out| out.push_str(text));
    }

    /// Whether it is the same for every message.
    pub fn is_fixed(&self) -> bool {
        self.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)))
    }

    /// The text for one message.
    pub fn fill(&self, parcel: &Parcel) -> String {
        let mut out = String::with_capacity(self.room(parcel));
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Word(word) => self.write(*word, parcel, &mut out),
            }
        }
        out
    }

    fn write(&self, word: Word, parcel: &Parcel, out: &mut String) {
        // Writing to a String cannot fail; ids and numbers need no escaping anywhere.
        let _ = match word {
            Word::To => return self.escape.write(&parcel.to, out),
            Word::ToDigits => {
                let digits = parcel.to.strip_prefix('+').unwrap_or(&parcel.to);
                return self.escape.write(digits, out);
            }
            Word::Spelling => return self.escape.write(&parcel.spelling, out),
            Word::Subject => {
                let subject = parcel.subject.as_deref().unwrap_or_default();
                return self.escape.write(subject, out);
            }
            Word::Body => return self.escape.write(&parcel.body, out),
            Word::MessageId => write!(out, "{}", parcel.message),
            Word::DeliveryId => write!(out, "{}", parcel.delivery),
            Word::Key => write!(out, "{}-{}", parcel.delivery, parcel.round),
            Word::Parts => write!(out, "{}", parcel.parts),
        };
    }

    /// About how long the filled template will be.
    fn room(&self, parcel: &Parcel) -> usize {
        let lengths = self.pieces.iter().map(|piece| match piece {
            Piece::Text(text) => text.len(),
            Piece::Word(Word::Body) => parcel.body.len() + parcel.body.len() / 2,
            Piece::Word(_) => 40,
        });
        lengths.sum()
    }
}

fn constant(name: &str, constants: &Constants) -> Result<String> {
    let Constants {
        provider,
        public_url,
        delivery_status_url,
    } = constants;
    match name {
        "callback_url" => Ok(format!("{public_url}/v1/receipts/{provider}")),
        "delivery_status_url" => delivery_status_url.clone().ok_or_else(|| {
            Error::usage(
                "the place {delivery_status_url} needs receipts = \"texting\", without which nothing is taken there; \
                 add it, or use {callback_url}",
            )
        }),
        "provider" => Ok(provider.clone()),
        _ => {
            let names = NAMES.map(|(name, _)| format!("{{{name}}}")).join(", ");
            Err(Error::usage(format!(
                "the place {{{name}}} is unknown; use one of {names}, or write {{{{{name}}}}} for the literal text"
            )))
        }
    }
}

/// The name between the braces at the start of the text, if there is one.
fn name_in<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    let name = &inner[..end];
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    (begins_well && inner[end..].starts_with(close)).then_some(name)
}

#[cfg(test)]
mod tests;
