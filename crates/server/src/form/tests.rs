use super::*;

#[test]
fn a_field_is_decoded_as_browsers_encode_it() {
    let query = "number=0912&body=a+b%26c%C3%A9&empty=&flag".as_bytes();
    assert_eq!(field(query, "number").unwrap(), "0912");
    assert_eq!(field(query, "body").unwrap(), "a b&cé");
    assert_eq!(field(query, "empty").unwrap(), "");
    assert_eq!(field(query, "flag").unwrap(), "");
    assert_eq!(field(query, "absent").unwrap(), "");
    assert_eq!(field(b"num%62er=1", "number").unwrap(), "1");
}

#[test]
fn invalid_encoding_is_an_error_of_its_kind() {
    for (encoded, error) in [
        ("b=%", FormDecodeError::InvalidPercentEncoding),
        ("b=%4", FormDecodeError::InvalidPercentEncoding),
        ("b=%zz", FormDecodeError::InvalidPercentEncoding),
        ("b=%+1", FormDecodeError::InvalidPercentEncoding),
        ("b=%FF", FormDecodeError::InvalidUtf8),
        ("b=%C3", FormDecodeError::InvalidUtf8),
        ("b=a%00b", FormDecodeError::ContainsNul),
    ] {
        assert_eq!(field(encoded.as_bytes(), "b"), Err(error), "{encoded}");
    }
    assert_eq!(field(b"b=\0", "b"), Err(FormDecodeError::ContainsNul));
    assert_eq!(field(b"b=\xff", "b"), Err(FormDecodeError::InvalidUtf8));
}

#[test]
fn a_phone_number_keeps_its_leading_plus() {
    assert_eq!(phone_number(b"n=+98912", "n").unwrap(), "+98912");
    assert_eq!(phone_number(b"n=%2B98912", "n").unwrap(), "+98912");
    assert_eq!(phone_number(b"n=0+1", "n").unwrap(), "0 1");
    assert_eq!(phone_number(b"n=+0912", "n").unwrap(), " 0912");
    assert_eq!(phone_number("n=+\u{6F0}912".as_bytes(), "n").unwrap(), " \u{6F0}912");
    assert_eq!(phone_number(b"n=++98912", "n").unwrap(), "  98912");
}

#[test]
fn pairs_keep_their_order() {
    let pairs = pairs(b"a=1&&b=2&c").unwrap();
    let expected: Vec<(Cow<str>, Cow<str>)> =
        vec![("a".into(), "1".into()), ("b".into(), "2".into()), ("c".into(), "".into())];
    assert_eq!(pairs, expected);
}
