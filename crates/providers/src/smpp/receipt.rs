//! Receipts as message centres write them, which is never quite as the protocol's appendix has it.
//!
//! Keys come in any order and case, with doubled blanks, or not at all; optional parameters go over the text. What is no
//! receipt is none. The text of the message that some repeat in a receipt is never kept.

use super::message_id::MessageIdFormat;
use super::pdu::ShortMessage;
use crate::provider_text::sanitize_text;
use postrider_core::receipt::ReceiptStatus;

/// The keys of a receipt's text. Those of two words are looked for first.
const RECEIPT_KEYS: [&str; 8] = [
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
const ESM_CLASS_TYPE_MASK: u8 = 0x3C;

/// A delivery receipt.
const ESM_CLASS_RECEIPT: u8 = 0x04;

/// Word on the way.
const ESM_CLASS_INTERMEDIATE: u8 = 0x20;

/// A text that a phone sent.
const ESM_CLASS_DEFAULT: u8 = 0x00;

/// A receipt that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DeliveryReceipt {
    /// The id in one form.
    pub message_id: String,
    /// None as long as nothing is final.
    pub verdict: Option<ReceiptStatus>,
}

/// What was delivered to us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ShortMessageKind {
    /// A receipt.
    Receipt(DeliveryReceipt),
    /// A text that a phone sent.
    Text,
    /// Neither, or a receipt that cannot be read.
    Other,
}

/// How receipts are read at one message centre.
#[derive(Clone, Debug, Default)]
pub(super) struct ReceiptParser {
    pub message_id_format: MessageIdFormat,
    /// Network errors that mean that the number is dead, in small letters and without zeros in front.
    pub invalid_errors: Vec<String>,
}

/// The keys of a text that matter.
#[derive(Debug, Default, PartialEq, Eq)]
struct ReceiptFields<'a> {
    id: Option<&'a str>,
    stat: Option<&'a str>,
    err: Option<&'a str>,
}

impl ReceiptParser {
    /// Says what was delivered to us.
    pub fn classify(&self, delivered: &ShortMessage) -> ShortMessageKind {
        let kind = delivered.esm_class & ESM_CLASS_TYPE_MASK;
        let text = String::from_utf8_lossy(delivered.short_message);
        let fields = parse_fields(&text);
        let looks_like_one = fields.id.is_some() && fields.stat.is_some();
        if kind == ESM_CLASS_DEFAULT && delivered.receipted_message_id.is_none() && !looks_like_one {
            return ShortMessageKind::Text;
        }
        if ![ESM_CLASS_DEFAULT, ESM_CLASS_RECEIPT, ESM_CLASS_INTERMEDIATE].contains(&kind) {
            return ShortMessageKind::Other;
        }
        let id = delivered.receipted_message_id.filter(|id| !id.is_empty());
        let id = id.or(fields.id.map(str::as_bytes));
        let Some(id) = id.and_then(|id| self.message_id_format.normalize_receipted(id)) else {
            return ShortMessageKind::Other;
        };
        let verdict = if kind == ESM_CLASS_INTERMEDIATE {
            None
        } else {
            self.verdict(delivered, &fields)
        };
        ShortMessageKind::Receipt(DeliveryReceipt {
            message_id: id,
            verdict,
        })
    }

    fn verdict(&self, delivered: &ShortMessage, fields: &ReceiptFields) -> Option<ReceiptStatus> {
        let stat = fields.stat.unwrap_or_default().to_ascii_uppercase();
        let named = delivered
            .message_state
            .and_then(state_name)
            .filter(|word| *word != "UNKNOWN" || stat.is_empty());
        let word = named.unwrap_or(&stat);
        match word {
            "DELIVRD" | "DELIVERED" => return Some(ReceiptStatus::Delivered),
            "" | "ENROUTE" | "ACCEPTD" | "ACCEPTED" | "ACKED" | "BUFFRED" | "BUFFERD" | "BUFFERED"
            | "SCHEDLD" => return None,
            _ => {}
        }
        let error = delivered.network_error_code.map(format_network_error);
        let error = error
            .or_else(|| fields.err.map(str::to_owned))
            .unwrap_or_default();
        let reason = match sanitize_text(&error).as_str() {
            "" => sanitize_text(word),
            error => format!("{}, error {error}", sanitize_text(word)),
        };
        let is_dead = self.invalid_errors.contains(&normalize_error(&error));
        Some(if is_dead {
            ReceiptStatus::Invalid { reason }
        } else {
            ReceiptStatus::Bounced { reason }
        })
    }
}

/// A network error so that `001`, `1` and `0A` meet `0a`.
pub(super) fn normalize_error(error: &str) -> String {
    let error = error.trim();
    let stripped = error.trim_start_matches('0');
    if stripped.is_empty() && !error.is_empty() {
        return "0".to_owned();
    }
    stripped.to_ascii_lowercase()
}

/// The word of a state that comes as a number.
fn state_name(number: u8) -> Option<&'static str> {
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
fn format_network_error(octets: [u8; 3]) -> String {
    match std::str::from_utf8(&octets) {
        Ok(digits) if octets[0].is_ascii_digit() => digits.to_owned(),
        _ => u16::from_be_bytes([octets[1], octets[2]]).to_string(),
    }
}

