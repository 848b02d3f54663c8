use proptest::prelude::*;

use super::*;

#[test]
fn provider_text_is_reduced_to_one_short_line() {
    assert_eq!(sanitize_text(" out\r\nof\u{0} order\u{1b}[31m "), "out of order [31m");
    assert_eq!(sanitize_text(&"x".repeat(10_000)).len(), 200);
    assert_eq!(sanitize_text(&"سلام".repeat(500)).chars().count(), 200);
}

#[test]
fn an_empty_long_or_unprintable_text_is_no_reference() {
    assert_eq!(parse_reference(" a-1\n"), Some("a-1".to_owned()));
    for text in ["", "  ", "a\nb", &"x".repeat(257)] {
        assert_eq!(parse_reference(text), None, "{text:?}");
    }
}

#[test]
fn reasons_are_joined_and_empty_ones_left_out() {
    assert_eq!(join_reasons("no credit", "Pay now"), "no credit: Pay now");
    assert_eq!(join_reasons("no credit", ""), "no credit");
    assert_eq!(join_reasons("", "Pay now"), "Pay now");
}

proptest! {
    #[test]
    fn sanitised_text_is_short_and_has_no_control_characters(text in any::<String>()) {
        let line = sanitize_text(&text);
        prop_assert!(line.chars().count() <= 200 && !line.contains(char::is_control));
    }
}
