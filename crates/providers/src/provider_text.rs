//! Sanitises the text that providers send: reasons, message ids.
//!
//! Provider text is untrusted. It is cut to a maximum length and stripped of control and format characters before it is
//! stored, so that it cannot change a terminal or the order of a line.

use postrider_core::printable::{is_format_character, to_printable};

/// Maximum length of a reason, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Maximum length of a provider's message id, in bytes.
const REFERENCE_BYTES_MAX: usize = 256;

/// Returns the text on one line, without control characters, cut to 200 characters.
pub(crate) fn sanitize_text(text: &str) -> String {
    // Whitespace may be collapsed, so four times the maximum length is examined. The rest of a long text is ignored.
    let examined = to_printable(&text.chars().take(REASON_CHARS_MAX * 4).collect::<String>());
    let words = examined.split(char::is_whitespace);
    let line = words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    line.chars().take(REASON_CHARS_MAX).collect()
}

/// Returns `description: text`, sanitised. An empty description or text is left out.
pub(crate) fn join_reasons(description: &str, provider_text: &str) -> String {
    let (description, provider_text) = (sanitize_text(description), sanitize_text(provider_text));
    match (description.is_empty(), provider_text.is_empty()) {
        (_, true) => description,
        (true, false) => provider_text,
        (false, false) => sanitize_text(&format!("{description}: {provider_text}")),
    }
}

/// Returns whether the text contains the word, between characters that are neither letters nor digits.
pub(crate) fn contains_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_alphanumeric()).any(|text_word| text_word == word)
}

/// Returns the trimmed text as a message id, or None when it is empty, longer than 256 bytes or not printable.
pub(crate) fn parse_reference(text: &str) -> Option<String> {
    let reference = text.trim();
    let is_unprintable = |character: char| character.is_control() || is_format_character(character);
    let is_valid =
        (1..=REFERENCE_BYTES_MAX).contains(&reference.len()) && !reference.contains(is_unprintable);
    is_valid.then(|| reference.to_owned())
}

#[cfg(test)]
mod tests;
