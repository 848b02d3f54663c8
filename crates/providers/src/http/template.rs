//! Templates: text with places such as `{to}` that are filled in for each message.
//!
//! Only a known name in braces is a place; every other brace is literal, so that JSON can be written as it is.
//! An unknown name in braces is refused, `{{name}}` stands for a literal `{name}`. What is filled in is escaped
//! by where it stands, so no message can break out of its place. Nothing is ever run or looked up.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::OutboundMessage;
use postrider_core::error::{Error, Result};

/// All that must be escaped inside a path segment, a query and a form: everything but RFC 3986's "unreserved".
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// How a filled-in text is written, by where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TemplateEscape {
    /// As it is: plain text, header values.
    None,
    /// `%20`: URLs and forms.
    Percent,
    /// `\n`: inside a JSON string.
    Json,
    /// `&lt;`: XML text and attributes.
    Xml,
}

impl TemplateEscape {
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
enum TemplateVariable {
    To,
    ToDigits,
    Spelling,
    Subject,
    Body,
    MessageId,
    DeliveryId,
    IdempotencyKey,
    Parts,
}

/// What is the same for every message of a provider.
#[derive(Clone, Debug)]
pub(super) struct TemplateConstants {
    /// The provider's name.
    pub provider: String,
    /// How the outside reaches us, without a slash at the end.
    pub public_url: String,
    /// Where receipts of `receipts = "texting"` go, with their token; none for other providers.
    pub delivery_status_url: Option<String>,
}

/// Every name, with what it stands for in the documents.
pub(super) const VARIABLE_NAMES: [(&str, &str); 12] = [
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
enum TemplateSegment {
    Text(String),
    Variable(TemplateVariable),
}

/// A text with places, taken apart once.
#[derive(Clone, Debug)]
pub(super) struct Template {
    segments: Vec<TemplateSegment>,
    escape: TemplateEscape,
}

impl Template {
    /// A text that is written in the target's syntax already, such as a URL or a JSON document.
    pub fn parse_document(text: &str, escape: TemplateEscape, constants: &TemplateConstants) -> Result<Self> {
        Self::parse(text, TemplateEscape::None, escape, constants)
    }

    /// A plain value whose literal parts must be escaped as well, such as the value of a form's field.
    pub fn parse_value(text: &str, escape: TemplateEscape, constants: &TemplateConstants) -> Result<Self> {
        Self::parse(text, escape, escape, constants)
    }

    fn parse(
        text: &str,
        literal: TemplateEscape,
        escape: TemplateEscape,
        constants: &TemplateConstants,
    ) -> Result<Self> {
        let mut template = Self {
            segments: Vec::new(),
            escape,
        };
        let mut rest = text;
        while let Some(start) = rest.find('{') {
            template.push_text_with(|out| literal.write(&rest[..start], out));
            rest = &rest[start..];
            rest = if let Some(name) = braced_name(rest, "{{", "}}") {
                template.push_text_with(|out| literal.write(&rest[1..name.len() + 3], out));
                &rest[name.len() + 4..]
            } else if let Some(name) = braced_name(rest, "{", "}") {
                template.push_variable(name, constants)?;
                &rest[name.len() + 2..]
            } else {
                template.push_text_with(|out| literal.write("{", out));
                &rest[1..]
            };
        }
        template.push_text_with(|out| literal.write(rest, out));
        template
            .segments
            .retain(|piece| *piece != TemplateSegment::Text(String::new()));
        Ok(template)
    }

    /// Lets `write` put text at the end.
    fn push_text_with(&mut self, write: impl FnOnce(&mut String)) {
        if let Some(TemplateSegment::Text(text)) = self.segments.last_mut() {
            write(text);
        } else {
            let mut text = String::new();
            write(&mut text);
            self.segments.push(TemplateSegment::Text(text));
        }
    }

    fn push_variable(&mut self, name: &str, constants: &TemplateConstants) -> Result<()> {
        let word = match name {
            "to" => TemplateVariable::To,
            "to_digits" => TemplateVariable::ToDigits,
            "spelling" => TemplateVariable::Spelling,
            "subject" => TemplateVariable::Subject,
            "body" => TemplateVariable::Body,
            "message_id" => TemplateVariable::MessageId,
            "delivery_id" => TemplateVariable::DeliveryId,
            "key" => TemplateVariable::IdempotencyKey,
            "parts" => TemplateVariable::Parts,
            _ => {
                let text = constant_value(name, constants)?;
                let escape = self.escape;
                self.push_text_with(|out| escape.write(&text, out));
                return Ok(());
            }
        };
        self.segments.push(TemplateSegment::Variable(word));
        Ok(())
    }

    /// Puts another template behind this one. Both escape alike.
    pub fn append(&mut self, other: Self) {
        for piece in other.segments {
            match piece {
                TemplateSegment::Text(text) => self.append_text(&text),
                TemplateSegment::Variable(_) => self.segments.push(piece),
            }
        }
    }

    /// Puts a literal text, in the target's syntax, behind this template.
    pub fn append_text(&mut self, text: &str) {
        self.push_text_with(|out| out.push_str(text));
    }

    /// Whether it is the same for every message.
    pub fn is_constant(&self) -> bool {
        self.segments
            .iter()
            .all(|piece| matches!(piece, TemplateSegment::Text(_)))
    }

    /// The text for one message.
    pub fn render(&self, parcel: &OutboundMessage) -> String {
        let mut out = String::with_capacity(self.estimated_bytes(parcel));
        for piece in &self.segments {
            match piece {
                TemplateSegment::Text(text) => out.push_str(text),
                TemplateSegment::Variable(word) => self.write_variable(*word, parcel, &mut out),
            }
        }
        out
    }

    fn write_variable(&self, word: TemplateVariable, parcel: &OutboundMessage, out: &mut String) {
        // Writing to a String cannot fail; ids and numbers need no escaping anywhere.
        let _ = match word {
            TemplateVariable::To => return self.escape.write(&parcel.to, out),
            TemplateVariable::ToDigits => {
                let digits = parcel.to.strip_prefix('+').unwrap_or(&parcel.to);
                return self.escape.write(digits, out);
            }
            TemplateVariable::Spelling => return self.escape.write(&parcel.spelling, out),
            TemplateVariable::Subject => {
                let subject = parcel.subject.as_deref().unwrap_or_default();
                return self.escape.write(subject, out);
            }
            TemplateVariable::Body => return self.escape.write(&parcel.body, out),
            TemplateVariable::MessageId => write!(out, "{}", parcel.message_id),
            TemplateVariable::DeliveryId => write!(out, "{}", parcel.delivery_id),
            TemplateVariable::IdempotencyKey => write!(out, "{}-{}", parcel.delivery_id, parcel.round),
            TemplateVariable::Parts => write!(out, "{}", parcel.parts),
        };
    }

    /// About how long the filled template will be.
    fn estimated_bytes(&self, parcel: &OutboundMessage) -> usize {
        let lengths = self.segments.iter().map(|piece| match piece {
            TemplateSegment::Text(text) => text.len(),
            TemplateSegment::Variable(TemplateVariable::Body) => parcel.body.len() + parcel.body.len() / 2,
            TemplateSegment::Variable(_) => 40,
        });
        lengths.sum()
    }
}

fn constant_value(name: &str, constants: &TemplateConstants) -> Result<String> {
    let TemplateConstants {
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
            let names = VARIABLE_NAMES.map(|(name, _)| format!("{{{name}}}")).join(", ");
            Err(Error::usage(format!(
                "the place {{{name}}} is unknown; use one of {names}, or write {{{{{name}}}}} for the literal text"
            )))
        }
    }
}

/// The name between the braces at the start of the text, if there is one.
fn braced_name<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let inner = text.strip_prefix(open)?;
    let end = inner.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')?;
    let name = &inner[..end];
    let begins_well = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    (begins_well && inner[end..].starts_with(close)).then_some(name)
}

#[cfg(test)]
mod tests;
