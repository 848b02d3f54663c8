//! Reads TwiML: the `Message` elements of a `Response`.
//!
//! Knows elements, attributes, the predefined and numeric character references, CDATA and comments. Other verbs are
//! skipped. `quick-xml` was considered: the answer has at most 64 KiB, two element names matter, and HTML pages, whose
//! tags are removed with the same code, are not well-formed.

use super::routed_message::Reply;

/// A piece of a document.
#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A start tag: name, attributes, and whether it ends itself.
    Start(&'a str, &'a str, bool),
    /// An end tag.
    End(&'a str),
    /// Character data, with references replaced.
    Text(String),
}

/// Returns the replies of a TwiML document.
///
/// # Errors
///
/// Returns why the document is not TwiML.
pub fn replies(document: &str) -> Result<Vec<Reply>, String> {
    let mut replies = Vec::new();
    let mut has_response = false;
    // The elements that are open; the text of a message is inside `Response/Message` or `Response/Message/Body`.
    let mut open: Vec<&str> = Vec::new();
    for token in tokens(document)? {
        match token {
            Token::Start(name, attributes, is_empty) => {
                has_response |= open.is_empty() && name == "Response";
                if open == ["Response"] && name == "Message" {
                    replies.push(Reply { to: attribute(attributes, "to"), body: String::new() });
                }
                if !is_empty {
                    open.push(name);
                }
            }
            Token::End(name) => {
                if open.pop() != Some(name) {
                    return Err("the TwiML is not well-formed".to_owned());
                }
            }
            Token::Text(text) => {
                let is_message_text =
                    open == ["Response", "Message"] || open == ["Response", "Message", "Body"];
                if let Some(reply) = replies.last_mut().filter(|_| is_message_text) {
                    reply.body.push_str(&text);
                }
            }
        }
    }
    if !has_response || !open.is_empty() {
        return Err("the answer is not a TwiML Response".to_owned());
    }
    for reply in &mut replies {
        reply.body = reply.body.trim().to_owned();
    }
    replies.retain(|reply| !reply.body.is_empty());
    Ok(replies)
}

/// Returns the text of an HTML or WML page without its tags.
pub fn text_of(document: &str) -> String {
    let texts = tokens(document).unwrap_or_default().into_iter().filter_map(|token| match token {
        Token::Text(text) => Some(text),
        Token::Start(..) | Token::End(_) => None,
    });
    texts.collect::<String>()
}

/// Splits a document into tags and texts. Comments, declarations and processing instructions are left out.
fn tokens(document: &str) -> Result<Vec<Token<'_>>, String> {
    let unclosed = || "the answer has an unclosed tag".to_owned();
    let mut tokens = Vec::new();
    let mut rest = document;
    while let Some(position) = rest.find('<') {
        if position > 0 {
            tokens.push(Token::Text(unescape(&rest[..position])));
        }
        rest = &rest[position..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.split_once("-->").ok_or_else(unclosed)?.1;
        } else if let Some(character_data) = rest.strip_prefix("<![CDATA[") {
            let (text, after) = character_data.split_once("]]>").ok_or_else(unclosed)?;
            tokens.push(Token::Text(text.to_owned()));
            rest = after;
        } else {
            let (tag, after) = rest[1..].split_once('>').ok_or_else(unclosed)?;
            tokens.extend(parse_tag(tag));
            rest = after;
        }
    }
    if !rest.is_empty() {
        tokens.push(Token::Text(unescape(rest)));
    }
    Ok(tokens)
}

/// Parses the inside of a tag; none for a declaration or a processing instruction.
fn parse_tag(tag: &str) -> Option<Token<'_>> {
    if tag.starts_with(['?', '!']) {
        return None;
    }
    if let Some(name) = tag.strip_prefix('/') {
        return Some(Token::End(name.trim()));
    }
    let (inside, is_empty) = match tag.strip_suffix('/') {
        Some(inside) => (inside, true),
        None => (tag, false),
    };
    let inside = inside.trim();
    let (name, attributes) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
    Some(Token::Start(name, attributes, is_empty))
}

/// Returns the value of an attribute.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes.trim_start();
    while let Some((attribute_name, after_name)) = rest.split_once('=') {
        let after_name = after_name.trim_start();
        let quote = after_name.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (value, after_value) = after_name[1..].split_once(quote)?;
        if attribute_name.trim() == name {
            return Some(unescape(value));
        }
        rest = after_value.trim_start();
    }
    None
}

/// Replaces character references. An unknown one stays as it is.
fn unescape(text: &str) -> String {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(position) = rest.find('&') {
        unescaped.push_str(&rest[..position]);
        rest = &rest[position..];
        let reference = rest[1..].split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        match reference {
            Some((c, after)) => {
                unescaped.push(c);
                rest = after;
            }
            None => {
                unescaped.push('&');
                rest = &rest[1..];
            }
        }
    }
    unescaped.push_str(rest);
    unescaped
}

fn character(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex_digits) => u32::from_str_radix(hex_digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    })
}

#[cfg(test)]
mod tests;
