use proptest::prelude::*;

use super::*;
use crate::address::{PhoneRegion, PhoneStrictness, mask_address};

#[test]
fn only_the_domain_of_an_email_changes_its_case() {
    for (text, parsed) in [
        ("Anna@Example.ORG", Ok("Anna@example.org")),
        (" a.b+c@mail.example.org ", Ok("a.b+c@mail.example.org")),
        ("root@localhost", Ok("root@localhost")),
        ("", Err(AddressError::Empty)),
        ("anna", Err(AddressError::InvalidFormat)),
        ("@example.org", Err(AddressError::InvalidFormat)),
        ("anna@", Err(AddressError::InvalidFormat)),
        ("anna@@example.org", Err(AddressError::InvalidFormat)),
        ("anna@exa@mple.org", Err(AddressError::InvalidFormat)),
        ("anna@example..org", Err(AddressError::InvalidFormat)),
        ("anna@-example.org", Err(AddressError::InvalidFormat)),
        ("an na@example.org", Err(AddressError::InvalidCharacter)),
        ("anna@example.org\r\nBcc: b@example.org", Err(AddressError::InvalidCharacter)),
        ("<anna@example.org>", Err(AddressError::InvalidCharacter)),
    ] {
        assert_eq!(parse_email(text).as_deref(), parsed.as_deref(), "{text}");
    }
    assert_eq!(parse_email(&format!("{}@x.org", "a".repeat(65))), Err(AddressError::InvalidFormat));
    assert_eq!(parse_email(&format!("a@{}org", "x.".repeat(130))), Err(AddressError::TooLong));
}

#[test]
fn only_scheme_and_host_of_a_url_change_their_case() {
    for (text, parsed) in [
        ("HTTPS://Example.ORG/Path?Key=A", Ok("https://example.org/Path?Key=A")),
        ("http://Anna:Secret@Example.org:8080", Ok("http://Anna:Secret@example.org:8080")),
        ("ftp://example.org", Err(AddressError::InvalidFormat)),
        ("https://", Err(AddressError::InvalidFormat)),
        ("https://anna@/path", Err(AddressError::InvalidFormat)),
        ("https://:8080", Err(AddressError::InvalidFormat)),
        ("example.org", Err(AddressError::InvalidFormat)),
        ("https://example.org/a b", Err(AddressError::InvalidCharacter)),
    ] {
        assert_eq!(parse_url(text).as_deref(), parsed.as_deref(), "{text}");
    }
}

#[test]
fn an_opaque_address_is_any_text_without_control_characters() {
    assert_eq!(parse_opaque(" chat:42 ").as_deref(), Ok("chat:42"));
    assert_eq!(parse_opaque(" "), Err(AddressError::Empty));
    assert_eq!(parse_opaque("a\u{0}b"), Err(AddressError::InvalidCharacter));
    assert_eq!(parse_opaque(&"x".repeat(2_049)), Err(AddressError::TooLong));
    assert_eq!(parse_address(AddressKind::Any, "x", &PhoneRules::default()).as_deref(), Ok("x"));
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused_and_no_mask_shows_the_whole_address(text in "\\PC{0,60}", region in 0..4_usize) {
        let region = ["IR", "US", "DE", "BR"].map(|code| PhoneRegion::parse(code).unwrap())[region];
        for strictness in [PhoneStrictness::Possible, PhoneStrictness::Valid] {
            for kind in AddressKind::ALL {
                if let Ok(address) = parse_address(kind, &text, &PhoneRules { region, strictness }) {
                    let masked = mask_address(&address);
                    prop_assert!(masked.contains("***") && masked != address, "{masked}");
                }
            }
        }
    }
}
