//! Receipts as message centres write them, which is never quite as the protocol's appendix has it.
//!
//! Keys come in any order and case, with doubled blanks, or not at all; optional parameters go over the text. What is no
//! receipt is none. The text of the message that some repeat in a receipt is never kept.

use super::ids::IdForm;
use super::wire::Delivered;
use crate::domain::receipt::Verdict;
use crate::provider::reading::words;

/// The keys of a receipt's text. Those of two words are looked for first.
const KEYS: [&str; 8] = [
    "submit date:",
    "done date:",
    "id:",
    "sub:",
    "dlvrd:",
    "stat:",
    "err:",
    "text:",
];

/// esm_class: the bits that say what kind of message it is.
const KIND: u8 = 0x3C;

/// A delivery receipt.
const RECEIPT: u8 = 0x04;

/// Word on the way.
const INTERMEDIATE: u8 = 0x20;

/// A text that a phone sent.
const FROM_A_PHONE: u8 = 0x00;

/// A receipt that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// The id in one form.
    pub id: String,
    /// None as long as nothing is final.
    pub verdict: Option<Verdict>,
}

/// What was delivered to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A receipt.
    Word(Word),
    /// A text that a phone sent.
    Text,
    /// Neither, or a receipt that cannot be read.
    Other,
}

/// How receipts are read at one message centre.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading {
    pub ids: IdForm,
    /// Network errors that mean that the number is dead, in small letters and without zeros in front.
    pub invalid_errors: Vec<String>,
}

/// The keys of a text that matter.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fields<'a> {
    id: Option<&'a str>,
    stat: Option<&'a str>,
    err: Option<&'a str>,
}

impl Reading {
    /// Says what was delivered to us.
    pub fn kind(&self, delivered: &Delivered) -> Kind {
        let kind = delivered.esm_class & KIND;
        let text = String::from_utf8_lossy(delivered.text);
        let fields = fields(&text);
        let looks_like_one = fields.id.is_some() && fields.stat.is_some();
        if kind == FROM_A_PHONE && delivered.receipted_id.is_none() && !looks_like_one {
            return Kind::Text;
        }
        if ![FROM_A_PHONE, RECEIPT, INTERMEDIATE].contains(&kind) {
            return Kind::Other;
        }
        let id = delivered.receipted_id.filter(|id| !id.is_empty());
        let id = id.or(fields.id.map(str::as_bytes));
        let Some(id) = id.and_then(|id| self.ids.receipted(id)) else {
            return Kind::Other;
        };
        let verdict = if kind == INTERMEDIATE {
            None
        } else {
            self.verdict(delivered, &fields)
        };
        Kind::Word(Word { id, verdict })
    }

    fn verdict(&self, delivered: &Delivered, fields: &Fields) -> Option<Verdict> {
        let stat = fields.stat.unwrap_or_default().to_ascii_uppercase();
        let named = delivered.state.and_then(state).filter(|word| *word != "UNKNOWN" || stat.is_empty());
        let word = named.unwrap_or(&stat);
        match word {
            "DELIVRD" | "DELIVERED" => return Some(Verdict::Delivered),
            "" | "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "ACKED" | "BUFFRED" | "BUFFERD" | "BUFFERED"
            | "SCHEDLD" => return None,
            _ => {}
        }
        let error = delivered.network_error.map(network_error);
        let error = error.or_else(|| fields.err.map(str::to_owned)).unwrap_or_default();
        let reason = match words(&error).as_str() {
            "" => words(word),
            error => format!("{}, error {error}", words(word)),
        };
        let is_dead = self.invalid_errors.contains(&error_form(&error));
        Some(if is_dead {
            Verdict::Invalid { reason }
        } else {
            Verdict::Bounced { reason }
        })
    }
}

/// A network error so that `001`, `1` and `0A` meet `0a`.
pub(super) fn error_form(error: &str) -> String {
    let error = error.trim();
    let stripped = error.trim_start_matches('0');
    if stripped.is_empty() && !error.is_empty() {
        return "0".to_owned();
    }
    stripped.to_ascii_lowercase()
}

/// The word of a state that comes as a number.
fn state(number: u8) -> Option<&'static str> {
    Some(match number {
        0 => "SCHEDLD",
        1 => "ENROUTE",
        2 => "DELIVRD",
        3 => "EXPIRED",
        4 => "DELETED",
        5 => "UNDELIV",
        6 => "ACCEPTD",
        7 => "UNKNOWN",
        8 => "REJECTD",
        9 => "SKIPPED",
        _ => return None,
    })
}

/// The network and its number, or three digits as some write it.
fn network_error(octets: [u8; 3]) -> String {
    match std::str::from_utf8(&octets) {
        Ok(digits) if octets[0].is_ascii_digit() => digits.to_owned(),
        _ => u16::from_be_bytes([octets[1], octets[2]]).to_string(),
    }
}

/// Looks for the keys in the order they come in; `text:` takes all that follows.
fn fields(text: &str) -> Fields<'_> {
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while at < lower.len() {
        let begins = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        let rest = lower.get(at..).filter(|_| begins).unwrap_or_default();
        match KEYS.into_iter().find(|key| rest.starts_with(key)) {
            Some("text:") => {
                found.push((at, "text:"));
                break;
            }
            Some(key) => {
                found.push((at, key));
                at += key.len();
            }
            None => at += 1,
        }
    }
    let value = |wanted: &str| {
        let index = found.iter().position(|(_, key)| *key == wanted)?;
        let (start, key) = found[index];
        let end = found.get(index + 1).map_or(text.len(), |(next, _)| *next);
        let value = text.get(start + key.len()..end)?.trim();
        (!value.is_empty()).then_some(value)
    };
    // No value holds a blank: what follows one belongs to a key nobody knows.
    let word = |wanted: &str| value(wanted).and_then(|value| value.split_whitespace().next());
    Fields {
        id: word("id:"),
        stat: word("stat:"),
        err: word("err:"),
    }
}
