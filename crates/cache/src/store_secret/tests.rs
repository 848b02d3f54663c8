use super::*;

const SECRET: [u8; 32] = [7; 32];

#[test]
fn a_signature_is_hmac_sha256_over_length_purpose_and_content() {
    let mut expected = Hmac::<Sha256>::new_from_slice(&SECRET).expect("any length");
    expected.update(b"\0\0\0\0\0\0\0\x07sessionnumbers");
    let expected: [u8; 32] = expected.finalize().into_bytes().into();
    assert_eq!(StoreSecret::new(SECRET).sign("session", b"numbers"), expected);
}

#[test]
fn a_signature_is_valid_for_its_content_purpose_and_secret_only() {
    let secret = StoreSecret::new(SECRET);
    let signature = secret.sign("ab", b"c");
    assert!(secret.verify("ab", b"c", &signature));
    for (purpose, content) in [("ab", "d"), ("a", "bc"), ("abc", ""), ("form", "c")] {
        assert!(!secret.verify(purpose, content.as_bytes(), &signature), "{purpose}");
    }
    assert!(!secret.verify("ab", b"c", &signature[..31]));
    assert!(!StoreSecret::new([8; 32]).verify("ab", b"c", &signature));
}
