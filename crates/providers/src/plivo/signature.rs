//! Whether a call comes from Plivo: HMAC-SHA256 with the auth token over the URL without its query, and a number used
//! once.
//!
//! What the call says is not signed, so a number that comes with other words than before is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::CallbackRequest;
use crate::sms::NonceCache;

/// The signature with the token of the account that sent, and that with the main account's.
const SIGNATURE_HEADERS: [&str; 2] = ["x-plivo-signature-v2", "x-plivo-signature-ma-v2"];

/// Whether any of the signatures a call carries is right.
pub(super) fn is_valid(auth_token: &str, call: &CallbackRequest, nonces: &NonceCache) -> bool {
    let Some(nonce) = call.headers.get("x-plivo-signature-v2-nonce") else {
        return false;
    };
    let url = call.url.split(['?', '#']).next().unwrap_or_default();
    let signatures = SIGNATURE_HEADERS
        .iter()
        .filter_map(|header| call.headers.get(*header));
    let is_signed = signatures
        .flat_map(|value| value.split(','))
        .filter_map(|shown| BASE64.decode(shown.trim()).ok())
        .any(|shown| has_valid_hmac(auth_token, url, nonce, &shown));
    let words = || [call.query.as_bytes(), b"\n", &call.body].concat();
    is_signed && nonces.is_new_or_repeated(nonce, &words(), call.received_at)
}

fn has_valid_hmac(auth_token: &str, url: &str, nonce: &str, shown: &[u8]) -> bool {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(auth_token.as_bytes()) else {
        return false;
    };
    mac.update(url.as_bytes());
    mac.update(nonce.as_bytes());
    mac.verify_slice(shown).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    /// The worked example of the reference.
    fn example_callback() -> CallbackRequest {
        let headers = [
            (
                "x-plivo-signature-v2",
                "VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVs=",
            ),
            ("x-plivo-signature-v2-nonce", "05429567804466091622"),
        ];
        CallbackRequest {
            url: "https://gw.example.org/v1/callbacks/plivo?m=01J9ZC5T".to_owned(),
            query: "m=01J9ZC5T".to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: b"MessageUUID=a&Status=delivered".to_vec(),
            ..conformance::sample_callback()
        }
    }

    const TOKEN: &str = "plivo-token-for-docs";

    #[test]
    fn the_example_of_the_reference_is_accepted_and_may_be_repeated() {
        let nonces = NonceCache::default();
        for _ in 0..2 {
            assert!(is_valid(TOKEN, &example_callback(), &nonces));
        }
    }

    #[test]
    fn other_words_under_the_same_number_are_refused() {
        let nonces = NonceCache::default();
        is_valid(TOKEN, &example_callback(), &nonces);
        let other = CallbackRequest {
            body: b"MessageUUID=b&Status=delivered".to_vec(),
            ..example_callback()
        };
        assert!(!is_valid(TOKEN, &other, &nonces));
    }

    #[test]
    fn another_url_number_or_token_is_refused() {
        let nonces = NonceCache::default();
        assert!(!is_valid("another", &example_callback(), &nonces));
        let elsewhere = CallbackRequest {
            url: "https://gw.example.org/v1/callbacks/other".to_owned(),
            ..example_callback()
        };
        assert!(!is_valid(TOKEN, &elsewhere, &nonces));
        for header in ["x-plivo-signature-v2", "x-plivo-signature-v2-nonce"] {
            for value in [
                None,
                Some(""),
                Some("x"),
                Some("VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVt="),
            ] {
                let mut call = example_callback();
                call.headers.remove(header);
                call.headers
                    .extend(value.map(|value| (header.to_owned(), value.to_owned())));
                assert!(!is_valid(TOKEN, &call, &nonces), "{header}: {value:?}");
            }
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let mut call = example_callback();
        let right = call.headers.remove("x-plivo-signature-v2").unwrap();
        call.headers
            .insert("x-plivo-signature-ma-v2".to_owned(), format!("AAAA, {right}"));
        assert!(is_valid(TOKEN, &call, &NonceCache::default()));
    }
}
