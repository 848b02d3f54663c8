//! Reads the XML that Kannel's smsbox accepts: the texts of elements by their path.
//!
//! A whole XML library is not needed for one flat document. Attributes are ignored, entities other than the five of XML and
//! document type definitions are refused, so that a document cannot grow or read anything.

#[cfg(test)]
mod tests;

use crate::compat::charset;

/// Deepest nesting of elements; Kannel's document has four levels.
const DEPTH_MAX: usize = 16;

/// Returns path (`message/submit/da/number`) and text of every element that has a text, in the order of the document. `None`
/// for a document that is not well-formed.
pub(super) fn element_texts(document: &[u8]) -> Option<Vec<(String, String)>> {
    let text = decode_document(document)?;
    let mut reader = Reader { rest: &text, open: Vec::new(), texts: Vec::new() };
    while !reader.rest.is_empty() {
        reader.read_next()?;
    }
    reader.open.is_empty().then_some(reader.texts)
}

/// Decodes the document by the encoding of its declaration; UTF-8 without one.
fn decode_document(document: &[u8]) -> Option<String> {
    let head_end = document.windows(2).position(|pair| pair == b"?>").unwrap_or(0);
    let head = String::from_utf8_lossy(&document[..head_end]).into_owned();
    let after_name = head.split_once("encoding").map(|(_, rest)| rest.trim_start_matches([' ', '=']));
    let encoding = after_name.and_then(|rest| {
        let quote = rest.chars().next().filter(|character| "'\"".contains(*character))?;
        rest[1..].split(quote).next()
    });
    charset::decode(encoding.unwrap_or("UTF-8"), document)
}

struct Reader<'a> {
    rest: &'a str,
    /// Names and texts of the open elements.
    open: Vec<(&'a str, String)>,
    texts: Vec<(String, String)>,
}

impl<'a> Reader<'a> {
    /// Reads one tag, comment, or text; `None` if it is malformed.
    fn read_next(&mut self) -> Option<()> {
        if let Some(after) = self.rest.strip_prefix("<!--") {
            self.rest = after.split_once("-->")?.1;
        } else if let Some(after) = self.rest.strip_prefix("<![CDATA[") {
            let (data, rest) = after.split_once("]]>")?;
            self.open.last_mut()?.1.push_str(data);
            self.rest = rest;
        } else if let Some(after) = self.rest.strip_prefix("<?") {
            self.rest = after.split_once("?>")?.1;
        } else if let Some(after) = self.rest.strip_prefix("<!") {
            // A document type without definitions, as in Kannel's examples.
            let (definition, rest) = after.split_once('>')?;
            self.rest = rest;
            return (!definition.contains('[')).then_some(());
        } else if let Some(after) = self.rest.strip_prefix("</") {
            let (name, rest) = after.split_once('>')?;
            self.rest = rest;
            self.close(name.trim_end())?;
        } else if let Some(after) = self.rest.strip_prefix('<') {
            self.open_tag(after)?;
        } else {
            let end = self.rest.find('<').unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.rest = rest;
            match self.open.last_mut() {
                Some((_, open_text)) => open_text.push_str(&unescape(text)?),
                None if text.trim().is_empty() => {}
                None => return None,
            }
        }
        Some(())
    }

    fn open_tag(&mut self, after: &'a str) -> Option<()> {
        let end = tag_end(after)?;
        let tag = &after[..end];
        self.rest = &after[end + 1..];
        let name = tag.split([' ', '\t', '\r', '\n', '/']).next().filter(|name| !name.is_empty())?;
        if self.open.len() == DEPTH_MAX {
            return None;
        }
        self.open.push((name, String::new()));
        if tag.ends_with('/') { self.close(name) } else { Some(()) }
    }

    fn close(&mut self, name: &str) -> Option<()> {
        let path = self.open.iter().map(|(name, _)| *name).collect::<Vec<_>>().join("/");
        let (open_name, text) = self.open.pop()?;
        if open_name != name {
            return None;
        }
        self.texts.push((path, text));
        Some(())
    }
}

/// Returns the position of the `>` that ends a tag: outside of quotes.
fn tag_end(tag: &str) -> Option<usize> {
    let mut open_quote = None;
    tag.char_indices().find_map(|(position, character)| {
        match (open_quote, character) {
            (None, '>') => return Some(position),
            (None, '"' | '\'') => open_quote = Some(character),
            (Some(quote), _) if quote == character => open_quote = None,
            _ => {}
        }
        None
    })
}

/// Replaces the entities of XML and numbers of characters.
fn unescape(text: &str) -> Option<String> {
    let mut unescaped = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, entity_and_rest)) = rest.split_once('&') {
        unescaped.push_str(before);
        let (entity, after) = entity_and_rest.split_once(';')?;
        unescaped.push(match entity {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            number => {
                let number = number.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(digits) => u32::from_str_radix(digits, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        rest = after;
    }
    unescaped.push_str(rest);
    Some(unescaped)
}
