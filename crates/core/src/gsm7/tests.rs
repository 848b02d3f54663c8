//! Tests of the GSM 7-bit alphabet.

use proptest::prelude::*;

use super::*;
use crate::text_parts::{Alphabet, count_parts};

#[test]
fn texts_are_encoded_as_the_specification_shows() {
    assert_eq!(encode("€[x]").unwrap(), [0x1B, 0x65, 0x1B, 0x3C, 0x78, 0x1B, 0x3E]);
    assert_eq!(encode("Hello @ 5$").unwrap(), b"Hello \x00 5\x02");
    assert_eq!(encode("`"), None);
}

#[test]
fn unknown_octets_and_a_trailing_escape_do_not_stop_decoding() {
    assert_eq!(decode(b"\x1b\x65\x00"), "€@");
    assert_eq!(decode(b"\x1b\x41\x80\x1b"), "A\u{FFFD}");
}

proptest! {
    #[test]
    fn a_text_is_encodable_exactly_when_its_parts_are_counted_in_septets(body in "[ -~\n€à^سçΔ\u{c}]{0,40}") {
        let counted = count_parts(&body);
        let septets = encode(&body);
        prop_assert_eq!(septets.is_some(), counted.alphabet == Alphabet::Gsm7);
        if let Some(septets) = septets {
            prop_assert_eq!(septets.len(), counted.units);
            prop_assert_eq!(decode(&septets), body);
        }
    }
}
