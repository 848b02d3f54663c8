//! The settings of `kind = "kavenegar"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use serde::Deserialize;

use postrider_core::error::Result;

use crate::base_url::BaseUrl;
use crate::callback_auth::validate_receipts_token;
use crate::settings_reader::{read_table, require_not_empty};

const DEFAULT_BASE_URL: &str = "https://api.kavenegar.com";

/// A Kavenegar account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KavenegarSettings {
    /// The API key of the account.
    pub(super) api_key: String,
    /// The line that sends texts. The default is the account's default line.
    pub(super) sender: Option<String>,
    /// The template of one-time codes. The body of a message is then the code alone.
    pub(super) template: Option<String>,
    /// The token that callbacks must carry as `?token=`. Without it callbacks are rejected.
    pub(super) receipts_token: Option<String>,
    base_url: Option<BaseUrl>,
}

impl KavenegarSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let kavenegar_settings: Self = read_table(table)?;
        require_not_empty("api_key", &kavenegar_settings.api_key)?;
        validate_receipts_token(kavenegar_settings.receipts_token.as_deref())?;
        Ok(kavenegar_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }
}
