//! Templates: text with variables such as `{to}`, rendered for each message.
//!
//! A name in braces is a variable, and an unknown name is refused. Every other brace is literal, so that JSON needs no
//! escaping; `{{name}}` is the literal `{name}`. Values are escaped for their context, so a message cannot change the
//! structure of the document. The template engines handlebars and minijinja were considered: they treat the braces of
//! JSON as syntax and escape for HTML only.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use postrider_core::error::{Error, Result};

use super::settings::{HttpSettings, ReceiptSource};
use crate::json_api::escape_json;
use crate::provider::OutboundMessage;

/// Characters that are percent-encoded in a path segment, a query and a form: all but the unreserved ones of RFC 3986.
pub(super) const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How the values of variables are escaped in a context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TemplateEscape {
    /// Unchanged: plain text, header values.
    None,
    /// `%20`: URLs and forms.
    Percent,
    /// `\n`: inside a JSON string.
    Json,
    /// `&lt;`: XML text and attributes.
    Xml,
}

impl TemplateEscape {
    /// Appends the text in escaped form. A parser of the format returns exactly `text` from it.
    pub fn write(self, text: &str, out: &mut String) {
        match self {
            Self::None => out.push_str(text),
            Self::Percent => out.extend(utf8_percent_encode(text, RESERVED)),
            Self::Json => out.push_str(&escape_json(text)),
            Self::Xml => text.chars().for_each(|character| write_xml(character, out)),
        }
    }
}

/// Appends an XML character. XML 1.0 cannot represent most control characters; they become U+FFFD.
fn write_xml(character: char, out: &mut String) {
    match character {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        '\'' => out.push_str("&apos;"),
        '\t' | '\n' | '\r' => {
            let _ = write!(out, "&#{};", u32::from(character));
        }
        '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
        _ => out.push(character),
    }
}

/// A variable whose value depends on the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TemplateVariable {
    To,
    ToDigits,
    /// The sender that the client named; empty if it named none.
    From,
    Spelling,
    Subject,
    Body,
    MessageId,
    DeliveryId,
    IdempotencyKey,
    Parts,
}

/// The values of the variables that do not depend on the message.
#[derive(Clone, Debug)]
pub(super) struct TemplateConstants {
    /// The provider's name.
    pub provider: String,
    /// The public URL of the gateway, without a slash at the end.
    pub public_url: String,
    /// The callback URL with its token, for a provider with `receipts = "texting"`.
    pub delivery_status_url: Option<String>,
}

impl TemplateConstants {
    /// Returns the constants of a provider.
    pub fn new(provider: &str, public_url: &str, callback_token: &str, settings: &HttpSettings) -> Self {
        let public_url = public_url.trim_end_matches('/').to_owned();
        let is_texting = matches!(settings.receipts, Some(ReceiptSource::Texting));
        let delivery_status_url =
            is_texting.then(|| format!("{public_url}/messages/delivery_status?token={callback_token}"));
        Self { provider: provider.to_owned(), public_url, delivery_status_url }
    }
}

/// The variables whose value depends on the message, by name. docs/src/providers/http.md describes every variable.
const MESSAGE_VARIABLES: [(&str, TemplateVariable); 10] = [
    ("to", TemplateVariable::To),
    ("to_digits", TemplateVariable::ToDigits),
    ("spelling", TemplateVariable::Spelling),
    ("from", TemplateVariable::From),
    ("subject", TemplateVariable::Subject),
    ("body", TemplateVariable::Body),
    ("message_id", TemplateVariable::MessageId),
    ("delivery_id", TemplateVariable::DeliveryId),
    ("key", TemplateVariable::IdempotencyKey),
    ("parts", TemplateVariable::Parts),
];

/// The names of the variables in [`TemplateConstants`].
const CONSTANT_NAMES: [&str; 3] = ["callback_url", "delivery_status_url", "provider"];

#[derive(Clone, Debug, PartialEq, Eq)]
enum TemplateSegment {
    Text(String),
    Variable(TemplateVariable),
}

/// A parsed template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    segments: Vec<TemplateSegment>,
    escape: TemplateEscape,
}

impl Template {
    /// Parses a text in the syntax of the target, such as a URL or a JSON document: literals are not escaped.
    pub fn parse_document(text: &str, escape: TemplateEscape, constants: &TemplateConstants) -> Result<Self> {
        Self::parse(text, TemplateEscape::None, escape, constants)
    }

    /// Parses a plain value, such as that of a form field: literals are escaped as well.
    pub fn parse_value(text: &str, escape: TemplateEscape, constants: &TemplateConstants) -> Result<Self> {
        Self::parse(text, escape, escape, constants)
    }

    fn parse(
        text: &str,
        literal_escape: TemplateEscape,
        escape: TemplateEscape,
        constants: &TemplateConstants,
    ) -> Result<Self> {
        let mut template = Self { segments: Vec::new(), escape };
        let mut unparsed = text;
        while let Some(brace) = unparsed.find('{') {
            template.push_text_with(|out| literal_escape.write(&unparsed[..brace], out));
            unparsed = &unparsed[brace..];
            unparsed = if let Some(name) = braced_name(unparsed, "{{", "}}") {
                template.push_text_with(|out| literal_escape.write(&unparsed[1..name.len() + 3], out));
                &unparsed[name.len() + 4..]
            } else if let Some(name) = braced_name(unparsed, "{", "}") {
                template.push_variable(name, constants)?;
                &unparsed[name.len() + 2..]
            } else {
                template.push_text_with(|out| literal_escape.write("{", out));
                &unparsed[1..]
            };
        }
        template.push_text_with(|out| literal_escape.write(unparsed, out));
        template.segments.retain(|segment| *segment != TemplateSegment::Text(String::new()));
        Ok(template)
    }

