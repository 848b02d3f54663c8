//! Escapes U+0000 in free text, which PostgreSQL cannot store.
//!
//! U+0000 is stored as U+001A "0", and U+001A itself as U+001A "1".

use std::borrow::Cow;

#[cfg(test)]
mod tests;

const TEXT_ESCAPE: char = '\u{1A}';

/// Returns free text as the columns store it.
pub fn escape_text(stored_text: &str) -> Cow<'_, str> {
    if stored_text.contains(['\0', TEXT_ESCAPE]) {
        Cow::Owned(stored_text.replace(TEXT_ESCAPE, "\u{1A}1").replace('\0', "\u{1A}0"))
    } else {
        Cow::Borrowed(stored_text)
    }
}

/// Returns the free text of a column.
pub fn unescape_text(text: String) -> String {
    if text.contains(TEXT_ESCAPE) { text.replace("\u{1A}0", "\0").replace("\u{1A}1", "\u{1A}") } else { text }
}
