//! Tests of PDU framing, parsing and encoding.

use proptest::prelude::*;
use rusmpp_core::command::borrowed::Command;
use rusmpp_core::decode::borrowed::DecodeWithLength;
use rusmpp_core::pdus::borrowed::Pdu as CodecPdu;

use super::*;
use crate::testing::hex;

/// An example receipt from the reference.
const RECEIPT: &str = "000000b8 00000005 00000000 0000004d \
    00010139383931323132333435363700050041636d6500040000000000000000 \
    7569643a3442324631304137207375623a30303120646c7672643a3030312073 \
    75626d697420646174653a3236303732313134303320646f6e6520646174653a \
    3236303732313134303420737461743a44454c49565244206572723a30303020 \
    746578743a596f757220636f64652069732034373131001e0009344232463130 \
    4137000427000102";

fn complete_pdu(bytes: &[u8]) -> Pdu<'_> {
    match split_frame(bytes) {
        PduFrame::Complete(pdu, length) => {
            assert_eq!(length, bytes.len());
            pdu
        }
        PduFrame::Incomplete | PduFrame::Invalid => panic!("the PDU is complete"),
    }
}

#[test]
fn a_bind_is_encoded_as_the_reference_shows() {
    let bind = BindRequest { system_id: "gwuser", password: "s3cret", system_type: "" };
    let mut out = Vec::new();
    encode_pdu(&mut out, command::BIND_TRANSCEIVER, 0, 1, &bind.encode_body());
    let expected = "00000023000000090000000000000001\
                 67777573657200733363726574000034000000";
    assert_eq!(out, hex(expected));
}

#[test]
fn a_receipt_is_parsed_as_the_codec_parses_it() {
    let bytes = hex(RECEIPT);
    let pdu = complete_pdu(&bytes);
    let parsed = ShortMessage::parse_deliver_sm(pdu.body);
    assert_eq!((pdu.command, pdu.status, pdu.sequence), (command::DELIVER_SM, 0, 77));
    assert_eq!(
        (parsed.source_addr_ton, parsed.source_addr, parsed.destination_addr),
        (1, &b"989121234567"[..], &b"Acme"[..])
    );
    assert_eq!((parsed.esm_class, parsed.data_coding, parsed.message_state), (4, 0, Some(2)));
    assert_eq!(parsed.receipted_message_id, Some(&b"4B2F10A7"[..]));
    let (codec, _) = Command::<'_, 8>::decode(&bytes[4..], bytes.len() - 4).unwrap();
    let Some(CodecPdu::DeliverSm(codec)) = codec.pdu() else {
        panic!("the codec must parse a deliver_sm");
    };
    assert_eq!(codec.short_message().bytes(), parsed.short_message);
    assert_eq!(codec.source_addr.as_str().as_bytes(), parsed.source_addr);
}

#[test]
fn a_response_without_a_body_or_terminator_is_complete() {
    let pdu = hex("00000010 80000004 00000058 00000002");
    assert_eq!((complete_pdu(&pdu).status, complete_pdu(&pdu).first_c_octet_string()), (0x58, &b""[..]));
    let pdu = hex("00000019 80000004 00000000 00000002 344232463130413700");
    assert_eq!(complete_pdu(&pdu).first_c_octet_string(), b"4B2F10A7");
    let unterminated = hex("00000018 80000004 00000000 00000002 3442324631304137");
    assert_eq!(complete_pdu(&unterminated).first_c_octet_string(), b"4B2F10A7");
}

#[test]
fn a_frame_is_found_wherever_the_stream_was_divided() {
    let bytes = hex(RECEIPT);
    for length in 0..bytes.len() {
        assert!(matches!(split_frame(&bytes[..length]), PduFrame::Incomplete), "{length} bytes");
    }
    let twice = [&bytes[..], &bytes[..]].concat();
    assert!(matches!(split_frame(&twice), PduFrame::Complete(_, length) if length == bytes.len()));
    for length in ["00000000", "0000000f", "00011171", "ffffffff"] {
        assert!(matches!(split_frame(&hex(length)), PduFrame::Invalid), "{length}");
    }
}

#[test]
fn the_user_data_header_is_not_part_of_the_text() {
    let text_octets = |esm_class, text| {
        ShortMessage { esm_class, short_message: text, ..ShortMessage::default() }.text_octets()
    };
    assert_eq!(text_octets(0x40, b"\x05\x00\x03\xa7\x02\x01STOP"), b"STOP");
    assert_eq!(text_octets(0x00, b"STOP"), b"STOP");
    assert_eq!(text_octets(0x40, b"\xffSTOP"), b"");
}

proptest! {
    #[test]
    fn parsing_any_bytes_does_not_panic_or_read_past_the_end(bytes in any::<Vec<u8>>()) {
        let _ = split_frame(&bytes);
        let message = ShortMessage::parse_deliver_sm(&bytes);
        prop_assert!(message.short_message.len() + message.source_addr.len() + message.destination_addr.len() <= bytes.len());
        let _ = (message.text_octets(), ShortMessage::parse_data_sm(&bytes));
    }
}
