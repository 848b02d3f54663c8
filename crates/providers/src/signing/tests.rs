use super::*;

#[test]
fn hexadecimal_digits_are_encoded_and_decoded() {
    assert_eq!(encode_hex(&[0, 0xab, 0xff]), "00abff");
    assert_eq!(decode_hex(" 00ABff "), Some(vec![0, 0xab, 0xff]));
    for digits in ["0", "zz", "0g", "é"] {
        assert_eq!(decode_hex(digits), None, "{digits}");
    }
}
