use super::*;

#[test]
fn a_mask_hides_the_middle() {
    for (address, masked) in [
        ("+989122222222", "+98912***2222"),
        ("+16502530000", "+1650***0000"),
        ("+4930123456", "+493***3456"),
        ("1234567", "123***67"),
        ("+12345", "***"),
        ("anna@example.org", "a***@example.org"),
        ("@example.org", "***@example.org"),
        ("ünal@example.org", "ü***@example.org"),
        ("dJ3kPq81lmNo", "dJ3k***"),
        ("https://a:b@host/x", "http***"),
        ("", "***"),
    ] {
        assert_eq!(mask_address(address), masked, "{address}");
    }
}
