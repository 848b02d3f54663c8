//! The keys of `kind = "kavenegar"` as they are written.
//!
//! What is printed of them are names, never the key.

use std::fmt;

use serde::Deserialize;

use crate::settings_reader::read_table;
use crate::sms::{BaseUrl, parse_base_url, require_not_empty, validate_token};
use postrider_core::error::Result;

/// An account at Kavenegar.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KavenegarSettings {
    /// The API key of the account.
    pub(super) api_key: String,
    /// The line that texts are sent from; the account's default line, when left out.
    pub(super) sender: Option<String>,
    /// The template that one-time codes are sent by; a message's body is then the code alone.
    pub(super) template: Option<String>,
    /// What callers of the receipt URL must show as `?token=`; without it no receipt is heard.
    pub(super) receipts_token: Option<String>,
    /// Where the interface begins.
    #[serde(default = "default_base_url")]
    base_url: String,
}

fn default_base_url() -> String {
    "https://api.kavenegar.com".to_owned()
}

impl KavenegarSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.parsed_base_url()?;
        require_not_empty("api_key", &settings.api_key)?;
        validate_token(settings.receipts_token.as_deref())?;
        Ok(settings)
    }

    /// Where the interface begins.
    pub(super) fn parsed_base_url(&self) -> Result<BaseUrl> {
        parse_base_url(&self.base_url)
    }
}

impl fmt::Debug for KavenegarSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("sender", &self.sender)
            .field("template", &self.template)
            .field("hears_receipts", &self.receipts_token.is_some())
            .finish_non_exhaustive()
    }
}
