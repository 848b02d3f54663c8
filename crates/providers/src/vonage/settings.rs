//! The settings of `kind = "vonage"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use serde::Deserialize;

use postrider_core::error::Result;

use crate::base_url::BaseUrl;
use crate::callback_auth::validate_receipts_token;
use crate::settings_reader::{read_table, require_not_empty};

const DEFAULT_BASE_URL: &str = "https://rest.nexmo.com";

/// A Vonage account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VonageSettings {
    /// The API key of the account.
    pub(super) api_key: String,
    /// The secret of the API key.
    pub(super) api_secret: String,
    /// The sender: a number without `+`, or a name of at most 11 letters.
    pub(super) from: String,
    /// The account's signature secret, when signed webhooks are enabled.
    pub(super) signature_secret: Option<String>,
    /// The account's signature method.
    #[serde(default)]
    pub(super) signature_method: SignatureMethod,
    /// The token that callbacks must carry as `?token=`, for accounts without signed webhooks.
    pub(super) receipts_token: Option<String>,
    base_url: Option<BaseUrl>,
}

/// The signature method of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum SignatureMethod {
    /// MD5 of the text followed by the secret: weak, and the default of Vonage accounts.
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

impl VonageSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let vonage_settings: Self = read_table(table)?;
        require_not_empty("api_key", &vonage_settings.api_key)?;
        require_not_empty("api_secret", &vonage_settings.api_secret)?;
        require_not_empty("from", &vonage_settings.from)?;
        if let Some(secret) = &vonage_settings.signature_secret {
            require_not_empty("signature_secret", secret)?;
        }
        validate_receipts_token(vonage_settings.receipts_token.as_deref())?;
        Ok(vonage_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }

    /// Returns whether callbacks can be authenticated.
    pub(super) fn has_authenticated_callbacks(&self) -> bool {
        self.signature_secret.is_some() || self.receipts_token.is_some()
    }
}
