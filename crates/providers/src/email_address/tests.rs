//! Tests of email addresses and subjects.

use super::*;

#[test]
fn a_name_with_non_ascii_characters_is_encoded() {
    let name = "Müller & Co <shop@example.org>".parse().unwrap();
    assert_eq!(encode_mailbox(&name), "=?utf-8?b?TcO8bGxlciAmIENv?= <shop@example.org>");
    assert_eq!(encode_mailbox(&"shop@example.org".parse().unwrap()), "shop@example.org");
}

#[test]
fn an_international_domain_is_encoded_in_ascii() {
    let written = parse_recipient("user@bücher.example").unwrap().to_string();
    assert_eq!(written, "user@xn--bcher-kva.example");
    assert_eq!(parse_recipient("user@a b.example"), None);
}

#[test]
fn an_empty_subject_is_replaced_by_the_default() {
    assert_eq!(subject_or(Some("Hi\r\nBcc: x"), "Message"), "Hi  Bcc: x");
    for subject in [None, Some(""), Some("\r\n ")] {
        assert_eq!(subject_or(subject, "Message"), "Message");
    }
}
