use super::*;

#[test]
fn text_is_decoded_by_the_named_set() {
    for (charset, octets, expected) in [
        ("", "ü€".as_bytes(), Some("ü€")),
        ("UTF-8", b"\xEF\xBB\xBFa", Some("a")),
        ("utf-8", b"\xFC", None),
        ("US-ASCII", b"a~", Some("a~")),
        ("us-ascii", b"\xFC", None),
        ("ISO-8859-1", b"\xFC\xA4", Some("ü¤")),
        ("ISO_8859-15", b"\xFC\xA4", Some("ü€")),
        ("Windows-1252", b"\x80\xFC\x93", Some("€ü“")),
        ("cp1252", b"\x81", None),
        ("iso-8859-5", b"\xB0", Some("А")),
        ("UTF-16BE", b"\x20\xAC\xD8\x3D\xDE\x00", Some("€😀")),
        ("UTF-16", b"\xFF\xFE\xAC\x20", Some("€")),
        ("utf-16le", b"\xAC\x20", Some("€")),
        ("UCS-2", b"\x00a\x00", None),
        ("UTF-16BE", b"\xD8\x3D", None),
        ("GSM", b"\x00\x1B\x65", Some("@€")),
        ("EBCDIC", b"a", None),
    ] {
        assert_eq!(decode(charset, octets).as_deref(), expected, "{charset} {octets:?}");
    }
}

#[test]
fn text_is_decoded_by_data_coding_and_binary_is_not() {
    assert_eq!(decode_by_data_coding(0, b"\x00\x1B\x65").as_deref(), Some("@€"));
    assert_eq!(decode_by_data_coding(8, b"\x20\xAC").as_deref(), Some("€"));
    assert_eq!(decode_by_data_coding(3, b"\xFC").as_deref(), Some("ü"));
    assert_eq!(decode_by_data_coding(4, b"\x01\xFF\x02"), None);
}
