//! How a call is signed: Standard Webhooks 1.0.0, symmetric (`v1`).
//!
//! What is signed are the bytes that leave. During a change of secrets there are several, and a signature of each.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// How secrets begin, so that they are told from other texts.
const SECRET_PREFIX: &str = "whsec_";

/// How many bytes a secret has, by the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// Reads with and without padding.
const BASE64_ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The secrets that count now, the newest first. Never printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SigningSecrets(Vec<Vec<u8>>);

impl SigningSecrets {
    /// Reads secrets as `whsec_` and Base64. The error says which of them is none, and shows nothing of it.
    pub fn parse(texts: &[impl AsRef<str>]) -> Result<Self, String> {
        let read = |(place, text): (usize, &_)| {
            let text = AsRef::<str>::as_ref(text).trim();
            let key = BASE64_ANY_PADDING
                .decode(text.strip_prefix(SECRET_PREFIX).unwrap_or(text))
                .ok();
            key.filter(|key| SECRET_BYTES.contains(&key.len())).ok_or_else(|| {
                format!(
                    "number {} is no secret: write {SECRET_PREFIX} and Base64 of 24 to 64 random bytes; make one with: \
                     printf {SECRET_PREFIX}; openssl rand -base64 32",
                    place + 1
                )
            })
        };
        texts
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there are none, so that nothing can be signed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of the header: a signature with each secret.
    pub fn sign(&self, id: &str, seconds: i64, body: &[u8]) -> String {
        let mut signatures = Vec::with_capacity(self.0.len());
        for key in &self.0 {
            // A key of any length will do; the type of the constructor says otherwise.
            let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(key) else {
                continue;
            };
            mac.update(format!("{id}.{seconds}.").as_bytes());
            mac.update(body);
            signatures.push(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
        }
        signatures.join(" ")
    }
}

impl fmt::Debug for SigningSecrets {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Secrets({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OTHER: &str = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoM=";

    #[test]
    fn the_worked_example_comes_out_also_with_two_secrets() {
        let body = br#"{"type":"message.delivered","timestamp":"2026-07-21T14:03:09Z","data":{"message_id":"01J9ZC5T","to":"+989121234567","status":"delivered"}}"#;
        let sign = |secrets: &[&str]| {
            let secrets = SigningSecrets::parse(secrets).unwrap();
            secrets.sign("msg_2KWPBgLlAfxdpx2AI54pPJ85f4W", 1_784_642_589, body)
        };
        let one = "v1,NxW2e6Kzw8FR6SjcH1Pt7tfp2jrNuFOvBxUThdwXp9Y=";
        assert_eq!(sign(&[ONE]), one);
        let both = format!("{one} v1,x51SrwJ+csCotwzzA1k682BVpebpaEKS4MOCktPHebY=");
        assert_eq!(sign(&[ONE, OTHER]), both);
    }

    #[test]
    fn the_vector_of_the_reference_libraries_comes_out() {
        let secrets = SigningSecrets::parse(&["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]).unwrap();
        let signature = secrets.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn prefix_and_padding_may_be_missing_and_what_is_no_secret_is_not_shown() {
        let bare = ONE.trim_start_matches(SECRET_PREFIX).trim_end_matches('=');
        assert_eq!(SigningSecrets::parse(&[bare]), SigningSecrets::parse(&[ONE]));
        for wrong in [
            "",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_hunter2!",
            &format!("whsec_{}", "A".repeat(200)),
        ] {
            let error = SigningSecrets::parse(&[ONE, wrong]).unwrap_err();
            assert!(
                error.contains("number 2") && !error.contains("hunter2"),
                "{error}"
            );
        }
        assert_eq!(
            format!("{:?}", SigningSecrets::parse(&[ONE, OTHER])),
            "Ok(Secrets(2))"
        );
    }
}
