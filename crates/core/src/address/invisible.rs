//! Characters without a glyph that are copied along with a text.

/// Returns whether a character has no glyph and no meaning in an address or a keyword: zero-width blanks and joiners,
/// direction marks, soft hyphens, variation selectors, byte-order marks and language tags.
///
/// The ranges are those of Unicode's `Default_Ignorable_Code_Point` without unassigned ones.
pub fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{3164}' | '\u{FEFF}'
            | '\u{FFA0}' | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}'
            | '\u{2060}'..='\u{206F}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFF9}'..='\u{FFFB}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
    )
}
