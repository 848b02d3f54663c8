use super::*;

#[test]
fn the_digest_uses_the_hash_of_the_signature() {
    let signed = |name: &[u8]| {
        let name = [&[OBJECT_ID_TAG, u8::try_from(name.len()).unwrap()], name].concat();
        let algorithm = [&[SEQUENCE_TAG, u8::try_from(name.len()).unwrap()], &name[..]].concat();
        let parts = [&[SEQUENCE_TAG, 0], &algorithm[..]].concat();
        [&[SEQUENCE_TAG, 0x81, u8::try_from(parts.len()).unwrap()], &parts[..]].concat()
    };
    let length = |name: &[u8]| certificate_digest(&signed(name)).map(|digest| digest.len());
    assert_eq!(length(&[&RSA[..], &[11]].concat()), Some(32));
    assert_eq!(length(&[&RSA[..], &[12]].concat()), Some(48));
    assert_eq!(length(&[&ECDSA[..], &[3, 4]].concat()), Some(64));
    assert_eq!(length(&[0x2B, 0x65, 0x70]), None);
}

#[test]
fn other_bytes_have_no_digest() {
    for bytes in [&b""[..], b"\x30", b"\x30\x84\xFF\xFF\xFF\xFF", b"\x30\x05abcde", b"GET /"] {
        assert_eq!(certificate_digest(bytes), None);
    }
}