    /// Calls `write` with the text at the end of the template.
    fn push_text_with(&mut self, write: impl FnOnce(&mut String)) {
        if let Some(TemplateSegment::Text(text)) = self.segments.last_mut() {
            write(text);
        } else {
            let mut new_text = String::new();
            write(&mut new_text);
            self.segments.push(TemplateSegment::Text(new_text));
        }
    }

    fn push_variable(&mut self, name: &str, constants: &TemplateConstants) -> Result<()> {
        if let Some((_, variable)) = MESSAGE_VARIABLES.iter().find(|(known_name, _)| *known_name == name) {
            self.segments.push(TemplateSegment::Variable(*variable));
            return Ok(());
        }
        let constant = constant_value(name, constants)?;
        let escape = self.escape;
        self.push_text_with(|out| escape.write(&constant, out));
        Ok(())
    }

    /// Appends another template with the same escaping.
    pub fn append(&mut self, other: Self) {
        for segment in other.segments {
            match segment {
                TemplateSegment::Text(text) => self.append_text(&text),
                TemplateSegment::Variable(_) => self.segments.push(segment),
            }
        }
    }

    /// Appends a literal text in the syntax of the target.
    pub fn append_text(&mut self, text: &str) {
        self.push_text_with(|out| out.push_str(text));
    }

    /// Returns whether the template has no variables.
    pub fn is_constant(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, TemplateSegment::Text(_)))
    }

    /// Renders the text for a message.
    pub fn render(&self, message: &OutboundMessage) -> String {
        let mut out = String::with_capacity(self.estimated_bytes(message));
        for segment in &self.segments {
            match segment {
                TemplateSegment::Text(text) => out.push_str(text),
                TemplateSegment::Variable(variable) => self.write_variable(*variable, message, &mut out),
            }
        }
        out
    }

    fn write_variable(&self, variable: TemplateVariable, message: &OutboundMessage, out: &mut String) {
        // Writing to a String cannot fail. Ids and numbers need no escaping in any format.
        let _ = match variable {
            TemplateVariable::To => return self.escape.write(&message.to, out),
            TemplateVariable::ToDigits => {
                let digits = message.to.strip_prefix('+').unwrap_or(&message.to);
                return self.escape.write(digits, out);
            }
            TemplateVariable::Spelling => return self.escape.write(&message.spelling, out),
            TemplateVariable::From => {
                return self.escape.write(message.sender.as_deref().unwrap_or_default(), out);
            }
            TemplateVariable::Subject => {
                let subject = message.subject.as_deref().unwrap_or_default();
                return self.escape.write(subject, out);
            }
            TemplateVariable::Body => return self.escape.write(&message.body, out),
            TemplateVariable::MessageId => write!(out, "{}", message.message_id),
            TemplateVariable::DeliveryId => write!(out, "{}", message.delivery_id),
            TemplateVariable::IdempotencyKey => write!(out, "{}-{}", message.delivery_id, message.round),
            TemplateVariable::Parts => write!(out, "{}", message.parts),
        };
    }

    /// Estimates the length of the rendered text, in bytes.
    fn estimated_bytes(&self, message: &OutboundMessage) -> usize {
        let segment_bytes = self.segments.iter().map(|segment| match segment {
            TemplateSegment::Text(text) => text.len(),
            TemplateSegment::Variable(TemplateVariable::Body) => message.body.len() + message.body.len() / 2,
            TemplateSegment::Variable(_) => 40,
        });
        segment_bytes.sum()
    }
}

fn constant_value(name: &str, constants: &TemplateConstants) -> Result<String> {
    let TemplateConstants { provider, public_url, delivery_status_url } = constants;
    match name {
        "callback_url" => Ok(format!("{public_url}/v1/receipts/{provider}")),
        "delivery_status_url" => delivery_status_url.clone().ok_or_else(|| {
            Error::usage(
                "the variable {delivery_status_url} needs receipts = \"texting\"; add it, or use {callback_url}",
            )
        }),
        "provider" => Ok(provider.clone()),
        _ => {
            let variables = variable_names().map(|known_name| format!("{{{known_name}}}"));
            let variables = variables.collect::<Vec<_>>().join(", ");
            Err(Error::usage(format!(
                "unknown variable {{{name}}}; use one of {variables}, or write {{{{{name}}}}} for the literal text"
            )))
        }
    }
}

fn variable_names() -> impl Iterator<Item = &'static str> {
    MESSAGE_VARIABLES.iter().map(|(name, _)| *name).chain(CONSTANT_NAMES)
}

/// Returns the name between the braces at the start of the text.
fn braced_name<'a>(text: &'a str, open: &str, close: &str) -> Option<&'a str> {
    let after_open = text.strip_prefix(open)?;
    let name_end =
        after_open.find(|character: char| !character.is_ascii_alphanumeric() && character != '_')?;
    let (name, after_name) = after_open.split_at(name_end);
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    (is_name && after_name.starts_with(close)).then_some(name)
}

#[cfg(test)]
mod tests;