/// Looks for the keys in the order they come in; `text:` takes all that follows.
fn parse_fields(text: &str) -> ReceiptFields<'_> {
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    while at < lower.len() {
        let begins = at == 0 || !lower.as_bytes()[at - 1].is_ascii_alphanumeric();
        let rest = lower.get(at..).filter(|_| begins).unwrap_or_default();
        match RECEIPT_KEYS.into_iter().find(|key| rest.starts_with(key)) {
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
    ReceiptFields {
        id: word("id:"),
        stat: word("stat:"),
        err: word("err:"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind(esm_class: u8, text: &str) -> ShortMessageKind {
        let delivered = ShortMessage {
            esm_class,
            short_message: text.as_bytes(),
            ..ShortMessage::default()
        };
        ReceiptParser::default().classify(&delivered)
    }

    fn receipt(id: &str, verdict: Option<ReceiptStatus>) -> ShortMessageKind {
        ShortMessageKind::Receipt(DeliveryReceipt {
            message_id: id.to_owned(),
            verdict,
        })
    }

    fn bounced(reason: &str) -> Option<ReceiptStatus> {
        let reason = reason.to_owned();
        Some(ReceiptStatus::Bounced { reason })
    }

    #[test]
    fn a_receipt_is_read_in_every_form_that_is_known() {
        let delivered = Some(ReceiptStatus::Delivered);
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
            assert_eq!(kind(4, text), receipt("4b2f10a7", delivered.clone()), "{text}");
            assert_eq!(
                kind(0, text),
                receipt("4b2f10a7", delivered.clone()),
                "class 0: {text}"
            );
            assert_eq!(
                kind(0x44, text),
                receipt("4b2f10a7", delivered.clone()),
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
            assert_eq!(
                kind(4, &format!("id:7 stat:{stat} err:034")),
                receipt("7", verdict)
            );
        }
        assert_eq!(kind(0x20, "id:7 stat:UNDELIV err:1"), receipt("7", None));
    }

    #[test]
    fn optional_parameters_go_over_the_text() {
        let reading = ReceiptParser::default();
        let with = |id: Option<&'static [u8]>, state, network_error, text: &'static str| {
            reading.classify(&ShortMessage {
                esm_class: 4,
                receipted_message_id: id,
                message_state: state,
                network_error_code: network_error,
                short_message: text.as_bytes(),
                ..ShortMessage::default()
            })
        };
        let delivered = Some(ReceiptStatus::Delivered);
        assert_eq!(
            with(Some(b"0A"), Some(2), None, ""),
            receipt("a", delivered.clone())
        );
        assert_eq!(
            with(Some(b"0A"), None, None, "id:9 stat:DELIVRD"),
            receipt("a", delivered.clone())
        );
        assert_eq!(with(None, Some(2), None, "id:9"), receipt("9", delivered));
        assert_eq!(
            with(Some(b"a"), Some(5), Some([3, 0, 27]), ""),
            receipt("a", bounced("UNDELIV, error 27"))
        );
        assert_eq!(
            with(Some(b"a"), Some(5), Some(*b"034"), ""),
            receipt("a", bounced("UNDELIV, error 034"))
        );
        assert_eq!(
            with(Some(b"a"), Some(99), None, "stat:EXPIRED"),
            receipt("a", bounced("EXPIRED"))
        );
        assert_eq!(
            with(Some(b"a"), Some(1), None, "stat:DELIVRD"),
            receipt("a", None)
        );
    }

    #[test]
    fn an_error_that_means_a_dead_number_is_configured() {
        let reading = ReceiptParser {
            invalid_errors: vec![normalize_error("001"), normalize_error("0B")],
            ..ReceiptParser::default()
        };
        for (error, is_dead) in [
            ("1", true),
            ("001", true),
            ("b", true),
            ("010", false),
            ("", false),
        ] {
            let text = format!("id:7 stat:UNDELIV err:{error}");
            let kind = reading.classify(&ShortMessage {
                esm_class: 4,
                short_message: text.as_bytes(),
                ..ShortMessage::default()
            });
            let ShortMessageKind::Receipt(DeliveryReceipt {
                verdict: Some(verdict),
                ..
            }) = kind
            else {
                panic!("{text} is a receipt");
            };
            assert_eq!(
                matches!(verdict, ReceiptStatus::Invalid { .. }),
                is_dead,
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_no_receipt_is_a_text_or_nothing() {
        for text in ["STOP", "", "my id: 7", "stat:us", "rapid:7 stat:DELIVRD"] {
            assert_eq!(kind(0, text), ShortMessageKind::Text, "{text}");
        }
        for text in ["", "stat:DELIVRD", "id: stat:DELIVRD"] {
            assert_eq!(kind(4, text), ShortMessageKind::Other, "{text}");
        }
        assert_eq!(kind(0x08, "id:7 stat:DELIVRD"), ShortMessageKind::Other);
        assert_eq!(kind(0x10, "read"), ShortMessageKind::Other);
    }

    proptest! {
        #[test]
        fn any_text_can_be_read(esm_class in any::<u8>(), text in "(id:|stat:|err:|text:|done date:|[a-zéA-Z0-9 ]){0,12}") {
            let _ = kind(esm_class, &text);
        }
    }
}
