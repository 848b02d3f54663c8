use phonenumber::country;
use proptest::prelude::*;

use super::*;

fn rules(region: country::Id, strictness: PhoneStrictness) -> PhoneRules {
    PhoneRules { region, strictness }
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
            let parsed = rules(country::IR, strictness).parse_phone(text);
            assert_eq!(parsed.as_deref(), Ok("+989122222222"), "{text} {strictness:?}");
        }
    }
}

#[test]
fn international_numbers_follow_their_own_numbering_plan() {
    for (region, text, parsed) in [
        (country::IR, "+39 06 6982", "+39066982"),
        (country::IR, "0039066982", "+39066982"),
        (country::IR, "+48-123-456-789", "+48123456789"),
        (country::IR, "+49 (0)30 123456", "+4930123456"),
        (country::IR, "+1 650 253 0000", "+16502530000"),
        (country::US, "011 44 20 7031 3000", "+442070313000"),
        (country::US, "(650) 253-0000", "+16502530000"),
        (country::DE, "030/123456", "+4930123456"),
        (country::PL, "481234567", "+48481234567"),
        (country::PL, "48481234567", "+48481234567"),
        (country::RU, "8 916 123-45-67", "+79161234567"),
        (country::GB, "020 7031 3000", "+442070313000"),
        (country::IR, "9812345678", "+989812345678"),
        (country::DE, "00989122222222", "+989122222222"),
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
        ("123", AddressError::InvalidFormat),
        ("0", AddressError::InvalidFormat),
        ("+", AddressError::InvalidFormat),
        ("+9", AddressError::InvalidFormat),
        ("+98912222222", AddressError::InvalidFormat),
        ("091222222222222", AddressError::InvalidFormat),
        ("+000000000000", AddressError::InvalidFormat),
        ("+999123456789", AddressError::InvalidFormat),
        ("hello", AddressError::InvalidCharacter),
        ("0912222222x", AddressError::InvalidCharacter),
        ("0912*222222", AddressError::InvalidCharacter),
        ("0912+2222222", AddressError::InvalidCharacter),
        ("0912\u{0}2222222", AddressError::InvalidCharacter),
        ("0912\n2222222", AddressError::InvalidCharacter),
        ("tel:+989122222222;ext=5", AddressError::InvalidCharacter),
        (&too_long, AddressError::TooLong),
    ] {
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            let parsed = rules(country::IR, strictness).parse_phone(text);
            assert!(parsed.is_err(), "{text:?} {strictness:?}: {parsed:?}");
        }
        assert_eq!(PhoneRules::default().parse_phone(text), Err(error), "{text:?}");
    }
}

#[test]
fn an_unassigned_number_is_possible_but_not_valid() {
    for (text, parsed) in [
        ("1231233211", "+981231233211"),
        ("0123456789", "+980123456789"),
        ("0012345678", "+980012345678"),
        ("0000000000", "+980000000000"),
    ] {
        assert_eq!(PhoneRules::default().parse_phone(text).as_deref(), Ok(parsed));
        assert!(rules(country::IR, PhoneStrictness::Valid).parse_phone(text).is_err(), "{text}");
    }
    assert_eq!(
        rules(country::IR, PhoneStrictness::Valid).parse_phone("+985000000000"),
        Err(AddressError::UnassignedNumber)
    );
}

#[test]
fn only_usual_spellings_are_parsed_without_the_library() {
    let shortcut = |region, text| rules(region, PhoneStrictness::Possible).parse_usual_spelling(text);
    for text in ["09122222222", "+989122222222", "00989122222222"] {
        assert_eq!(shortcut(country::IR, text).as_deref(), Some("+989122222222"));
    }
    for (region, text) in [
        (country::IR, "9122222222"),
        (country::IR, "+9809122222222"),
        (country::IR, "009809122222222"),
        (country::IR, "+4915112345678"),
        (country::IR, "989122222222"),
        (country::IR, "0912222222"),
        (country::IR, "0"),
        (country::US, "06502530000"),
        (country::IT, "03381234567"),
        (country::BR, "01123456789"),
    ] {
        assert_eq!(shortcut(region, text), None, "{text}");
    }
    assert_eq!(rules(country::IR, PhoneStrictness::Valid).parse_usual_spelling("09122222222"), None);
}

proptest! {
    #[test]
    fn a_valid_number_is_possible_and_parses_to_itself(text in "[+0-9 ()\\-]{0,24}", region in 0..4_usize) {
        let region = [country::IR, country::US, country::DE, country::BR][region];
        let possible = rules(region, PhoneStrictness::Possible).parse_phone(&text);
        if let Ok(number) = rules(region, PhoneStrictness::Valid).parse_phone(&text) {
            prop_assert!(possible.is_ok());
            prop_assert_eq!(rules(region, PhoneStrictness::Valid).parse_phone(&number), Ok(number));
        }
    }

    #[test]
    fn every_number_of_ten_digits_is_possible(digits in "[0-9]{10}") {
        let parsed = PhoneRules::default().parse_phone(&digits);
        prop_assert!(parsed.is_ok(), "{} {:?}", digits, parsed);
    }

    #[test]
    fn national_spellings_parse_as_with_the_library(digits in "0[0-9]{1,16}") {
        let mut shortcuts = 0;
        for region in DATABASE.iter().filter_map(|region| region.id().parse().ok()) {
            for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
                let rules = rules(region, strictness);
                if let Some(number) = rules.parse_usual_spelling(&digits) {
                    shortcuts += 1;
                    prop_assert_eq!(Ok(number), rules.parse_with_library(&digits), "{:?} {}", region, digits);
                }
            }
        }
        prop_assert!(shortcuts > 0 || digits.starts_with("00") || digits.len() != 11);
    }

    #[test]
    fn international_spellings_parse_as_with_the_library(national in "[0-9]{1,14}") {
        let mut shortcuts = 0;
        for region in DATABASE.iter() {
            let Ok(id) = region.id().parse() else {
                continue;
            };
            let rules = rules(id, PhoneStrictness::Possible);
            for mark in ["+", "00"] {
                let digits = format!("{mark}{}{national}", region.country_code());
                if let Some(number) = rules.parse_usual_spelling(&digits) {
                    shortcuts += 1;
                    prop_assert_eq!(Ok(number), rules.parse_with_library(&digits), "{:?} {}", id, digits);
                }
            }
        }
        prop_assert!(shortcuts > 0 || national.starts_with('0') || national.len() != 10);
    }
}
