//! Signs webhooks: Standard Webhooks 1.0.0, symmetric (`v1`).
//!
//! The signature covers the exact bytes of the body. While endpoints change to a new secret, there is one signature for each
//! secret. The `standardwebhooks` crate was considered; it signs with one secret only.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::Hmac;
use sha2::Sha256;

use crate::signing::hmac_digest;

/// The prefix of a secret.
const SIGNING_SECRET_PREFIX: &str = "whsec_";

/// Length of a secret by the specification, in bytes.
const SIGNING_SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Decodes Base64 with and without padding.
const BASE64_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The current secrets, the newest first. `Debug` shows their number only.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SigningSecrets(Vec<Vec<u8>>);

impl SigningSecrets {
    /// Parses secrets, each `whsec_` and Base64. The error names the number of an invalid one and does not show it.
    pub fn parse(texts: &[impl AsRef<str>]) -> Result<Self, String> {
        let parse_secret = |(index, text): (usize, &_)| {
            let secret = AsRef::<str>::as_ref(text).trim();
            let signing_key =
                BASE64_ANY_PADDING.decode(secret.strip_prefix(SIGNING_SECRET_PREFIX).unwrap_or(secret));
            let signing_key =
                signing_key.ok().filter(|signing_key| SIGNING_SECRET_BYTES.contains(&signing_key.len()));
            signing_key.ok_or_else(|| {
                format!(
                    "number {} is not a secret: write {SIGNING_SECRET_PREFIX} and Base64 of 24 to 64 random bytes; make one with: \
                     printf {SIGNING_SECRET_PREFIX}; openssl rand -base64 32",
                    index + 1
                )
            })
        };
        let secrets = texts.iter().enumerate().map(parse_secret);
        secrets.collect::<Result<_, _>>().map(Self)
    }

    /// Returns whether there is no secret.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let signed_prefix = format!("{id}.{seconds}.");
        let sign = |secret: &Vec<u8>| {
            let digest = hmac_digest::<Hmac<Sha256>>(secret, &[signed_prefix.as_bytes(), body])?;
            Some(format!("v1,{}", STANDARD.encode(digest)))
        };
        self.0.iter().filter_map(sign).collect::<Vec<_>>().join(" ")
    }
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningSecrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests;
