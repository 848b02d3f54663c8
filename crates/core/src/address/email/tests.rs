use proptest::prelude::*;

use super::*;

#[test]
fn every_spelling_of_an_email_has_one_key() {
    for (text, parsed) in [
        ("Ada@Example.org", "ada@example.org"),
        ("ADA@example.ORG", "ada@example.org"),
        ("\u{200B}ada@example.org", "ada@example.org"),
        ("ada@example.org\u{A0}", "ada@example.org"),
        ("ada@example.org\u{200B}", "ada@example.org"),
        ("a\u{AD}da@exam\u{200B}ple.org", "ada@example.org"),
        ("\u{202A}ada@example.org\u{202C}", "ada@example.org"),
        (" a.b+c@mail.example.org ", "a.b+c@mail.example.org"),
        ("root@localhost", "root@localhost"),
        ("user@bücher.example", "user@xn--bcher-kva.example"),
        ("user@BÜCHER.example", "user@xn--bcher-kva.example"),
        ("user@bu\u{308}cher.example", "user@xn--bcher-kva.example"),
        ("user@XN--BCHER-KVA.example", "user@xn--bcher-kva.example"),
        ("user@bücher。example", "user@xn--bcher-kva.example"),
        ("user@उदाहरण.परीक्षा", "user@xn--p1b6ci4b4b3a.xn--11b5bs3a9aj6g"),
        ("user@نامه\u{200C}ای.com", "user@xn--mgba3gch31f060k.com"),
        ("u\u{308}ser@example.org", "üser@example.org"),
        ("ÜSER@example.org", "üser@example.org"),
        ("ΑΣ@example.org", "ασ@example.org"),
        ("ας@example.org", "ασ@example.org"),
        ("a..b@docomo.example", "a..b@docomo.example"),
        ("\"A..B\"@docomo.example", "a..b@docomo.example"),
        ("\"ada\"@example.org", "ada@example.org"),
    ] {
        assert_eq!(parse_email(text).as_deref(), Ok(parsed), "{text:?}");
        assert_eq!(parse_email(parsed).as_deref(), Ok(parsed), "{parsed:?}");
    }
}

#[test]
fn a_mail_keeps_the_spelling_of_the_name() {
    for (text, outgoing) in [
        ("Ada@Example.org", "Ada@example.org"),
        ("\u{200B}Ada@bücher.example ", "Ada@xn--bcher-kva.example"),
        ("a..b@docomo.example", "\"a..b\"@docomo.example"),
        (".a@docomo.example", "\".a\"@docomo.example"),
        ("a.@docomo.example", "\"a.\"@docomo.example"),
        ("\"a.b\"@docomo.example", "a.b@docomo.example"),
    ] {
        assert_eq!(outgoing_email(text).as_deref(), Ok(outgoing), "{text:?}");
        assert_eq!(parse_email(outgoing), parse_email(text), "{text:?}");
    }
}

#[test]
fn what_is_no_email_address_is_refused_with_its_reason() {
    for (text, error) in [
        ("", AddressError::Empty),
        ("\u{200B}", AddressError::Empty),
        ("anna", AddressError::NoAtSign),
        ("@example.org", AddressError::NoAtSign),
        ("\u{200B}@example.org", AddressError::NoAtSign),
        ("anna@", AddressError::NoAtSign),
        ("anna@@example.org", AddressError::NoAtSign),
        ("anna@exa@mple.org", AddressError::NoAtSign),
        ("anna@example..org", AddressError::InvalidDomain),
        ("anna@-example.org", AddressError::InvalidDomain),
        ("anna@a!b", AddressError::InvalidDomain),
        ("anna@xn--0.example", AddressError::InvalidDomain),
        ("an na@example.org", AddressError::InvalidCharacter(' ')),
        ("a\"b@example.org", AddressError::InvalidCharacter('"')),
        ("anna@example.org\r\nBcc: b@example.org", AddressError::NoAtSign),
        ("anna@example.org\r\nBcc: b", AddressError::InvalidCharacter('\r')),
        ("<anna@example.org>", AddressError::InvalidCharacter('<')),
    ] {
        assert_eq!(parse_email(text), Err(error), "{text:?}");
        assert_eq!(outgoing_email(text), Err(error), "{text:?}");
    }
    assert_eq!(parse_email(&format!("{}@x.org", "a".repeat(65))), Err(AddressError::NameTooLong));
    let long_domain = "x.".repeat(120) + "org";
    assert_eq!(
        parse_email(&format!("{}@{long_domain}", "a".repeat(20))),
        Err(AddressError::TooLong(EMAIL_BYTES_MAX))
    );
}

proptest! {
    #[test]
    fn a_key_is_its_own_key_and_an_outgoing_form_has_the_same(text in "\\PC{1,20}@[a-zA-Zäé\u{200C}ه]{1,8}\\.example") {
        if let Ok(key) = parse_email(&text) {
            prop_assert_eq!(parse_email(&key), Ok(key.clone()), "{}", text);
            prop_assert_eq!(parse_email(&outgoing_email(&text).unwrap()), Ok(key), "{}", text);
        }
    }
}
