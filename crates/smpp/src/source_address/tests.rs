//! Tests of source address parsing.

use super::*;

#[test]
fn ton_and_npi_follow_from_the_form_of_the_address() {
    for (text, ton, npi, address) in [
        ("Acme", 5, 0, "Acme"),
        ("Acme 24", 5, 0, "Acme 24"),
        ("+98300012345", 1, 1, "98300012345"),
        ("98300012345", 1, 1, "98300012345"),
        ("30001", 0, 0, "30001"),
    ] {
        let parsed = SourceAddress::parse(text, None, None).unwrap();
        let address = address.to_owned();
        assert_eq!(parsed, SourceAddress { ton, npi, address }, "{text}");
    }
}

#[test]
fn a_given_ton_and_npi_replace_the_defaults() {
    let parsed = SourceAddress::parse("30001", Some(3), Some(9)).unwrap();
    assert_eq!((parsed.ton, parsed.npi), (3, 9));
}

#[test]
fn an_empty_unprintable_or_too_long_address_is_rejected() {
    for text in ["", "TwelveLetter", "Gr\u{fc}n", "a\0b", "123456789012345678901"] {
        assert_eq!(SourceAddress::parse(text, None, None), Err(InvalidSourceAddress), "{text:?}");
    }
}

#[test]
fn a_number_with_00_is_international() {
    let address = SourceAddress::parse("0098300012345", None, None).unwrap();
    assert_eq!((address.ton, address.npi, address.address.as_str()), (1, 1, "98300012345"));
    assert_eq!(SourceAddress::parse("00123", None, None).unwrap().ton, 0, "a short code");
}
