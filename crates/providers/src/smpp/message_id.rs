//! A message centre's ids in one form, however it writes them at the send and in receipts.
//!
//! Letter case differs, zeros in front get lost, and some write hexadecimal at the one place and decimal at the
//! other. Nothing is guessed: which of them a centre does is configured.

use serde::Deserialize;

/// The longest id that is taken for one.
const MESSAGE_ID_BYTES_MAX: usize = 65;

/// How ids are written at the send and in receipts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MessageIdFormat {
    /// The same at both places, but for letter case and zeros in front.
    #[default]
    Same,
    /// Hexadecimal at the send, decimal in receipts.
    HexThenDecimal,
    /// Decimal at the send, hexadecimal in receipts.
    DecimalThenHex,
}

impl MessageIdFormat {
    /// An id as the answer to a send has it.
    pub fn normalize_submitted(self, text: &[u8]) -> Option<String> {
        let text = normalize(text)?;
        Some(match self {
            Self::HexThenDecimal => hex_to_decimal(&text).unwrap_or(text),
            Self::Same | Self::DecimalThenHex => text,
        })
    }

    /// An id as a receipt has it.
    pub fn normalize_receipted(self, text: &[u8]) -> Option<String> {
        let text = normalize(text)?;
        Some(match self {
            Self::DecimalThenHex => hex_to_decimal(&text).unwrap_or(text),
            Self::Same | Self::HexThenDecimal => text,
        })
    }
}

/// In small letters and without zeros in front.
fn normalize(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let fits = (1..=MESSAGE_ID_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
    let stripped = text.trim_start_matches('0');
    fits.then(|| if stripped.is_empty() { "0" } else { stripped }.to_ascii_lowercase())
}

fn hex_to_decimal(text: &str) -> Option<String> {
    let digits = text.strip_prefix('x').unwrap_or(text);
    u128::from_str_radix(digits, 16)
        .ok()
        .map(|number| number.to_string())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_meet_in_any_case_and_with_zeros_in_front() {
        let form = MessageIdFormat::Same;
        for other in ["4B2F10A7", "4b2f10a7", "0004B2F10A7", " 4b2f10A7 "] {
            assert_eq!(
                form.normalize_receipted(other.as_bytes()),
                form.normalize_submitted(b"4b2f10a7"),
                "{other}"
            );
        }
        assert_eq!(form.normalize_submitted(b"000"), Some("0".to_owned()));
        assert_eq!(
            form.normalize_submitted(b"a-B.c_123@\xc3\xa9").as_deref(),
            Some("a-b.c_123@\u{e9}")
        );
    }

    #[test]
    fn what_is_no_id_is_none() {
        for text in ["", "  ", "a\u{1}b", &"9".repeat(66)] {
            assert_eq!(
                MessageIdFormat::Same.normalize_submitted(text.as_bytes()),
                None,
                "{text:?}"
            );
        }
        assert_eq!(MessageIdFormat::Same.normalize_submitted(b"\xff"), None);
    }

    proptest! {
        #[test]
        fn hexadecimal_at_one_place_meets_decimal_at_the_other(number in any::<u128>(), zeros in 0_usize..5) {
            let hex = format!("{}{number:X}", "0".repeat(zeros));
            let decimal = number.to_string();
            let form = MessageIdFormat::HexThenDecimal;
            prop_assert_eq!(form.normalize_submitted(hex.as_bytes()), form.normalize_receipted(decimal.as_bytes()));
            let form = MessageIdFormat::DecimalThenHex;
            prop_assert_eq!(form.normalize_submitted(decimal.as_bytes()), form.normalize_receipted(hex.as_bytes()));
        }
    }
}
