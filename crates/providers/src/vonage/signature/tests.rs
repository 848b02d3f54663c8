use super::*;
use postrider_core::clock::from_millis;

fn callback_and_fields(form: &str, seconds: i64) -> (CallbackRequest, CallbackFields) {
    let request = CallbackRequest { received_at: from_millis(seconds * 1000), ..CallbackRequest::default() };
    (request, CallbackFields::from_form(form.as_bytes()).unwrap())
}

fn is_valid_at(secret: &str, method: SignatureMethod, form: &str, seconds: i64) -> bool {
    let (request, fields) = callback_and_fields(form, seconds);
    is_valid(secret, method, &request, &fields, &NonceCache::default())
}

const EXAMPLE: &str = "message-timestamp=2013-11-21+15%3A27%3A30&messageId=020000001B0FE827&msisdn=14843472194&text=Test+again&timestamp=1385047698&to=13239877404&type=text";

#[test]
fn the_examples_of_the_reference_are_valid_by_every_method() {
    for (method, signature) in [
        (SignatureMethod::Md5Hash, "d2e7b1dc968737c5998ad624e02f90b7"),
        (SignatureMethod::Md5, "DDEBD46008C2D4E93CCE578A332A52D5"),
        (SignatureMethod::Sha1, "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
        (SignatureMethod::Sha256, "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330"),
        (
            SignatureMethod::Sha512,
            "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82",
        ),
    ] {
        let secret = "my_secret_key_for_testing";
        let form = format!("{EXAMPLE}&sig={signature}");
        assert!(is_valid_at(secret, method, &form, 1_385_047_700), "{method:?}");
        assert!(is_valid_at(
            secret,
            method,
            &form.replace(signature, &signature.to_lowercase()),
            1_385_047_700
        ));
        assert!(!is_valid_at(secret, method, &form.replace("again", "once"), 1_385_047_700));
        assert!(!is_valid_at("another", method, &form, 1_385_047_700));
        assert!(!is_valid_at(secret, method, EXAMPLE, 1_385_047_700), "unsigned");
    }
}

#[test]
fn an_old_callback_or_other_content_under_a_known_nonce_is_invalid() {
    let secret = "sigsecret-for-docs";
    let form = "api-key=abcd1234&client-ref=01J9ZC5T&err-code=0&message-timestamp=2026-07-21+14%3A03%3A09&messageId=0A0000001234567B&msisdn=989121234567&network-code=43211&nonce=ec11dd3e-1e7f-4db5-9467-82b02cd223b9&price=0.03330000&scts=2607211403&status=delivered&timestamp=1784642589&to=AcmeInc&sig=CDD6D801E301FACDF17390108BD31DDF0E11D165D7DB824B28C834239E8F604F";
    assert!(is_valid_at(secret, SignatureMethod::Sha256, form, 1_784_642_589 + 299));
    assert!(!is_valid_at(secret, SignatureMethod::Sha256, form, 1_784_642_589 + 301));
    assert!(!is_valid_at(secret, SignatureMethod::Sha256, form, 1_784_642_589 - 301));
    let (request, fields) = callback_and_fields(form, 1_784_642_589);
    let nonces = NonceCache::default();
    for _ in 0..2 {
        assert!(is_valid(secret, SignatureMethod::Sha256, &request, &fields, &nonces), "a repetition");
    }
    let used = NonceCache::default();
    used.is_new_or_repeated("ec11dd3e-1e7f-4db5-9467-82b02cd223b9", b"other content", request.received_at);
    assert!(!is_valid(secret, SignatureMethod::Sha256, &request, &fields, &used));
}
