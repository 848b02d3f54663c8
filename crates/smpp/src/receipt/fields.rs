//! Finds the fields of a receipt text.
//!
//! A first pass expects each key at the beginning of a word and ends at `text:`. If it does not find both the id and
//! the state, a second pass also accepts keys without a blank before them, and a state after `text:`.

use super::states::state_meaning;

/// A key whose value is used, or one that only ends the value before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Id,
    State,
    Error,
    Text,
    Other,
}

/// The words of the keys, each followed by `:` or `=`. A word that begins with another one comes first.
const RECEIPT_KEYS: [(&str, Key); 11] = [
    ("submit date", Key::Other),
    ("done date", Key::Other),
    ("id", Key::Id),
    ("sub", Key::Other),
    ("dlvrd", Key::Other),
    ("status", Key::State),
    ("state", Key::State),
    ("stat", Key::State),
    ("error", Key::Error),
    ("err", Key::Error),
    ("text", Key::Text),
];

/// The fields of a receipt text that are used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReceiptFields {
    pub id: Option<String>,
    /// In upper case.
    pub state: Option<String>,
    pub error: Option<String>,
}

/// The position of a key in a text.
struct KeySpan {
    key: Key,
    start: usize,
    value_start: usize,
}

/// Parses the fields of a receipt text. Control characters separate words.
pub fn parse_fields(receipt_text: &str) -> ReceiptFields {
    let receipt_text: String =
        receipt_text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let strict_keys = find_keys(&receipt_text, false);
    let mut receipt_fields = ReceiptFields {
        id: first_value(&receipt_text, &strict_keys, Key::Id),
        state: first_value(&receipt_text, &strict_keys, Key::State).map(|state| state.to_ascii_uppercase()),
        error: first_value(&receipt_text, &strict_keys, Key::Error),
    };
    let is_odd = receipt_fields.id.as_ref().is_none_or(|id| id.contains([':', '=']));
    if is_odd || receipt_fields.state.as_deref().is_none_or(|state| state_meaning(state).is_none()) {
        complete_fields(&mut receipt_fields, &receipt_text);
    }
    receipt_fields
}

/// Completes fields that the first pass did not find.
fn complete_fields(receipt_fields: &mut ReceiptFields, receipt_text: &str) {
    let keys = find_keys(receipt_text, true);
    let text_start = keys.iter().position(|span| span.key == Key::Text).unwrap_or(keys.len());
    if let Some(id) = first_value(receipt_text, &keys, Key::Id) {
        receipt_fields.id = Some(id);
    }
    let known = |state_word: &String| state_meaning(state_word).is_some();
    let upper_states = |range: std::ops::Range<usize>| {
        let states = range.filter(|index| keys[*index].key == Key::State);
        states
            .filter_map(|index| value_of(receipt_text, &keys, index))
            .map(|state_word| state_word.to_ascii_uppercase())
    };
    let before_text = upper_states(0..text_start).find(known);
    let bare_state = || {
        find_bare_state(
            receipt_text,
            keys.get(text_start).map(|span| span.start),
            receipt_fields.id.as_deref(),
        )
    };
    // The text of the message may hold words of its own, so the last state behind it is that of the receipt.
    let after_text = || upper_states(text_start..keys.len()).rfind(known);
    let other_state = || bare_state().or_else(after_text);
    let found_state = before_text.or_else(|| receipt_fields.state.is_none().then(other_state)?);
    if let Some(state_word) = found_state {
        receipt_fields.state = Some(state_word);
    }
    if let Some(error) = first_value(receipt_text, &keys, Key::Error) {
        receipt_fields.error = Some(error);
    }
}

/// Returns a known state that stands in the text without a key.
fn find_bare_state(text: &str, end: Option<usize>, id: Option<&str>) -> Option<String> {
    let words = text.get(..end.unwrap_or(text.len()))?.split_whitespace();
    words
        .filter(|word| id != Some(*word))
        .map(|word| word.trim_matches(is_quote_or_separator).to_ascii_uppercase())
        .find(|word| state_meaning(word).is_some())
}

fn first_value(text: &str, keys: &[KeySpan], wanted: Key) -> Option<String> {
    let index = keys.iter().position(|span| span.key == wanted)?;
    value_of(text, keys, index)
}

/// Returns the value of a key: its first word, without quotes. A second word belongs to an unknown key.
fn value_of(text: &str, keys: &[KeySpan], index: usize) -> Option<String> {
    let value_end = keys.get(index + 1).map_or(text.len(), |next| next.start);
    let value = text.get(keys[index].value_start..value_end)?;
    let mut words =
        value.split(|character: char| character.is_whitespace() || matches!(character, ';' | ','));
    let word = words.find(|word| !word.is_empty())?.trim_matches(is_quote_or_separator);
    (!word.is_empty()).then(|| word.to_owned())
}

fn is_quote_or_separator(character: char) -> bool {
    matches!(character, '"' | '\'' | ';' | ',' | '|')
}

/// Returns the keys in the order of the text. Unless `is_lenient`, a key begins a word, and `text:` ends the search.
fn find_keys(receipt_text: &str, is_lenient: bool) -> Vec<KeySpan> {
    let lower = receipt_text.to_ascii_lowercase();
    let mut spans: Vec<KeySpan> = Vec::new();
    let mut key_start = 0;
    while key_start < lower.len() {
        let starts_word = key_start == 0 || !lower.as_bytes()[key_start - 1].is_ascii_alphanumeric();
        let found = lower.get(key_start..).and_then(key_at).filter(|(key, _)| {
            // Many words end with "id".
            starts_word || (is_lenient && *key != Key::Id)
        });
        let Some((key, length)) = found else {
            key_start += 1;
            continue;
        };
        spans.push(KeySpan { key, start: key_start, value_start: key_start + length });
        if key == Key::Text && !is_lenient {
            break;
        }
        key_start += length;
    }
    spans
}

/// Returns the key at the beginning of a text in lower case, and its length with the separator.
fn key_at(text: &str) -> Option<(Key, usize)> {
    RECEIPT_KEYS.iter().find_map(|(word, key)| {
        let rest = text.strip_prefix(word)?;
        let separator = rest.trim_start_matches(' ');
        separator.starts_with([':', '=']).then(|| (*key, text.len() - separator.len() + 1))
    })
}
