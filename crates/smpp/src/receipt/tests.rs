//! Tests of receipt parsing.

use proptest::prelude::*;

use super::*;
use crate::testing::hex;

fn classify_text(esm_class: u8, text: &str) -> ShortMessageKind {
    let message = ShortMessage { esm_class, short_message: text.as_bytes(), ..ShortMessage::default() };
    classify(&message, MessageIdFormat::Same)
}

/// Returns message id, state and error of a receipt; the other fields have tests of their own.
fn receipt(id: &str, state: &str, error: &str) -> Option<[String; 3]> {
    Some([id, state, error].map(str::to_owned))
}

fn fields_of(kind: ShortMessageKind) -> Option<[String; 3]> {
    match kind {
        ShortMessageKind::Receipt(receipt) => Some([receipt.message_id, receipt.state, receipt.error]),
        ShortMessageKind::Text | ShortMessageKind::UnreadableReceipt => None,
    }
}

/// Returns the kind of a `deliver_sm` PDU.
fn classify_pdu(frame: &str) -> ShortMessageKind {
    let bytes = hex(frame);
    classify(&ShortMessage::parse_deliver_sm(&bytes[16..]), MessageIdFormat::Same)
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
                fields_of(classify_text(esm_class, text)),
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
        fields_of(classify(&message, MessageIdFormat::Same))
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
fn a_message_without_a_receipt_is_a_text_or_unreadable() {
    for esm_class in [0x00, 0x08, 0x10, 0x18, 0x40, 0x48] {
        for text in ["STOP", "", "my id: 7", "stat:us", "rapid:7 stat:DELIVRD", "read"] {
            assert_eq!(classify_text(esm_class, text), ShortMessageKind::Text, "{text}");
        }
    }
    for text in ["", "stat:DELIVRD", "id: stat:DELIVRD", "id:7", "no receipt at all"] {
        assert_eq!(classify_text(4, text), ShortMessageKind::UnreadableReceipt, "{text}");
    }
}

#[test]
fn a_receipt_of_another_message_type_may_be_written_by_a_phone() {
    for (esm_class, is_text) in [(0x00, true), (0x08, true), (0x10, true), (0x04, false), (0x20, false)] {
        let ShortMessageKind::Receipt(receipt) = classify_text(esm_class, "id:7 stat:DELIVRD") else {
            panic!("a receipt with esm_class {esm_class}");
        };
        assert_eq!(receipt.is_text, is_text, "{esm_class}");
    }
    let message =
        ShortMessage { receipted_message_id: Some(b"7"), message_state: Some(2), ..ShortMessage::default() };
    let ShortMessageKind::Receipt(receipt) = classify(&message, MessageIdFormat::Same) else {
        panic!("a receipt by its parameter");
    };
    assert!(!receipt.is_text, "a phone cannot send parameters");
}

#[test]
fn receipts_of_the_trials_are_read() {
    for (text, state, error) in [
        (
            "id:x1 sub:000 dlvrd:000 submit date:180903120815 done date:180903120816 DELIVRD err:000 Text:",
            "DELIVRD",
            "000",
        ),
        (
            "id:x1 sub:000 dlvrd:000 submit date:180903120815 done date:180903120816 UNDELIV err:007",
            "UNDELIV",
            "007",
        ),
        ("id:x1 stat:DELIVRD\0", "DELIVRD", ""),
        ("id:x1 stat:DELIVRD\0err:1", "DELIVRD", "1"),
        ("stat:DELIVRD id:x1\0", "DELIVRD", ""),
        ("id=x1 stat=DELIVRD", "DELIVRD", ""),
        ("id:x1;stat:DELIVRD;err:000", "DELIVRD", "000"),
        ("id:x1,stat:DELIVRD,err:000", "DELIVRD", "000"),
        ("id:\"x1\" stat:\"DELIVRD\"", "DELIVRD", ""),
        ("id : x1 stat : DELIVRD", "DELIVRD", ""),
        (
            "id:x1sub:001dlvrd:001submit date:2607211403done date:2607211404stat:DELIVRDerr:000text:",
            "DELIVRD",
            "000",
        ),
        ("id:x1 sub:001 text:Hello stat:us stat:DELIVRD err:000", "DELIVRD", "000"),
        ("id:x1 status:DELIVRD error:12", "DELIVRD", "12"),
        ("id:x1 stat:QUEUED err:000", "QUEUED", "000"),
        ("id:x1 stat:NEWWORD err:000", "NEWWORD", "000"),
        ("id:x1 stat:NEWWORD err:000 text:stat:DELIVRD", "NEWWORD", "000"),
        ("id:x1\r\nstat:DELIVRD\r\n", "DELIVRD", ""),
    ] {
        assert_eq!(fields_of(classify_text(4, text)), receipt("x1", state, error), "{text}");
    }
}

#[test]
fn pdus_of_the_trials_are_read() {
    let ucs2 = "00000054000000050000000000000001000101313530303535353030303100050041636d65000400000000000008002400690064003a0075003100200073007400610074003a00440045004c0049005600520044";
    assert_eq!(fields_of(classify_pdu(ucs2)), receipt("u1", "DELIVRD", ""));
    let with_nul = "00000043000000050000000000000001000101313530303535353030303100050041636d65000400000000000000001369643a6e3120737461743a44454c4956524400";
    assert_eq!(fields_of(classify_pdu(with_nul)), receipt("n1", "DELIVRD", ""));
    let forged = "0000004d00000005000000000000000100010131353030353535393939390005003330303031000000000000000000001c69643a3130303120737461743a554e44454c4956206572723a303031";
    let ShortMessageKind::Receipt(receipt) = classify_pdu(forged) else {
        panic!("a receipt that must be compared with its sender");
    };
    assert!(receipt.is_text);
}

#[test]
fn a_receipt_may_be_mislabelled() {
    let ascii = ShortMessage {
        esm_class: 4,
        data_coding: 8,
        short_message: b"id:7 stat:DELIVRD",
        ..ShortMessage::default()
    };
    assert_eq!(fields_of(classify(&ascii, MessageIdFormat::Same)), receipt("7", "DELIVRD", ""));
    let long_id = "a".repeat(70);
    assert_eq!(
        fields_of(classify_text(4, &format!("id:{long_id} stat:DELIVRD"))),
        receipt(&long_id, "DELIVRD", "")
    );
    let latin1 =
        ShortMessage { esm_class: 4, short_message: b"id:\xe9\xff7 stat:DELIVRD", ..ShortMessage::default() };
    let submitted = MessageIdFormat::Same.normalize_submitted(b"\xe9\xff7").unwrap();
    assert_eq!(fields_of(classify(&latin1, MessageIdFormat::Same)), receipt(&submitted, "DELIVRD", ""));
}

#[test]
fn a_description_has_no_digits_and_no_message_text() {
    let message = ShortMessage {
        short_message: b"id:4711 to:15005550001 stat= text:Your code is 99",
        ..ShortMessage::default()
    };
    assert_eq!(describe_receipt(&message), "id:**** to:*********** stat= ");
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
