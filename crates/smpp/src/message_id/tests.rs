//! Tests of message id normalisation.

use proptest::prelude::*;

use super::*;

#[test]
fn letter_case_blanks_and_leading_zeros_are_ignored() {
    let format = MessageIdFormat::Same;
    for variant in ["4B2F10A7", "4b2f10a7", "0004B2F10A7", " 4b2f10A7 "] {
        assert_eq!(
            format.normalize_receipted(variant.as_bytes()),
            format.normalize_submitted(b"4b2f10a7"),
            "{variant}"
        );
    }
    assert_eq!(format.normalize_submitted(b"000"), Some("0".to_owned()));
    assert_eq!(format.normalize_submitted(b"a-B.c_123@\xc3\xa9").as_deref(), Some("a-b.c_123@\u{e9}"));
}

#[test]
fn an_empty_unprintable_or_too_long_id_is_rejected() {
    for text in ["", "  ", "a\u{1}b", &"9".repeat(256)] {
        assert_eq!(MessageIdFormat::Same.normalize_submitted(text.as_bytes()), None, "{text:?}");
    }
    assert_eq!(MessageIdFormat::Same.normalize_submitted(b"\xff").as_deref(), Some("\u{ff}"));
}

proptest! {
    #[test]
    fn a_hexadecimal_id_equals_its_decimal_form(number in any::<u128>(), zeros in 0_usize..5) {
        let hex = format!("{}{number:X}", "0".repeat(zeros));
        let decimal = number.to_string();
        let format = MessageIdFormat::HexThenDecimal;
        prop_assert_eq!(format.normalize_submitted(hex.as_bytes()), format.normalize_receipted(decimal.as_bytes()));
        let format = MessageIdFormat::DecimalThenHex;
        prop_assert_eq!(format.normalize_submitted(decimal.as_bytes()), format.normalize_receipted(hex.as_bytes()));
    }
}
