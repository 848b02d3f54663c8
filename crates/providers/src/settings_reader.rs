//! Reads a kind's own keys from the configuration, and a provider's own words from its answers.
//!
//! Every complaint names the key and never shows a value, which could be a secret. A provider's words are
//! strangers' text: cut short and stripped of control characters before anybody keeps them.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use postrider_core::address::AddressKind;
use postrider_core::duration::{NOT_A_DURATION, parse_duration};
use postrider_core::error::{Error, Result};

/// The longest text of a provider that is kept as a reason, in characters.
const REASON_CHARS_MAX: usize = 200;

/// The longest id of a provider that is taken for one, in bytes.
const REFERENCE_BYTES_MAX: usize = 256;

/// The keys as a type that knows them all. The error names the key and what it should be.
pub(super) fn read_table<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    serde_path_to_error::deserialize(table).map_err(|fault| {
        let path = fault.path().to_string();
        let message = fault.inner().message().to_owned();
        if path == "." {
            Error::usage(message)
        } else {
            Error::usage(format!("{path}: {message}"))
        }
    })
}

/// Reads `"500ms"`, `"30s"` or `"1h 30m"`.
pub(super) fn deserialize_duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse_duration(&text).map_err(|_| D::Error::custom(NOT_A_DURATION))
}

/// Like [`duration`], for a key that may be left out.
pub(super) fn deserialize_optional_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    deserialize_duration(from).map(Some)
}

/// Reads which kind of address a provider wants: `"phone"`, `"email"`, … or `"any"`.
pub(super) fn deserialize_address_kind<'de, D: Deserializer<'de>>(from: D) -> Result<AddressKind, D::Error> {
    let word = String::deserialize(from)?;
    AddressKind::parse(&word).ok_or_else(|| {
        let words = AddressKind::ALL.map(AddressKind::as_str).join(", ");
        D::Error::custom(format!("is no kind of address; write one of: {words}"))
    })
}

/// Like [`address_kind`], for a key that may be left out.
pub(super) fn default_address_kind() -> AddressKind {
    AddressKind::Any
}

/// A provider's words as they may be kept: on one line, at most 200 characters, without control characters.
pub(super) fn sanitize_text(text: &str) -> String {
    // Enough of the text to fill the reason with characters of four bytes; the rest is not looked at.
    let seen = text
        .char_indices()
        .nth(REASON_CHARS_MAX * 4)
        .map_or(text, |(end, _)| &text[..end]);
    let mut kept = String::new();
    for word in seen.split(|letter: char| letter.is_whitespace() || letter.is_control()) {
        if !word.is_empty() {
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(word);
        }
    }
    if let Some((end, _)) = kept.char_indices().nth(REASON_CHARS_MAX) {
        kept.truncate(end);
    }
    kept
}

/// The text as a provider's id, if it can be one: trimmed, not empty, not longer than 256 bytes, printable.
pub(super) fn parse_reference(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=REFERENCE_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_providers_words_are_put_on_one_short_line() {
        assert_eq!(
            sanitize_text(" out\r\nof\u{0} order\u{1b}[31m "),
            "out of order [31m"
        );
        assert_eq!(sanitize_text(&"x".repeat(10_000)).len(), 200);
        assert_eq!(sanitize_text(&"سلام".repeat(500)).chars().count(), 200);
    }

    #[test]
    fn what_is_empty_long_or_unprintable_is_no_reference() {
        assert_eq!(parse_reference(" a-1\n"), Some("a-1".to_owned()));
        for text in ["", "  ", "a\nb", &"x".repeat(257)] {
            assert_eq!(parse_reference(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn words_never_hold_control_characters_nor_grow(text in any::<String>()) {
            let kept = sanitize_text(&text);
            prop_assert!(kept.chars().count() <= 200 && !kept.contains(char::is_control));
        }
    }
}
