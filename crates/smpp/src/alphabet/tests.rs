//! Tests of the character encodings.

use proptest::prelude::*;

use super::*;

#[test]
fn ucs2_and_latin1_are_encoded_as_the_specification_shows() {
    assert_eq!(encode_ucs2("کد"), [0x06, 0xA9, 0x06, 0x2F]);
    assert_eq!(encode_latin1("Grün €"), None);
    assert_eq!(encode_latin1("Grün"), Some(b"Gr\xfcn".to_vec()));
}

#[test]
fn a_text_is_decoded_by_its_data_coding() {
    use DefaultAlphabet::{Gsm, Latin1};
    for (data_coding, octets, default, text) in [
        (0, &[0x53, 0x54, 0x4F, 0x50][..], Gsm, Some("STOP")),
        (0, b"\x00\x1b\x65", Gsm, Some("@€")),
        (0, b"\x1b\x41\x80\x1b", Gsm, Some("A\u{FFFD}")),
        (0, b"@\xfc", Latin1, Some("@\u{fc}")),
        (8, &[0x06, 0xA9, 0x06], Gsm, Some("ک\u{600}")),
        (3, b"\xe9", Gsm, Some("é")),
        (4, b"\x01\x02", Gsm, None),
    ] {
        assert_eq!(decode_text(data_coding, octets, default).as_deref(), text, "{data_coding}: {octets:?}");
    }
}

#[test]
fn texts_of_the_trials_are_read() {
    let stop_ucs2 = b"\x00S\x00T\x00O\x00P";
    for data_coding in [8, 0x18, 0x08, 2, 4, 0x15, 0xE0] {
        assert_eq!(decode_text(data_coding, stop_ucs2, DefaultAlphabet::Gsm).as_deref(), Some("STOP"));
    }
    for data_coding in [0, 8, 4, 0xE8] {
        for marked in [&b"\xfe\xff\x00S\x00T\x00O\x00P"[..], b"\xff\xfeS\x00T\x00O\x00P\x00"] {
            let text = decode_text(data_coding, marked, DefaultAlphabet::Gsm);
            assert_eq!(text.as_deref(), Some("STOP"), "{data_coding} {marked:?}");
        }
    }
    // Every coding but UCS-2 reads plain ASCII.
    for data_coding in
        (0..=0xFF).filter(|coding| !matches!(coding, 8 | 0x18..=0x1B | 0x48..=0x4B | 0x58..=0x5B))
    {
        for text in [&b"STOP"[..], b"STOP\x00"] {
            let decoded = decode_text(data_coding, text, DefaultAlphabet::Gsm);
            assert_eq!(decoded.as_deref(), Some("STOP"), "{data_coding:#x}");
        }
    }
    assert_eq!(
        decode_text(8, b"\x00S\x00T\x00O\x00P\x00\x00", DefaultAlphabet::Gsm).as_deref(),
        Some("STOP")
    );
    assert_eq!(decode_text(6, b"\xc1\xe2\xde\xdf", DefaultAlphabet::Gsm).as_deref(), Some("Стоп"));
    assert_eq!(decode_text(7, b"\xf2\xf6\xe5\xf8", DefaultAlphabet::Gsm).as_deref(), Some("עצור"));
}

proptest! {
    #[test]
    fn decoding_any_octets_does_not_panic(data_coding in any::<u8>(), octets in any::<Vec<u8>>()) {
        let _ = decode_text(data_coding, &octets, DefaultAlphabet::Gsm);
    }
}
