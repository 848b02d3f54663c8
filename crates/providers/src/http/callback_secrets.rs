//! Whether a call comes from the provider: a token it knows, a signature it made, or both.
//!
//! Compared in constant time. Some providers offer neither; then the settings have to say `unsigned = true`, and every
//! caller who guesses a message's id is believed.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::receipts::form_field;
use super::settings::{HmacAlgorithm, HmacEncoding, HmacSettings, ReceiptSettings};
use crate::CallbackRequest;

/// What the provider must know.
pub(super) struct CallbackSecrets {
    token: Option<CallbackToken>,
    hmac: Option<HmacSettings>,
}

struct CallbackToken {
    secret: String,
    header: Option<String>,
}

impl CallbackSecrets {
    /// Reads the settings.
    pub fn parse(settings: &ReceiptSettings) -> Result<Self, String> {
        let secrets = Self {
            token: parse_token(settings)?,
            hmac: settings.hmac.as_ref().map(validate_hmac).transpose()?,
        };
        match (secrets.is_configured(), settings.unsigned) {
            (false, false) => Err(
                "token: is missing, and so is hmac: every caller could then change deliveries; write one of them, or \
                 unsigned = true to accept that"
                    .to_owned(),
            ),
            (true, true) => Err("unsigned: contradicts token and hmac; leave it out".to_owned()),
            (true, false) | (false, true) => Ok(secrets),
        }
    }

    /// Whether any is configured.
    pub fn is_configured(&self) -> bool {
        self.token.is_some() || self.hmac.is_some()
    }

    /// Every secret that is configured must be right.
    pub fn is_authenticated(&self, call: &CallbackRequest) -> bool {
        let token = self.token.as_ref().is_none_or(|token| token.is_valid_for(call));
        let signed = self.hmac.as_ref().is_none_or(|hmac| has_valid_hmac(hmac, call));
        token && signed
    }
}

fn parse_token(settings: &ReceiptSettings) -> Result<Option<CallbackToken>, String> {
    let header = settings.token_header.as_deref().map(str::to_ascii_lowercase);
    match &settings.token {
        None if header.is_some() => Err("token: is missing, but token_header says where to look".to_owned()),
        None => Ok(None),
        Some(secret) if secret.is_empty() => Err("token: is empty; anybody would know it".to_owned()),
        Some(secret) => Ok(Some(CallbackToken {
            secret: secret.clone(),
            header,
        })),
    }
}

fn validate_hmac(settings: &HmacSettings) -> Result<HmacSettings, String> {
    if settings.secret.is_empty() {
        return Err("hmac.secret: is empty; anybody would know it".to_owned());
    }
    Ok(HmacSettings {
        header: settings.header.to_ascii_lowercase(),
        ..settings.clone()
    })
}

impl CallbackToken {
    fn is_valid_for(&self, call: &CallbackRequest) -> bool {
        let shown = |text: &str| bool::from(text.as_bytes().ct_eq(self.secret.as_bytes()));
        if let Some(header) = &self.header {
            return call.headers.get(header).is_some_and(|value| shown(value));
        }
        let bearer = call
            .headers
            .get("authorization")
            .and_then(|value| value.strip_prefix("Bearer "));
        bearer.is_some_and(shown)
            || form_field(call.query.as_bytes(), "token").is_some_and(|value| shown(&value))
    }
}

fn has_valid_hmac(settings: &HmacSettings, call: &CallbackRequest) -> bool {
    let Some(shown) = call.headers.get(&settings.header) else {
        return false;
    };
    let Some(shown) = shown.trim().strip_prefix(&settings.prefix) else {
        return false;
    };
    let secret = settings.secret.as_bytes();
    let digest = match settings.algorithm {
        HmacAlgorithm::Sha256 => hmac_digest::<Hmac<Sha256>>(secret, &call.body),
        HmacAlgorithm::Sha1 => hmac_digest::<Hmac<Sha1>>(secret, &call.body),
    };
    let (shown, right) = match settings.encoding {
        HmacEncoding::Hex => (
            Cow::from(shown.to_ascii_lowercase()),
            digest.map(|digest| encode_hex(&digest)),
        ),
        HmacEncoding::Base64 => (Cow::from(shown), digest.map(|digest| BASE64.encode(digest))),
    };
    right.is_some_and(|right| bool::from(shown.as_bytes().ct_eq(right.as_bytes())))
}

/// The signature; none when the secret cannot be a key, which HMAC never says.
fn hmac_digest<M: Mac + KeyInit>(secret: &[u8], body: &[u8]) -> Option<Vec<u8>> {
    let mut mac = <M as KeyInit>::new_from_slice(secret).ok()?;
    mac.update(body);
    Some(mac.finalize().into_bytes().to_vec())
}

fn encode_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
