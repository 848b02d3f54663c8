use super::*;

#[test]
fn a_cursor_survives_encoding_and_decoding() {
    for before in [1, 77, i64::MAX] {
        assert_eq!(decode(&encode(before)), Some(before));
    }
    for garbage in ["", "x", "AAAA", "!!!!!!!!!!!"] {
        assert_eq!(decode(garbage), None, "{garbage}");
    }
}
