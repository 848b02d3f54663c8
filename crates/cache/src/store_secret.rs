//! HMAC-SHA256 with the secret that a store keeps for its processes.
//!
//! Signs cache entries, session cookies, form tokens and callback tokens. Each use has its own purpose, and a signature
//! made for one purpose is invalid for every other.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Length of a signature, in bytes.
pub const SIGNATURE_BYTES: usize = 32;

/// The secret of a store. Only processes on the same store can make and verify its signatures.
#[derive(Clone)]
pub struct StoreSecret {
    hmac: Hmac<Sha256>,
}

impl StoreSecret {
    /// Takes the bytes that the store keeps.
    pub fn new(secret: [u8; 32]) -> Self {
        // HMAC pads a key with zeros to the block size of its hash, so a key of that size gives the same signatures and
        // its length is always valid.
        let mut block = [0; 64];
        block[..secret.len()].copy_from_slice(&secret);
        Self { hmac: Hmac::new(&block.into()) }
    }

    /// Returns the signature of `content` for `purpose`.
    pub fn sign(&self, purpose: &str, content: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.mac(purpose, content).finalize().into_bytes().into()
    }

    /// Returns whether `signature` belongs to `content` and `purpose`. Compares in constant time.
    pub fn verify(&self, purpose: &str, content: &[u8], signature: &[u8]) -> bool {
        self.mac(purpose, content).verify_slice(signature).is_ok()
    }

    /// Starts a signature. The length of the purpose comes first, so that the pairs ("ab", "c") and ("a", "bc") have
    /// different signatures.
    fn mac(&self, purpose: &str, content: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.hmac.clone();
        mac.update(&(purpose.len() as u64).to_be_bytes());
        mac.update(purpose.as_bytes());
        mac.update(content);
        mac
    }
}

#[cfg(test)]
mod tests;
