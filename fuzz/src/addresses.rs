//! Addresses: phone numbers, e-mail addresses and every other kind.

use postrider_core::address::{AddressKind, PhoneRules, guess_address_kind, mask_address, parse_address};

use crate::texts;

const KINDS: [AddressKind; 5] =
    [AddressKind::Phone, AddressKind::Email, AddressKind::Url, AddressKind::Push, AddressKind::Any];

/// Parses the text as each kind; a normal form must be its own normal form.
pub fn run(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    for kind in KINDS {
        if let Ok(normal) = parse_address(kind, &text, &PhoneRules::default()) {
            let again = parse_address(kind, &normal, &PhoneRules::default());
            assert_eq!(again.as_deref(), Ok(normal.as_str()), "{kind:?}: normal form of {text:?}");
            drop((guess_address_kind(&normal), mask_address(&normal)));
        }
    }
}

/// Returns addresses in many spellings.
pub fn seeds() -> Vec<Vec<u8>> {
    texts(&[
        "09122222222",
        "+98 (0) 912 222 2222",
        "00989122222222",
        "۰۹۱۲۲۲۲۲۲۲۲",
        "+1 202-555-0100 ext. 5",
        "Ada@Example.org",
        "user@bücher.example",
        "user@xn--bcher-kva.example",
        "\"a b\"@example.org",
        "a..b@docomo.example",
        "https://example.org:8443/path?query#fragment",
        "0f744707bebcf74f9b7c25d48e3358945f6aa01da5ddb387462c7eaf61bbad78",
    ])
}
