use super::*;
use crate::testing::conformance;

/// The worked example of the reference.
fn example_callback() -> CallbackRequest {
    let headers = [
        ("x-plivo-signature-v2", "VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVs="),
        ("x-plivo-signature-v2-nonce", "05429567804466091622"),
    ];
    CallbackRequest {
        url: "https://gw.example.org/v1/callbacks/plivo?m=01J9ZC5T".to_owned(),
        query: "m=01J9ZC5T".to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        body: b"MessageUUID=a&Status=delivered".to_vec(),
        ..conformance::sample_callback()
    }
}

const TOKEN: &str = "plivo-token-for-docs";

#[test]
fn the_example_of_the_reference_is_valid_and_may_be_repeated() {
    let nonces = NonceCache::default();
    for _ in 0..2 {
        assert!(is_valid(TOKEN, &example_callback(), &nonces));
    }
}

#[test]
fn other_content_under_the_same_nonce_is_invalid() {
    let nonces = NonceCache::default();
    is_valid(TOKEN, &example_callback(), &nonces);
    let other = CallbackRequest { body: b"MessageUUID=b&Status=delivered".to_vec(), ..example_callback() };
    assert!(!is_valid(TOKEN, &other, &nonces));
}

#[test]
fn another_url_nonce_or_token_is_invalid() {
    let nonces = NonceCache::default();
    assert!(!is_valid("another", &example_callback(), &nonces));
    let other_url =
        CallbackRequest { url: "https://gw.example.org/v1/callbacks/other".to_owned(), ..example_callback() };
    assert!(!is_valid(TOKEN, &other_url, &nonces));
    for header in ["x-plivo-signature-v2", "x-plivo-signature-v2-nonce"] {
        for value in [None, Some(""), Some("x"), Some("VRIMOVUdu/qcQxVBnap2O4Y1ESIlUTmkX3TA2V3eQVt=")] {
            let mut request = example_callback();
            request.headers.remove(header);
            request.headers.extend(value.map(|value| (header.to_owned(), value.to_owned())));
            assert!(!is_valid(TOKEN, &request, &nonces), "{header}: {value:?}");
        }
    }
}

#[test]
fn one_of_several_signatures_is_enough() {
    let mut request = example_callback();
    let valid = request.headers.remove("x-plivo-signature-v2").unwrap();
    request.headers.insert("x-plivo-signature-ma-v2".to_owned(), format!("AAAA, {valid}"));
    assert!(is_valid(TOKEN, &request, &NonceCache::default()));
}

fn v3_callback(body: &str) -> CallbackRequest {
    use hmac::{KeyInit, Mac};
    let url = "https://gw.example.org/v1/callbacks/plivo?m=01J9ZC5T";
    let nonce = "05429567804466091622";
    let text = "https://gw.example.org/v1/callbacks/plivo?m=01J9ZC5T.MessageUUIDaStatusdelivered";
    let mut mac = Hmac::<Sha256>::new_from_slice(TOKEN.as_bytes()).unwrap();
    mac.update(format!("{text}.{nonce}").as_bytes());
    let signature = BASE64.encode(mac.finalize().into_bytes());
    let headers = [("x-plivo-signature-v3", signature), ("x-plivo-signature-v3-nonce", nonce.to_owned())];
    CallbackRequest {
        url: url.to_owned(),
        headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
        body: body.as_bytes().to_owned(),
        ..example_callback()
    }
}

#[test]
fn version_3_covers_query_and_form() {
    assert!(is_valid(TOKEN, &v3_callback("Status=delivered&MessageUUID=a"), &NonceCache::default()));
    assert!(!is_valid(TOKEN, &v3_callback("Status=delivered&MessageUUID=b"), &NonceCache::default()));
    let other_query =
        CallbackRequest { query: "m=x".to_owned(), ..v3_callback("Status=delivered&MessageUUID=a") };
    assert!(!is_valid(TOKEN, &other_query, &NonceCache::default()));
}

#[test]
fn version_2_does_not_count_beside_an_invalid_version_3() {
    let mut request = example_callback();
    request.headers.insert("x-plivo-signature-v3".to_owned(), "AAAA".to_owned());
    request.headers.insert("x-plivo-signature-v3-nonce".to_owned(), "1".to_owned());
    assert!(!is_valid(TOKEN, &request, &NonceCache::default()));
}
