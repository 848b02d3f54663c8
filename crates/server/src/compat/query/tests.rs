use super::*;

#[test]
fn the_first_value_of_a_name_counts_and_aliases_are_searched_in_order() {
    let fields = LenientFields::parse(b"user=a&username=b&user=c&empty=&flag&x=1=2&&t=a;b");
    assert_eq!(fields.text(&["username", "user"]).as_deref(), Some("b"));
    assert_eq!(fields.text(&["user"]).as_deref(), Some("a"));
    assert_eq!(fields.text(&["empty"]).as_deref(), Some(""));
    assert_eq!(fields.text(&["flag"]).as_deref(), Some(""));
    assert_eq!(fields.text(&["x"]).as_deref(), Some("1=2"));
    assert_eq!(fields.text(&["t"]).as_deref(), Some("a;b"));
    assert_eq!(fields.text(&["missing"]), None);
    assert_eq!(fields.names().next(), Some(b"user".as_slice()));
    assert!(LenientFields::parse(b"").is_empty());
}

#[test]
fn invalid_escapes_stay_as_they_are() {
    for (encoded, expected) in [
        ("a+b%20c", "a b c"),
        ("%2B1", "+1"),
        ("%zz", "%zz"),
        ("%", "%"),
        ("a%4", "a%4"),
        ("s=%d", "s=%d"),
        ("%d;x", "%d;x"),
        ("%+1", "% 1"),
        ("%25d", "%d"),
        ("%c3%BC", "ü"),
    ] {
        assert_eq!(String::from_utf8(decode(encoded.as_bytes())).unwrap(), expected, "{encoded}");
    }
    assert_eq!(decode(b"%05%00%03%ff"), [5, 0, 3, 255]);
    let fields = LenientFields::parse(b"dlr-url=http://h/d?s=%d&to=1");
    assert_eq!(fields.text(&["dlr-url"]).as_deref(), Some("http://h/d?s=%d"));
}

#[test]
fn numbers_are_read_as_c_reads_them() {
    for (text, expected) in [
        ("31", Some(31)),
        ("  7x", Some(7)),
        ("-1", Some(-1)),
        ("+4", Some(4)),
        ("", None),
        ("x", None),
        ("-", None),
        ("99999999999999999999", Some(i64::MAX)),
    ] {
        assert_eq!(leading_integer(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn a_blank_before_a_number_is_a_lost_plus() {
    for (written, expected) in [
        (" 1500", "+1500"),
        ("  1500", "+1500"),
        ("1500", "1500"),
        ("+1500", "+1500"),
        (" +1500", "+1500"),
        ("", ""),
    ] {
        assert_eq!(restore_plus(written), expected, "{written:?}");
    }
}
