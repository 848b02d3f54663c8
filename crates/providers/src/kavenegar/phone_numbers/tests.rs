use super::*;

#[test]
fn iranian_mobile_numbers_are_written_in_national_notation() {
    assert_eq!(to_national_mobile("+989121234567").as_deref(), Some("09121234567"));
    for number in ["+98912123456", "+982112345678", "+4912345678901", "9121234567", ""] {
        assert_eq!(to_national_mobile(number), None, "{number}");
    }
    assert_eq!(to_template_receptor("+97412345678"), "0097412345678");
}
