use super::*;

#[test]
fn any_text_is_stored_and_read_back() {
    for text in ["", "plain", "nul \0", "\u{1A}0", "\u{1A}\0\u{1A}1", "\0\0"] {
        assert!(!escape_text(text).contains('\0'));
        assert_eq!(unescape_text(escape_text(text).into_owned()), text);
    }
}
