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
        (0, b"\x1b\x65\x00", Gsm, Some("€@")),
        (0, b"\x1b\x41\x80\x1b", Gsm, Some("A\u{FFFD}")),
        (0, b"@\xfc", Latin1, Some("@\u{fc}")),
        (8, &[0x06, 0xA9, 0x06], Gsm, Some("ک\u{600}")),
        (3, b"\xe9", Gsm, Some("é")),
        (4, b"binary", Gsm, None),
    ] {
        assert_eq!(decode_text(data_coding, octets, default).as_deref(), text, "{data_coding}: {octets:?}");
    }
}

proptest! {
    #[test]
    fn decoding_any_octets_does_not_panic(data_coding in any::<u8>(), octets in any::<Vec<u8>>()) {
        let _ = decode_text(data_coding, &octets, DefaultAlphabet::Gsm);
    }
}
