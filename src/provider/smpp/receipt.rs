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
        let named = delivered
            .state
            .and_then(state)
            .filter(|word| *word != "UNKNOWN" || stat.is_empty());
        let word = named.unwrap_or(&stat);
        match word {
            "DELIVRD" | "DELIVERED" => return Some(Verdict::Delivered),
            "" | "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "ACKED" | "BUFFRED" | "BUFFERD" | "BUFFERED"
            | "SCHEDLD" => return None,
            _ => {}
        }
        let error = delivered.network_error.map(network_error);
        let error = error
            .or_else(|| fields.err.map(str::to_owned))
            .unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(esm_class: u8, text: &str) -> Kind {
        let delivered = Delivered {
            esm_class,
            text: text.as_bytes(),
            ..Delivered::default()
        };
        Reading::default().kind(&delivered)
    }

    fn word(id: &str, verdict: Option<Verdict>) -> Kind {
        Kind::Word(Word {
            id: id.to_owned(),
            verdict,
        })
    }

    fn bounced(reason: &str) -> Option<Verdict> {
        let reason = reason.to_owned();
        Some(Verdict::Bounced { reason })
    }

    #[test]
    fn a_receipt_is_read_in_every_form_that_is_known() {
        let delivered = Some(Verdict::Delivered);
        for text in [
            "id:4B2F10A7 sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:DELIVRD err:000 text:Your code",
            "id:4b2f10a7 sub:001 dlvrd:001 submit date:260721140305 done date:260721140412 stat:DELIVRD err:000 Text:",
            "ID:04B2F10A7 SUB:001 STAT:DELIVRD",
            "stat:delivrd  err:000  id:4B2F10A7",
            "id:4B2F10A7  stat:DELIVRD",
            "id: 4B2F10A7 stat: DELIVRD err: 0",
            "id:4B2F10A7 unknown:7 stat:DELIVRD text:id:9 stat:UNDELIV",
            "id:4B2F10A7 sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:DELIVERED\0",
        ] {
            let text = text.trim_end_matches('\0');
            assert_eq!(kind(4, text), word("4b2f10a7", delivered.clone()), "{text}");
            assert_eq!(
                kind(0, text),
                word("4b2f10a7", delivered.clone()),
                "class 0: {text}"
            );
            assert_eq!(
                kind(0x44, text),
                word("4b2f10a7", delivered.clone()),
                "bit 6: {text}"
            );
        }
    }

    #[test]
    fn states_come_to_what_the_reference_says() {
        for (stat, verdict) in [
            ("ENROUTE", None),
            ("ACCEPTD", None),
            ("ACKED", None),
            ("BUFFRED", None),
            ("EXPIRED", bounced("EXPIRED, error 034")),
            ("DELETED", bounced("DELETED, error 034")),
            ("UNDELIV", bounced("UNDELIV, error 034")),
            ("UNKNOWN", bounced("UNKNOWN, error 034")),
            ("REJECTD", bounced("REJECTD, error 034")),
            ("FAILED", bounced("FAILED, error 034")),
        ] {
            assert_eq!(kind(4, &format!("id:7 stat:{stat} err:034")), word("7", verdict));
        }
        assert_eq!(kind(0x20, "id:7 stat:UNDELIV err:1"), word("7", None));
    }

    #[test]
    fn optional_parameters_go_over_the_text() {
        let reading = Reading::default();
        let with = |id: Option<&'static [u8]>, state, network_error, text: &'static str| {
            reading.kind(&Delivered {
                esm_class: 4,
                receipted_id: id,
                state,
                network_error,
                text: text.as_bytes(),
                ..Delivered::default()
            })
        };
        let delivered = Some(Verdict::Delivered);
        assert_eq!(with(Some(b"0A"), Some(2), None, ""), word("a", delivered.clone()));
        assert_eq!(
            with(Some(b"0A"), None, None, "id:9 stat:DELIVRD"),
            word("a", delivered.clone())
        );
        assert_eq!(with(None, Some(2), None, "id:9"), word("9", delivered));
        assert_eq!(
            with(Some(b"a"), Some(5), Some([3, 0, 27]), ""),
            word("a", bounced("UNDELIV, error 27"))
        );
        assert_eq!(
            with(Some(b"a"), Some(5), Some(*b"034"), ""),
            word("a", bounced("UNDELIV, error 034"))
        );
        assert_eq!(
            with(Some(b"a"), Some(99), None, "stat:EXPIRED"),
            word("a", bounced("EXPIRED"))
        );
        assert_eq!(with(Some(b"a"), Some(1), None, "stat:DELIVRD"), word("a", None));
    }

    #[test]
    fn an_error_that_means_a_dead_number_is_configured() {
        let reading = Reading {
            invalid_errors: vec![error_form("001"), error_form("0B")],
            ..Reading::default()
        };
        for (error, is_dead) in [
            ("1", true),
            ("001", true),
            ("b", true),
            ("010", false),
            ("", false),
        ] {
            let text = format!("id:7 stat:UNDELIV err:{error}");
            let kind = reading.kind(&Delivered {
                esm_class: 4,
                text: text.as_bytes(),
                ..Delivered::default()
            });
            let Kind::Word(Word {
                verdict: Some(verdict),
                ..
            }) = kind
            else {
                panic!("{text} is a receipt");
            };
            assert_eq!(matches!(verdict, Verdict::Invalid { .. }), is_dead, "{error}");
        }
    }

    #[test]
    fn what_is_no_receipt_is_a_text_or_nothing() {
        for text in ["STOP", "", "my id: 7", "stat:us", "rapid:7 stat:DELIVRD"] {
            assert_eq!(kind(0, text), Kind::Text, "{text}");
        }
        for text in ["", "stat:DELIVRD", "id: stat:DELIVRD"] {
            assert_eq!(kind(4, text), Kind::Other, "{text}");
        }
        assert_eq!(kind(0x08, "id:7 stat:DELIVRD"), Kind::Other);
        assert_eq!(kind(0x10, "read"), Kind::Other);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(esm_class in any::<u8>(), text in "(id:|stat:|err:|text:|done date:|[a-zéA-Z0-9 ]){0,12}") {
            let _ = kind(esm_class, &text);
        }
    }
}
