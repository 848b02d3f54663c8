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

/// Decodes a header value that was written plainly or as encoded words.
fn decode_header(value: &str) -> String {
    let unfolded = value.replace("\r\n ", " ");
    if !unfolded.starts_with("=?") {
        return unfolded;
    }
    let words = unfolded.split(' ').map(|word| {
        let encoded = word.strip_prefix("=?utf-8?b?").unwrap().strip_suffix("?=").unwrap();
        assert!(word.len() <= 75, "{word}");
        BASE64.decode(encoded).unwrap()
    });
    String::from_utf8(words.collect::<Vec<_>>().concat()).unwrap()
}

#[test]
fn a_subject_arrives_as_it_was_sent() {
    for subject in [
        "é  é".to_owned(),
        "=?utf-8?q?Free=20money?=".to_owned(),
        "a =?utf-8?q?a?= b".to_owned(),
        "two  blanks".to_owned(),
        " leading and trailing ".to_owned(),
        "Your code is 4711".to_owned(),
        "plain and é mixed 50%".to_owned(),
        "😀".repeat(255),
        "👨\u{200d}👩\u{200d}👧 ".repeat(20),
        "سلام  دنیا".repeat(9),
        "A".repeat(255),
        "A".repeat(950),
        "word ".repeat(60).trim().to_owned(),
        "\u{202e}abc".to_owned(),
    ] {
        let encoded = encode_header_text(&subject);
        assert!(encoded.is_ascii() && encoded.split("\r\n").all(|line| line.len() <= 990), "{encoded}");
        assert_eq!(decode_header(&encoded), subject);
    }
}

#[test]
fn the_domain_of_a_sender_is_written_in_ascii_and_a_comma_needs_quotes() {
    let mailbox =
        |text: &str| deserialize_mailbox(toml::Value::from(text)).map(|mailbox| mailbox.email.to_string());
    assert_eq!(mailbox("Acme <a@bücher.example>"), Ok("a@xn--bcher-kva.example".to_owned()));
    let error = mailbox("Shop, Inc. <shop@example.org>").unwrap_err().to_string();
    assert!(error.contains("quotes"), "{error}");
    assert_eq!(mailbox("\"Shop, Inc.\" <shop@example.org>"), Ok("shop@example.org".to_owned()));
    let bounces = deserialize_optional_address(toml::Value::from("b@bücher.example")).unwrap();
    assert_eq!(bounces.unwrap().to_string(), "b@xn--bcher-kva.example");
}
