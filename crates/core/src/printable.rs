//! Makes text from outside safe for a terminal: removes characters that move the cursor or change the order of the
//! displayed text.

#[cfg(test)]
mod tests;

use std::ops::RangeInclusive;

/// The characters of the Unicode category Cf (format), Unicode 16.0: bidirectional controls, invisible characters, tags.
const FORMAT_CHARACTERS: [RangeInclusive<char>; 21] = [
    '\u{AD}'..='\u{AD}',
    '\u{600}'..='\u{605}',
    '\u{61C}'..='\u{61C}',
    '\u{6DD}'..='\u{6DD}',
    '\u{70F}'..='\u{70F}',
    '\u{890}'..='\u{891}',
    '\u{8E2}'..='\u{8E2}',
    '\u{180E}'..='\u{180E}',
    '\u{200B}'..='\u{200F}',
    '\u{202A}'..='\u{202E}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206F}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFF9}'..='\u{FFFB}',
    '\u{110BD}'..='\u{110BD}',
    '\u{110CD}'..='\u{110CD}',
    '\u{13430}'..='\u{1343F}',
    '\u{1BCA0}'..='\u{1BCA3}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0001}'..='\u{E0001}',
    '\u{E0020}'..='\u{E007F}',
];

/// Returns whether a character is of the Unicode category Cf.
pub fn is_format_character(character: char) -> bool {
    FORMAT_CHARACTERS.iter().any(|range| range.contains(&character))
}

/// Returns whether a character separates lines or paragraphs without being a control character.
fn is_separator(character: char) -> bool {
    matches!(character, '\u{2028}' | '\u{2029}')
}

/// Returns the text on one line, with blanks for control characters and without format characters.
pub fn to_printable(text: &str) -> String {
    let printed = text.chars().filter(|character| !is_format_character(*character));
    printed
        .map(|character| if character.is_control() || is_separator(character) { ' ' } else { character })
        .collect()
}

/// Like [`to_printable`], but keeps line ends and tabs.
pub fn to_printable_lines(text: &str) -> String {
    text.split_inclusive(['\n', '\t'])
        .map(|line| match line.strip_suffix(['\n', '\t']) {
            Some(content) => format!("{}{}", to_printable(content), &line[content.len()..]),
            None => to_printable(line),
        })
        .collect()
}
