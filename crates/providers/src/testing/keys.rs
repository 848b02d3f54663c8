//! Keys for tests, generated once in each run, and an independent HMAC.

use std::sync::LazyLock;

use postrider_core::testing::certificates::{new_p256_key_pem, new_rsa_key_pem};
use ring::hmac;

/// An RSA key of 2048 bits, in PEM.
pub static RSA_PRIVATE_KEY_PEM: LazyLock<String> = LazyLock::new(new_rsa_key_pem);

/// A P-256 key, in PEM.
pub static P256_PRIVATE_KEY_PEM: LazyLock<String> = LazyLock::new(new_p256_key_pem);

/// Returns the HMAC-SHA256 of a text in hexadecimal digits, computed by another library than the product's.
pub fn hmac_sha256_hex(secret: &str, text: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::sign(&key, text).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
