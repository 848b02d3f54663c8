//! Escapes U+0000 in free text, which PostgreSQL cannot store.
//!
//! U+0000 is stored as U+001A "0", and U+001A itself as U+001A "1".

use std::borrow::Cow;

#[cfg(test)]
mod tests;

const ESCAPE: char = '\u{1A}';

/// Returns free text as the columns store it.
pub fn escape_text(text: &str) -> Cow<'_, str> {
    if text.contains(['\0', ESCAPE]) {
        Cow::Owned(text.replace(ESCAPE, "\u{1A}1").replace('\0', "\u{1A}0"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Returns the free text of a column.
pub fn unescape_text(text: String) -> String {
    if text.contains(ESCAPE) { text.replace("\u{1A}0", "\0").replace("\u{1A}1", "\u{1A}") } else { text }
}
