//! Authenticates callbacks by a token, a signature of the body, or both.
//!
//! All comparisons take constant time.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::Hmac;
use sha1::Sha1;
use sha2::Sha256;

use super::settings::{HmacAlgorithm, HmacEncoding, HmacSettings, ReceiptSettings};
use crate::callback::CallbackRequest;
use crate::callback_auth::{has_valid_token, is_equal_secret};
use crate::signing::{encode_hex, hmac_digest};

/// The configured secrets. Without a secret every caller is accepted; the settings must allow this by `unsigned =
/// true`.
pub(super) struct CallbackSecrets {
    token: Option<CallbackToken>,
    hmac: Option<HmacSettings>,
}

struct CallbackToken {
    secret: String,
    header: Option<String>,
}

impl CallbackSecrets {
    /// Parses the settings.
    pub fn parse(receipt_settings: &ReceiptSettings) -> Result<Self, String> {
        let secrets = Self {
            token: parse_token(receipt_settings)?,
            hmac: receipt_settings.hmac.as_ref().map(validate_hmac).transpose()?,
        };
        match (secrets.is_configured(), receipt_settings.unsigned) {
            (false, false) => Err(
                "token: is missing, and so is hmac, so that every caller could change deliveries; write one of them, \
                 or unsigned = true to accept that"
                    .to_owned(),
            ),
            (true, true) => Err("unsigned: contradicts token and hmac; leave it out".to_owned()),
            (true, false) | (false, true) => Ok(secrets),
        }
    }

    /// Returns whether any secret is configured.
    pub fn is_configured(&self) -> bool {
        self.token.is_some() || self.hmac.is_some()
    }

    /// Returns whether the callback satisfies every configured secret.
    pub fn is_authenticated(&self, request: &CallbackRequest) -> bool {
        self.token.as_ref().is_none_or(|token| token.is_valid_for(request))
            && self.hmac.as_ref().is_none_or(|hmac| has_valid_hmac(hmac, request))
    }
}

fn parse_token(receipt_settings: &ReceiptSettings) -> Result<Option<CallbackToken>, String> {
    let header = receipt_settings.token_header.as_deref().map(str::to_ascii_lowercase);
    match &receipt_settings.token {
        None if header.is_some() => Err("token: is missing, but token_header is set".to_owned()),
        None => Ok(None),
        Some(secret) if secret.is_empty() => Err("token: is empty; write a random text".to_owned()),
        Some(secret) => Ok(Some(CallbackToken { secret: secret.clone(), header })),
    }
}

fn validate_hmac(hmac_settings: &HmacSettings) -> Result<HmacSettings, String> {
    if hmac_settings.secret.is_empty() {
        return Err("hmac.secret: is empty; copy it from the provider's console".to_owned());
    }
    Ok(HmacSettings { header: hmac_settings.header.to_ascii_lowercase(), ..hmac_settings.clone() })
}

impl CallbackToken {
    fn is_valid_for(&self, request: &CallbackRequest) -> bool {
        let is_valid = |presented: &str| is_equal_secret(presented, &self.secret);
        if let Some(header) = &self.header {
            return request.headers.get(header).is_some_and(|token| is_valid(token));
        }
        let authorization = request.headers.get("authorization");
        let bearer_token = authorization.and_then(|authorization| authorization.strip_prefix("Bearer "));
        bearer_token.is_some_and(is_valid) || has_valid_token(request, &self.secret)
    }
}

fn has_valid_hmac(hmac_settings: &HmacSettings, request: &CallbackRequest) -> bool {
    let header = request.headers.get(&hmac_settings.header);
    let Some(presented) = header.and_then(|header| header.trim().strip_prefix(&hmac_settings.prefix)) else {
        return false;
    };
    let (secret, body) = (hmac_settings.secret.as_bytes(), request.body.as_slice());
    let digest = match hmac_settings.algorithm {
        HmacAlgorithm::Sha256 => hmac_digest::<Hmac<Sha256>>(secret, &[body]),
        HmacAlgorithm::Sha1 => hmac_digest::<Hmac<Sha1>>(secret, &[body]),
    };
    let Some(digest) = digest else { return false };
    let (presented, expected) = match hmac_settings.encoding {
        HmacEncoding::Hex => (Cow::from(presented.to_ascii_lowercase()), encode_hex(&digest)),
        HmacEncoding::Base64 => (Cow::from(presented), BASE64.encode(digest)),
    };
    is_equal_secret(&presented, &expected)
}
