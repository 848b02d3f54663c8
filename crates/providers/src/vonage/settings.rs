//! The keys of `kind = "vonage"` as they are written.
//!
//! What is printed of them are names, never a secret.

use std::fmt;

use serde::Deserialize;

use crate::settings_reader::read_table;
use crate::sms::{BaseUrl, parse_base_url, require_not_empty, validate_token};
use postrider_core::error::Result;

/// An account at Vonage.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VonageSettings {
    /// The API key of the account.
    pub(super) api_key: String,
    /// Its secret.
    pub(super) api_secret: String,
    /// The sender: a number without `+`, or a name of at most 11 letters.
    pub(super) from: String,
    /// The account's signature secret, once signed webhooks are switched on.
    pub(super) signature_secret: Option<String>,
    /// How the account signs; `sha256`, unless written here.
    #[serde(default)]
    pub(super) signature_method: SignatureMethod,
    /// What callers of the receipt URL must show as `?token=`, where webhooks are not signed.
    pub(super) receipts_token: Option<String>,
    /// Where the interface begins.
    #[serde(default = "default_base_url")]
    base_url: String,
}

/// How an account signs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SignatureMethod {
    /// A plain MD5 with the secret at its end: weak, and the account's default.
    Md5Hash,
    /// HMAC-MD5.
    Md5,
    /// HMAC-SHA1.
    Sha1,
    /// HMAC-SHA256.
    #[default]
    Sha256,
    /// HMAC-SHA512.
    Sha512,
}

fn default_base_url() -> String {
    "https://rest.nexmo.com".to_owned()
}

impl VonageSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.parsed_base_url()?;
        require_not_empty("api_key", &settings.api_key)?;
        require_not_empty("api_secret", &settings.api_secret)?;
        require_not_empty("from", &settings.from)?;
        if let Some(secret) = &settings.signature_secret {
            require_not_empty("signature_secret", secret)?;
        }
        validate_token(settings.receipts_token.as_deref())?;
        Ok(settings)
    }

    /// Where the interface begins.
    pub(super) fn parsed_base_url(&self) -> Result<BaseUrl> {
        parse_base_url(&self.base_url)
    }

    /// Whether a receipt can be told from anybody's word.
    pub(super) fn has_authenticated_callbacks(&self) -> bool {
        self.signature_secret.is_some() || self.receipts_token.is_some()
    }
}

impl fmt::Debug for VonageSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("from", &self.from)
            .field("signature_method", &self.signature_method)
            .field("hears_receipts", &self.has_authenticated_callbacks())
            .finish_non_exhaustive()
    }
}
