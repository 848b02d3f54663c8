use proptest::prelude::*;

use super::*;
use crate::address::{PhoneRegion, PhoneStrictness, mask_address};

#[test]
fn only_scheme_and_host_of_a_url_change_their_case() {
    for (text, parsed) in [
        ("HTTPS://Example.ORG/Path?Key=A", Ok("https://example.org/Path?Key=A")),
        ("http://Anna:Secret@Example.org:8080", Ok("http://Anna:Secret@example.org:8080")),
        ("https://Example.org:443/a", Ok("https://example.org/a")),
        ("http://example.org:80", Ok("http://example.org")),
        ("https://example.org:80/", Ok("https://example.org:80/")),
        ("https://bücher.example:8443/ü", Ok("https://xn--bcher-kva.example:8443/ü")),
        ("https://[::1]:443/", Ok("https://[::1]/")),
        ("ftp://example.org", Err(AddressError::InvalidUrl)),
        ("https://", Err(AddressError::InvalidUrl)),
        ("https://anna@/path", Err(AddressError::InvalidUrl)),
        ("https://:8080", Err(AddressError::InvalidUrl)),
        ("example.org", Err(AddressError::InvalidUrl)),
        ("https://example.org/a b", Err(AddressError::InvalidCharacter(' '))),
    ] {
        assert_eq!(parse_url(text).as_deref(), parsed.as_deref(), "{text}");
    }
}

#[test]
fn an_opaque_address_is_any_text_without_control_characters() {
    assert_eq!(parse_opaque(" chat:42 ").as_deref(), Ok("chat:42"));
    assert_eq!(parse_opaque(" "), Err(AddressError::Empty));
    assert_eq!(parse_opaque("a\u{0}b"), Err(AddressError::InvalidCharacter('\0')));
    assert_eq!(parse_opaque(&"x".repeat(2_049)), Err(AddressError::TooLong(2_048)));
    assert_eq!(parse_address(AddressKind::Any, "x", &PhoneRules::default()).as_deref(), Ok("x"));
}

#[test]
fn the_case_of_a_hexadecimal_push_token_does_not_matter() {
    let small = "0f744707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bbad78";
    let capital = small.to_ascii_uppercase();
    let parse = |text: &str| parse_address(AddressKind::Push, text, &PhoneRules::default());
    assert_eq!(parse(&capital).as_deref(), Ok(small));
    assert_eq!(parse(&format!(" {capital}\u{200B}")).as_deref(), Ok(small));
    assert_eq!(parse("dJ3k:APA91bHun").as_deref(), Ok("dJ3k:APA91bHun"), "other tokens distinguish case");
    assert_eq!(parse("A6345D0278ADC55D3474F5").as_deref(), Ok("A6345D0278ADC55D3474F5"));
}

#[test]
fn a_provider_gets_the_spelling_of_the_client() {
    let token = "0F744707BEBCF74F9B7C25D48E3358945F6AA01DA5DDB387462C7EAF61BBAD78";
    for (kind, spelling, outgoing) in [
        (AddressKind::Email, " Ada@Bücher.example", "Ada@xn--bcher-kva.example"),
        (AddressKind::Email, "a..b@docomo.example", "\"a..b\"@docomo.example"),
        (AddressKind::Push, token, token),
        (AddressKind::Phone, "0912 222 2222", "+989122222222"),
        (AddressKind::Url, "https://Example.org", "https://example.org"),
        (AddressKind::Any, " x ", "x"),
    ] {
        let rules = PhoneRules::default();
        let address = parse_address(kind, spelling, &rules).unwrap();
        assert_eq!(outgoing_address(kind, &address, spelling, &rules), outgoing);
        assert_eq!(
            outgoing_address(kind, &address, "other", &rules),
            address,
            "not the spelling of the address"
        );
    }
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
