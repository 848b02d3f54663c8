use super::*;

#[test]
fn characters_that_change_a_terminal_are_removed_or_become_blanks() {
    for (text, expected) in [
        ("a\u{202E}dcba", "adcba"),
        ("\u{2066}x\u{2069}\u{200F}\u{61C}", "x"),
        ("\u{1b}[31mred\r\n\u{9b}2J", " [31mred   2J"),
        ("a\u{2028}b\u{E0041}\u{AD}\u{FEFF}", "a b"),
        ("سلام", "سلام"),
        ("👍 ok", "👍 ok"),
    ] {
        assert_eq!(to_printable(text), expected, "{text:?}");
    }
    assert_eq!(to_printable_lines("a\u{202E}\tb\n\u{1b}c\n"), "a\tb\n c\n");
}
