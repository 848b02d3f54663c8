//! The keys of `kind = "kavenegar"` as they are written.
//!
//! What is printed of them are names, never the key.

use std::fmt;

use serde::Deserialize;

use crate::error::Result;
use crate::provider::reading::read_table;
use crate::provider::sms::{Base, checked_token, filled};

/// An account at Kavenegar.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The API key of the account.
    pub(super) api_key: String,
    /// The line that texts are sent from; the account's default line, when left out.
    pub(super) sender: Option<String>,
    /// The template that one-time codes are sent by; a message's body is then the code alone.
    pub(super) template: Option<String>,
    /// What callers of the receipt URL must show as `?token=`; without it no receipt is heard.
    pub(super) receipts_token: Option<String>,
    /// Where the interface begins.
    #[serde(default = "base_url")]
    base_url: String,
}

fn base_url() -> String {
    "https://api.kavenegar.com".to_owned()
}

impl Settings {
    /// Reads and checks everything.
    pub(in crate::provider) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.base()?;
        filled("api_key", &settings.api_key)?;
        checked_token(settings.receipts_token.as_deref())?;
        Ok(settings)
    }

    /// Where the interface begins.
    pub(super) fn base(&self) -> Result<Base> {
        Base::read(&self.base_url)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("sender", &self.sender)
            .field("template", &self.template)
            .field("hears_receipts", &self.receipts_token.is_some())
            .finish_non_exhaustive()
    }
}
