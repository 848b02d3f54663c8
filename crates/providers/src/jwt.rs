//! JSON web tokens that authenticate an account, signed with RSA (RS256) or ECDSA on P-256 (ES256).
//!
//! Signs tokens and verifies none. Errors never contain a part of a key. The `jsonwebtoken` crate was considered; most
//! of it verifies tokens, which is not needed here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde::Serialize;

/// A private key.
pub(super) enum JwtKey {
    /// For RS256.
    Rsa(Box<RsaKeyPair>),
    /// For ES256.
    EcP256(Box<EcdsaKeyPair>),
}

impl JwtKey {
    /// Parses an RSA key in PEM (PKCS#8).
    pub fn from_rsa_pem(pem: &str) -> Result<Self, String> {
        let der = parse_pkcs8_pem(pem)?;
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map(|pair| Self::Rsa(Box::new(pair)))
            .map_err(|cause| format!("is not an RSA key of at least 2048 bits ({cause})"))
    }

    /// Parses a P-256 key in PEM (PKCS#8).
    pub fn from_p256_pem(pem: &str) -> Result<Self, String> {
        let der = parse_pkcs8_pem(pem)?;
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random)
            .map(|pair| Self::EcP256(Box::new(pair)))
            .map_err(|cause| format!("is not a P-256 key ({cause})"))
    }

    /// Returns the signed token, or None when the random number generator fails.
    pub fn sign(&self, header: &impl Serialize, claims: &impl Serialize) -> Option<String> {
        let mut token = format!("{}.{}", encode_part(header)?, encode_part(claims)?);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).ok()?;
                signature
            }
            Self::EcP256(pair) => pair.sign(&random, token.as_bytes()).ok()?.as_ref().to_vec(),
        };
        token.push('.');
        BASE64.encode_string(signature, &mut token);
        Some(token)
    }
}

fn parse_pkcs8_pem(pem: &str) -> Result<PrivatePkcs8KeyDer<'static>, String> {
    PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| "is not a private key in PEM, which begins with -----BEGIN PRIVATE KEY-----".to_owned())
}

/// Encodes header or claims of a token: compact JSON in URL-safe Base64 without padding.
fn encode_part(document: &impl Serialize) -> Option<String> {
    Some(BASE64.encode(serde_json::to_vec(document).ok()?))
}

#[cfg(test)]
mod tests;
