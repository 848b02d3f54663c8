//! Tests of joining parts.

use super::*;
use crate::alphabet::{DefaultAlphabet, decode_text};

fn now() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

/// Returns a part from `from` with a user data header.
fn part<'a>(from: &'a [u8], octets: &'a [u8], data_coding: u8) -> ShortMessage<'a> {
    ShortMessage {
        source_addr: from,
        destination_addr: b"30001",
        esm_class: 0x40,
        data_coding,
        short_message: octets,
        ..ShortMessage::default()
    }
}

fn add(assembler: &mut PartAssembler, message: &ShortMessage, at: Timestamp) -> Option<String> {
    let whole = assembler.add(message, message.concatenation().unwrap(), at)?;
    decode_text(message.data_coding, &whole, DefaultAlphabet::Gsm)
}

#[test]
fn parts_in_any_order_make_one_text() {
    let eight_bit = [&b"\x05\x00\x03\x07\x02\x02OP"[..], &b"\x05\x00\x03\x07\x02\x01ST"[..]];
    let sixteen_bit = [&b"\x06\x08\x04\x12\x34\x02\x01ST"[..], &b"\x06\x08\x04\x12\x34\x02\x02OP"[..]];
    for octets in [eight_bit, sixteen_bit] {
        let mut assembler = PartAssembler::default();
        assert_eq!(add(&mut assembler, &part(b"1", octets[0], 0), now()), None);
        assert_eq!(add(&mut assembler, &part(b"2", octets[0], 0), now()), None, "another sender");
        assert_eq!(add(&mut assembler, &part(b"1", octets[0], 0), now()), None, "a repeated part");
        assert_eq!(add(&mut assembler, &part(b"1", octets[1], 0), now()).as_deref(), Some("STOP"));
    }
}

#[test]
fn parts_are_joined_by_sar_parameters() {
    let mut assembler = PartAssembler::default();
    for (number, text, whole) in [(1, &b"ST"[..], None), (2, b"OP", Some("STOP"))] {
        let message = ShortMessage {
            short_message: text,
            sar_msg_ref_num: Some(300),
            sar_total_segments: 2,
            sar_segment_seqnum: number,
            ..ShortMessage::default()
        };
        assert_eq!(add(&mut assembler, &message, now()).as_deref(), whole);
    }
}

#[test]
fn each_ucs2_part_may_have_a_byte_order_mark() {
    let mut assembler = PartAssembler::default();
    let first = b"\x05\x00\x03\x07\x02\x01\xfe\xff\x00S\x00T";
    let second = b"\x05\x00\x03\x07\x02\x02\xff\xfeO\x00P\x00";
    assert_eq!(add(&mut assembler, &part(b"1", first, 8), now()), None);
    assert_eq!(add(&mut assembler, &part(b"1", second, 8), now()).as_deref(), Some("STOP"));
}

#[test]
fn a_reference_without_the_header_bit_is_a_header_too() {
    let message = ShortMessage { esm_class: 0, ..part(b"1", b"\x05\x00\x03\x07\x02\x01STOP", 0) };
    assert!(message.concatenation().is_some());
    assert_eq!(message.text_octets(), b"STOP");
}

#[test]
fn a_part_out_of_range_belongs_to_no_message() {
    for octets in [
        &b"\x05\x00\x03\x07\x02\x03A"[..],
        b"\x05\x00\x03\x07\x02\x00A",
        b"\x05\x00\x03\x07\x01\x01A",
        b"\xff",
    ] {
        assert_eq!(part(b"1", octets, 0).concatenation(), None, "{octets:?}");
    }
}

#[test]
fn incomplete_messages_are_limited_in_time_and_number() {
    let mut assembler = PartAssembler::default();
    let octets = b"\x05\x00\x03\x07\x02\x01ST";
    add(&mut assembler, &part(b"1", octets, 0), now());
    assert_eq!(assembler.drop_incomplete(now() + ASSEMBLY_TIME_MAX), 0);
    assert_eq!(assembler.drop_incomplete(now() + ASSEMBLY_TIME_MAX + TimeDelta::seconds(1)), 1);
    for sender in 0..=ASSEMBLY_MESSAGES_MAX {
        add(&mut assembler, &part(sender.to_string().as_bytes(), octets, 0), now());
    }
    assert_eq!(assembler.drop_incomplete(now()), 1);
    assert_eq!(assembler.bytes, ASSEMBLY_MESSAGES_MAX * 2);
}
