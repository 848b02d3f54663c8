use proptest::prelude::*;

use super::*;

fn rules(region: Region, strictness: PhoneStrictness) -> PhoneRules {
    PhoneRules { region: PhoneRegion(region), strictness }
}

#[test]
fn all_spellings_of_a_number_give_the_same_address() {
    for text in [
        "09122222222",
        "9122222222",
        "+989122222222",
        "00989122222222",
        "989122222222",
        " 0912 222 2222 ",
        "0912-222-2222",
        "(0912) 222.2222",
        "[0912]/2222222",
        "+98 (0) 912 222 2222",
        "۰۹۱۲۲۲۲۲۲۲۲",
        "+٩٨٩١٢٢٢٢٢٢٢٢",
        "\u{202A}+98\u{A0}912\u{2011}222\u{2013}2222\u{202C}",
        "\u{FF0B}９８９１２２２２２２２２",
    ] {
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            let parsed = rules(Region::IR, strictness).parse_phone(text);
            assert_eq!(parsed.as_deref(), Ok("+989122222222"), "{text} {strictness:?}");
        }
    }
}

#[test]
fn international_numbers_follow_their_own_numbering_plan() {
    for (region, text, parsed) in [
        (Region::IR, "+39 06 6982", "+39066982"),
        (Region::IR, "0039066982", "+39066982"),
        (Region::IR, "+48-123-456-789", "+48123456789"),
        (Region::IR, "+49 (0)30 123456", "+4930123456"),
        (Region::IR, "+1 650 253 0000", "+16502530000"),
        (Region::US, "011 44 20 7031 3000", "+442070313000"),
        (Region::US, "(650) 253-0000", "+16502530000"),
        (Region::DE, "030/123456", "+4930123456"),
        (Region::PL, "481234567", "+48481234567"),
        (Region::PL, "48481234567", "+48481234567"),
        (Region::RU, "8 916 123-45-67", "+79161234567"),
        (Region::GB, "020 7031 3000", "+442070313000"),
        (Region::IR, "9812345678", "+989812345678"),
        (Region::DE, "00989122222222", "+989122222222"),
    ] {
        assert_eq!(
            rules(region, PhoneStrictness::Possible).parse_phone(text).as_deref(),
            Ok(parsed),
            "{text}"
        );
    }
}

#[test]
fn a_text_that_is_not_a_number_is_an_error() {
    let too_long = "1".repeat(51);
    for (text, error) in [
        ("", AddressError::Empty),
        ("   ", AddressError::Empty),
        ("()", AddressError::Empty),
        ("12", AddressError::TooFewDigits(2)),
        ("123", AddressError::TooFewDigits(3)),
        ("0", AddressError::TooFewDigits(1)),
        ("+", AddressError::TooFewDigits(0)),
        ("+9", AddressError::TooFewDigits(1)),
        ("+98912222222", AddressError::WrongDigitCount(11)),
        ("091222222222222", AddressError::LeadingZero),
        ("1912222222222222", AddressError::TooManyDigits(16)),
        ("0912123456", AddressError::LeadingZero),
        ("0000000000", AddressError::LeadingZero),
        ("0012345678", AddressError::LeadingZero),
        ("0123456789", AddressError::LeadingZero),
        ("+000000000000", AddressError::UnknownCountryCode),
        ("+999123456789", AddressError::UnknownCountryCode),
        ("hello", AddressError::InvalidCharacter('h')),
        ("0912222222x", AddressError::InvalidCharacter('x')),
        ("0912*222222", AddressError::InvalidCharacter('*')),
        ("0912+2222222", AddressError::InvalidCharacter('+')),
        ("0912\u{0}2222222", AddressError::InvalidCharacter('\0')),
        ("0912\n2222222", AddressError::InvalidCharacter('\n')),
        ("tel:+989122222222;ext=5", AddressError::InvalidCharacter('t')),
        (&too_long, AddressError::TooLong(50)),
    ] {
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            let parsed = rules(Region::IR, strictness).parse_phone(text);
            assert!(parsed.is_err(), "{text:?} {strictness:?}: {parsed:?}");
        }
        assert_eq!(PhoneRules::default().parse_phone(text), Err(error), "{text:?}");
    }
}

#[test]
fn an_unassigned_number_is_possible_but_not_valid() {
    for (text, parsed) in [("1231233211", "+981231233211"), ("1234567890", "+981234567890")] {
        assert_eq!(PhoneRules::default().parse_phone(text).as_deref(), Ok(parsed));
        assert!(rules(Region::IR, PhoneStrictness::Valid).parse_phone(text).is_err(), "{text}");
    }
    assert_eq!(
        rules(Region::IR, PhoneStrictness::Valid).parse_phone("+985000000000"),
        Err(AddressError::UnassignedNumber)
    );
}

#[test]
fn numbers_of_many_countries_are_parsed_in_both_spellings() {
    for (region, national, parsed) in [
        (Region::DE, "01512 3456789", "+4915123456789"),
        (Region::FR, "06 12 34 56 78", "+33612345678"),
        (Region::IT, "338 1234567", "+393381234567"),
        (Region::HU, "06 20 123 4567", "+36201234567"),
        (Region::TR, "0501 234 56 78", "+905012345678"),
        (Region::MX, "55 1234 5678", "+525512345678"),
        (Region::BR, "11 96123-4567", "+5511961234567"),
        (Region::AR, "011 15 2345-6789", "+5491123456789"),
        (Region::IN, "081234 56789", "+918123456789"),
        (Region::CN, "131 2345 6789", "+8613123456789"),
        (Region::JP, "090-1234-5678", "+819012345678"),
        (Region::AU, "0412 345 678", "+61412345678"),
        (Region::ZA, "071 123 4567", "+27711234567"),
        (Region::CI, "01 23 45 67 89", "+2250123456789"),
    ] {
        for text in [national, parsed] {
            let number = rules(region, PhoneStrictness::Valid).parse_phone(text);
            assert_eq!(number.as_deref(), Ok(parsed), "{region:?} {text}");
        }
    }
}

#[test]
fn a_region_is_two_letters_with_a_numbering_plan() {
    assert_eq!(PhoneRegion::parse("DE"), Some(PhoneRegion(Region::DE)));
    for code in ["", "D", "Iran", "XX", "001"] {
        assert_eq!(PhoneRegion::parse(code), None, "{code}");
    }
}

#[test]
fn a_number_that_would_change_when_it_is_parsed_again_is_none() {
    for text in ["009891", ")010010"] {
        let parsed = PhoneRules::default().parse_phone(text);
        assert!(parsed.is_err(), "{text}: {parsed:?}");
    }
}

proptest! {
    #[test]
    fn a_number_is_its_own_normal_form(text in "[+0-9 ()\\-]{0,24}", region in 0..6_usize) {
        let region = [Region::IR, Region::US, Region::DE, Region::BR, Region::IT, Region::RU][region];
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            if let Ok(number) = rules(region, strictness).parse_phone(&text) {
                prop_assert_eq!(rules(region, strictness).parse_phone(&number), Ok(number));
                prop_assert!(rules(region, PhoneStrictness::Possible).parse_phone(&text).is_ok());
            }
        }
    }

    #[test]
    fn a_number_of_ten_digits_is_possible_unless_it_begins_with_0(digits in "[1-9][0-9]{9}") {
        let parsed = PhoneRules::default().parse_phone(&digits);
        prop_assert!(parsed.is_ok(), "{} {:?}", digits, parsed);
    }
}
