//! Whether a call comes from Vonage: a digest with the signature secret over all its fields.
//!
//! The call names its time and a number used once, so what is old, or says something new under an old number, is
//! refused.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::settings::SignatureMethod;
use crate::CallbackRequest;
use crate::sms::{CallbackFields, NonceCache};

/// How far a call's time may be from ours, in seconds.
const CLOCK_SKEW_SECONDS_MAX: u64 = 5 * 60;

/// Whether the fields are signed with the secret, now, and for the first time unless they are the same again.
pub(super) fn is_valid(
    secret: &str,
    method: SignatureMethod,
    call: &CallbackRequest,
    fields: &CallbackFields,
    nonces: &NonceCache,
) -> bool {
    let Some(shown) = fields.get("sig").and_then(decode_hex) else {
        return false;
    };
    let text = signed_text(fields);
    if !has_valid_digest(secret.as_bytes(), method, &text, &shown) {
        return false;
    }
    let time = fields.get("timestamp").and_then(|time| time.parse::<i64>().ok());
    let is_now =
        time.is_some_and(|time| call.received_at.timestamp().abs_diff(time) <= CLOCK_SKEW_SECONDS_MAX);
    is_now
        && fields
            .get("nonce")
            .is_none_or(|nonce| nonces.is_new_or_repeated(nonce, text.as_bytes(), call.received_at))
}

/// The fields in the order of their names, without the signature; what would divide them is taken out of the values.
fn signed_text(fields: &CallbackFields) -> String {
    let mut pairs = fields
        .pairs()
        .iter()
        .filter(|(name, _)| name != "sig")
        .collect::<Vec<_>>();
    pairs.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    let mut text = String::new();
    for (name, value) in pairs {
        text.extend(["&", name, "=", &value.replace(['&', '='], "_")]);
    }
    text
}

fn has_valid_digest(secret: &[u8], method: SignatureMethod, text: &str, shown: &[u8]) -> bool {
    match method {
        SignatureMethod::Md5Hash => {
            let right = Md5::new().chain_update(text).chain_update(secret).finalize();
            right.as_slice().ct_eq(shown).into()
        }
        SignatureMethod::Md5 => has_valid_hmac::<Hmac<Md5>>(secret, text, shown),
        SignatureMethod::Sha1 => has_valid_hmac::<Hmac<Sha1>>(secret, text, shown),
        SignatureMethod::Sha256 => has_valid_hmac::<Hmac<Sha256>>(secret, text, shown),
        SignatureMethod::Sha512 => has_valid_hmac::<Hmac<Sha512>>(secret, text, shown),
    }
}

fn has_valid_hmac<M: Mac + KeyInit>(secret: &[u8], text: &str, shown: &[u8]) -> bool {
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(secret) else {
        return false;
    };
    mac.update(text.as_bytes());
    mac.verify_slice(shown).is_ok()
}

/// The bytes behind hexadecimal digits of either case.
fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let bytes = digits.trim().as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    let pair = |pair: &[u8]| u8::try_from(digit(pair.first()?)? * 16 + digit(pair.get(1)?)?).ok();
    bytes.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::clock::from_millis;

    fn callback_and_fields(form: &str, seconds: i64) -> (CallbackRequest, CallbackFields) {
        let call = CallbackRequest {
            received_at: from_millis(seconds * 1000),
            ..CallbackRequest::default()
        };
        (call, CallbackFields::from_form(form.as_bytes()).unwrap())
    }

    fn is_valid_at(secret: &str, method: SignatureMethod, form: &str, seconds: i64) -> bool {
        let (call, fields) = callback_and_fields(form, seconds);
        is_valid(secret, method, &call, &fields, &NonceCache::default())
    }

    const VECTOR: &str = "message-timestamp=2013-11-21+15%3A27%3A30&messageId=020000001B0FE827&msisdn=14843472194&text=Test+again&timestamp=1385047698&to=13239877404&type=text";

    #[test]
    fn the_vectors_of_the_reference_are_accepted_by_every_method() {
        for (method, signature) in [
            (SignatureMethod::Md5Hash, "d2e7b1dc968737c5998ad624e02f90b7"),
            (SignatureMethod::Md5, "DDEBD46008C2D4E93CCE578A332A52D5"),
            (SignatureMethod::Sha1, "27D0D05C2876C7CB1720DBCDBA4D492E1E55C09A"),
            (
                SignatureMethod::Sha256,
                "DDB8397C2B90AAC7F3882D306475C9A5058C92322EEF43C92B298B6E0FC0D330",
            ),
            (
                SignatureMethod::Sha512,
                "E0D3C650F8C9D1A5C174D10DDDBFB003E561F59B265616208B0487C5D819481CD3C311D59CF6165ECD1139622D5BA3A256C0D763AC4A9AD9144B5A426B94FE82",
            ),
        ] {
            let secret = "my_secret_key_for_testing";
            let form = format!("{VECTOR}&sig={signature}");
            assert!(is_valid_at(secret, method, &form, 1_385_047_700), "{method:?}");
            assert!(is_valid_at(
                secret,
                method,
                &form.replace(signature, &signature.to_lowercase()),
                1_385_047_700
            ));
            assert!(!is_valid_at(
                secret,
                method,
                &form.replace("again", "once"),
                1_385_047_700
            ));
            assert!(!is_valid_at("another", method, &form, 1_385_047_700));
            assert!(!is_valid_at(secret, method, VECTOR, 1_385_047_700), "unsigned");
        }
    }

    #[test]
    fn what_is_old_or_says_something_else_under_the_same_number_is_refused() {
        let secret = "sigsecret-for-docs";
        let form = "api-key=abcd1234&client-ref=01J9ZC5T&err-code=0&message-timestamp=2026-07-21+14%3A03%3A09&messageId=0A0000001234567B&msisdn=989121234567&network-code=43211&nonce=ec11dd3e-1e7f-4db5-9467-82b02cd223b9&price=0.03330000&scts=2607211403&status=delivered&timestamp=1784642589&to=AcmeInc&sig=CDD6D801E301FACDF17390108BD31DDF0E11D165D7DB824B28C834239E8F604F";
        assert!(is_valid_at(
            secret,
            SignatureMethod::Sha256,
            form,
            1_784_642_589 + 299
        ));
        assert!(!is_valid_at(
            secret,
            SignatureMethod::Sha256,
            form,
            1_784_642_589 + 301
        ));
        assert!(!is_valid_at(
            secret,
            SignatureMethod::Sha256,
            form,
            1_784_642_589 - 301
        ));
        let (call, fields) = callback_and_fields(form, 1_784_642_589);
        let nonces = NonceCache::default();
        for _ in 0..2 {
            assert!(
                is_valid(secret, SignatureMethod::Sha256, &call, &fields, &nonces),
                "a repetition"
            );
        }
        let used = NonceCache::default();
        used.is_new_or_repeated(
            "ec11dd3e-1e7f-4db5-9467-82b02cd223b9",
            b"other words",
            call.received_at,
        );
        assert!(!is_valid(secret, SignatureMethod::Sha256, &call, &fields, &used));
    }

    #[test]
    fn odd_digits_are_no_signature() {
        for digits in ["0", "zz", "0g", "é"] {
            assert_eq!(decode_hex(digits), None, "{digits}");
        }
    }
}
