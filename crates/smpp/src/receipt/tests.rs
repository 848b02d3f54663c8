//! Tests of receipt parsing.

use proptest::prelude::*;

use super::*;

fn classify_text(esm_class: u8, text: &str) -> ShortMessageKind {
    let message = ShortMessage { esm_class, short_message: text.as_bytes(), ..ShortMessage::default() };
    classify(&message, MessageIdFormat::Same)
}

fn receipt(id: &str, state: &str, error: &str) -> ShortMessageKind {
    ShortMessageKind::Receipt(DeliveryReceipt {
        message_id: id.to_owned(),
        state: state.to_owned(),
        error: error.to_owned(),
        is_intermediate: false,
    })
}

#[test]
fn a_receipt_is_parsed_in_every_known_form() {
    for (text, state, error) in [
        (
            "id:4B2F10A7 sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:DELIVRD err:000 text:Your code",
            "DELIVRD",
            "000",
        ),
        (
            "id:4b2f10a7 sub:001 dlvrd:001 submit date:260721140305 done date:260721140412 stat:DELIVRD err:000 Text:",
            "DELIVRD",
            "000",
        ),
        ("ID:04B2F10A7 SUB:001 STAT:DELIVRD", "DELIVRD", ""),
        ("stat:delivrd  err:000  id:4B2F10A7", "DELIVRD", "000"),
        ("id:4B2F10A7  stat:DELIVRD", "DELIVRD", ""),
        ("id: 4B2F10A7 stat: DELIVRD err: 0", "DELIVRD", "0"),
        ("id:4B2F10A7 unknown:7 stat:DELIVRD text:id:9 stat:UNDELIV", "DELIVRD", ""),
        (
            "id:4B2F10A7 sub:001 dlvrd:001 submit date:2607211403 done date:2607211404 stat:DELIVERED",
            "DELIVERED",
            "",
        ),
    ] {
        for esm_class in [0x04, 0x00, 0x44] {
            assert_eq!(
                classify_text(esm_class, text),
                receipt("4b2f10a7", state, error),
                "esm_class {esm_class:#x}: {text}"
            );
        }
    }
}

#[test]
fn an_intermediate_notification_is_marked() {
    let ShortMessageKind::Receipt(receipt) = classify_text(0x20, "id:7 stat:UNDELIV err:1") else {
        panic!("an intermediate notification is a receipt");
    };
    assert!(receipt.is_intermediate);
    assert_eq!(receipt.message_id, "7");
}

#[test]
fn optional_parameters_take_precedence_over_the_text() {
    let with = |id: Option<&'static [u8]>, message_state, network_error_code, text: &'static str| {
        let message = ShortMessage {
            esm_class: 4,
            receipted_message_id: id,
            message_state,
            network_error_code,
            short_message: text.as_bytes(),
            ..ShortMessage::default()
        };
        classify(&message, MessageIdFormat::Same)
    };
    assert_eq!(with(Some(b"0A"), Some(2), None, ""), receipt("a", "DELIVRD", ""));
    assert_eq!(with(Some(b"0A"), None, None, "id:9 stat:DELIVRD"), receipt("a", "DELIVRD", ""));
    assert_eq!(with(None, Some(2), None, "id:9"), receipt("9", "DELIVRD", ""));
    assert_eq!(with(Some(b"a"), Some(5), Some([3, 0, 27]), ""), receipt("a", "UNDELIV", "27"));
    assert_eq!(with(Some(b"a"), Some(5), Some(*b"034"), ""), receipt("a", "UNDELIV", "034"));
    assert_eq!(with(Some(b"a"), Some(99), None, "stat:EXPIRED"), receipt("a", "EXPIRED", ""));
    assert_eq!(with(Some(b"a"), Some(1), None, "stat:DELIVRD"), receipt("a", "ENROUTE", ""));
    assert_eq!(with(Some(b"a"), Some(7), None, "stat:DELIVRD"), receipt("a", "DELIVRD", ""));
}

#[test]
fn a_message_without_a_receipt_is_a_text_or_other() {
    for text in ["STOP", "", "my id: 7", "stat:us", "rapid:7 stat:DELIVRD"] {
        assert_eq!(classify_text(0, text), ShortMessageKind::Text, "{text}");
    }
    for text in ["", "stat:DELIVRD", "id: stat:DELIVRD"] {
        assert_eq!(classify_text(4, text), ShortMessageKind::Other, "{text}");
    }
    assert_eq!(classify_text(0x08, "id:7 stat:DELIVRD"), ShortMessageKind::Other);
    assert_eq!(classify_text(0x10, "read"), ShortMessageKind::Other);
}

#[test]
fn network_errors_are_compared_without_zeros_and_case() {
    for (error, normalized) in [("001", "1"), ("1", "1"), ("0B", "b"), ("000", "0"), ("", "")] {
        assert_eq!(normalize_error(error), normalized);
    }
}

proptest! {
    #[test]
    fn parsing_any_text_does_not_panic(esm_class in any::<u8>(), text in "(id:|stat:|err:|text:|done date:|[a-zéA-Z0-9 ]){0,12}") {
        let _ = classify_text(esm_class, &text);
    }
}
