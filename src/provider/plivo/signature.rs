//! Whether a call comes from Plivo: HMAC-SHA256 with the auth token over the URL without its query, and a number used
//! once.
//!
//! What the call says is not signed, so a number that comes with other words than before is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::provider::Call;
use crate::provider::sms::Seen;

/// The signature with the token of the account that sent, and that with the main account's.
const HEADERS: [&str; 2] = ["x-plivo-signature-v2", "x-plivo-signature-ma-v2"];

/// Whether any of the signatures a call carries is right.
pub(super) fn is_right(auth_token: &str, call: &Call, nonces: &Seen) -> bool {
    let Some(nonce) = call.headers.get("x-plivo-signature-v2-nonce") else {
        return false;
    };
    let url = call.url.split(['?', '#']).next().unwrap_or_default();
    let signatures = HEADERS.iter().filter_map(|header| call.headers.get(*header));
    let is_signed = signatures
        .flat_map(|value| value.split(','))
        .filter_map(|shown| BASE64.decode(shown.trim()).ok())
        .any(|shown| is_signed(auth_token, url, nonce, &shown));
    let words = || [call.query.as_bytes(), b"\n", &call.body].concat();
    is_signed && nonces.fits(nonce, &words(), call.heard_at)
}

fn is_signed(auth_token: &str, url: &str, nonce: &str, shown: &[u8]) -> bool {
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
    use crate::provider::contract;

    /// The worked example of the reference.
    fn example() -> Call {
        let headers = [
            (
                "x-plivo-signature-v2",
                "VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVs=",
            ),
            ("x-plivo-signature-v2-nonce", "05429567804466091622"),
        ];
        Call {
            url: "https://gw.example.org/v1/callbacks/plivo?m=01J9ZC5T".to_owned(),
            query: "m=01J9ZC5T".to_owned(),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            body: b"MessageUUID=a&Status=delivered".to_vec(),
            ..contract::call()
        }
    }

    const TOKEN: &str = "plivo-token-for-docs";

    #[test]
    fn the_example_of_the_reference_is_accepted_and_may_be_repeated() {
        let nonces = Seen::default();
        for _ in 0..2 {
            assert!(is_right(TOKEN, &example(), &nonces));
        }
    }

    #[test]
    fn other_words_under_the_same_number_are_refused() {
        let nonces = Seen::default();
        is_right(TOKEN, &example(), &nonces);
        let other = Call {
            body: b"MessageUUID=b&Status=delivered".to_vec(),
            ..example()
        };
        assert!(!is_right(TOKEN, &other, &nonces));
    }

    #[test]
    fn another_url_number_or_token_is_refused() {
        let nonces = Seen::default();
        assert!(!is_right("another", &example(), &nonces));
        let elsewhere = Call {
            url: "https://gw.example.org/v1/callbacks/other".to_owned(),
            ..example()
        };
        assert!(!is_right(TOKEN, &elsewhere, &nonces));
        for header in ["x-plivo-signature-v2", "x-plivo-signature-v2-nonce"] {
            for value in [
                None,
                Some(""),
                Some("x"),
                Some("VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVt="),
            ] {
                let mut call = example();
                call.headers.remove(header);
                call.headers
                    .extend(value.map(|value| (header.to_owned(), value.to_owned())));
                assert!(!is_right(TOKEN, &call, &nonces), "{header}: {value:?}");
            }
        }
    }

    #[test]
    fn one_of_several_signatures_is_enough() {
        let mut call = example();
        let right = call.headers.remove("x-plivo-signature-v2").unwrap();
        call.headers
            .insert("x-plivo-signature-ma-v2".to_owned(), format!("AAAA, {right}"));
        assert!(is_right(TOKEN, &call, &Seen::default()));
    }
}
