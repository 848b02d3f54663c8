//! JSON web tokens that prove an account: signed with RSA (RS256) or on the curve P-256 (ES256).
//!
//! Only makes them, never reads any. A key is never shown, also not in part in an error.

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
    /// Reads an RSA key in PEM (PKCS#8).
    pub fn from_rsa_pem(pem: &str) -> Result<Self, String> {
        let der = parse_pkcs8_pem(pem)?;
        RsaKeyPair::from_pkcs8(der.secret_pkcs8_der())
            .map(|pair| Self::Rsa(Box::new(pair)))
            .map_err(|cause| format!("is no RSA key of at least 2048 bits ({cause})"))
    }

    /// Reads a key on P-256 in PEM (PKCS#8).
    pub fn from_p256_pem(pem: &str) -> Result<Self, String> {
        let der = parse_pkcs8_pem(pem)?;
        let random = SystemRandom::new();
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der(), &random)
            .map(|pair| Self::EcP256(Box::new(pair)))
            .map_err(|cause| format!("is no key on the curve P-256 ({cause})"))
    }

    /// Header and claims, signed; none when the machine has no random numbers to sign with.
    pub fn sign(&self, header: &impl Serialize, claims: &impl Serialize) -> Option<String> {
        let mut token = format!("{}.{}", encode_part(header)?, encode_part(claims)?);
        let random = SystemRandom::new();
        let signature = match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature)
                    .ok()?;
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
        .map_err(|_| "is no private key in PEM, which begins with -----BEGIN PRIVATE KEY-----".to_owned())
}

/// A part of a token: JSON without blanks, in base64 for URLs, without padding.
fn encode_part(document: &impl Serialize) -> Option<String> {
    Some(BASE64.encode(serde_json::to_vec(document).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct TestJwtHeader {
        alg: &'static str,
        kid: &'static str,
    }

    #[derive(Serialize)]
    struct TestJwtClaims {
        iss: &'static str,
        iat: i64,
    }

    #[test]
    fn parts_are_written_as_the_reference_writes_them() {
        let header = TestJwtHeader {
            alg: "ES256",
            kid: "ABC123DEFG",
        };
        let claims = TestJwtClaims {
            iss: "DEF123GHIJ",
            iat: 1_784_642_585,
        };
        assert_eq!(
            encode_part(&header).unwrap(),
            "eyJhbGciOiJFUzI1NiIsImtpZCI6IkFCQzEyM0RFRkcifQ"
        );
        assert_eq!(
            encode_part(&claims).unwrap(),
            "eyJpc3MiOiJERUYxMjNHSElKIiwiaWF0IjoxNzg0NjQyNTg1fQ"
        );
    }

    #[test]
    fn what_is_no_key_is_said_without_showing_it() {
        let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        for (text, words) in [("hunter2", "BEGIN PRIVATE KEY"), (broken, "no RSA key")] {
            let fault = JwtKey::from_rsa_pem(text).err().unwrap();
            assert!(
                fault.contains(words) && !fault.contains("c2Vj") && !fault.contains("hunter2"),
                "{fault}"
            );
        }
        assert!(JwtKey::from_p256_pem(broken).err().unwrap().contains("P-256"));
    }
}
