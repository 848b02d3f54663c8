use super::*;

#[test]
fn a_sender_is_a_number_or_a_short_name() {
    for (sender, is_valid) in [
        ("+15005550006", true),
        ("3000", true),
        ("Acme", true),
        ("Acme & Co.", true),
        ("", false),
        ("+", false),
        ("+1500555000612345", false),
        ("Acme Company", false),
        (" Acme", false),
        ("Ac\nme", false),
        ("Grüße", false),
    ] {
        assert_eq!(is_phone_sender(sender), is_valid, "{sender}");
    }
}
