//! Tests of the mail encoding.

use super::*;

#[test]
fn no_line_of_a_mail_is_a_final_dot() {
    assert_eq!(dot_stuffed(b"a\r\n.\r\n..b\n.c"), b"a\r\n..\r\n...b\r\n..c\r\n");
    assert_eq!(dot_stuffed(b"a\r.\r\n"), b"a .\r\n");
    assert_eq!(dot_stuffed(b""), b"");
}
