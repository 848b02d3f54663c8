//! The keys of `kind = "plivo"` as they are written.
//!
//! What is printed of them are names, never a token.

use std::fmt;

use serde::Deserialize;

use crate::settings_reader::read_table;
use crate::sms::{BaseUrl, parse_base_url, require_not_empty, validate_token};
use postrider_core::error::{Error, Result};

/// An account at Plivo.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlivoSettings {
    /// `MA…` or `SA…`, from the console's front page.
    pub(super) auth_id: String,
    /// Its token. It also proves that a callback comes from Plivo.
    pub(super) auth_token: String,
    /// The sender: a number of the account, or a name.
    pub(super) from: Option<String>,
    /// Plivo picks the sender from this pool.
    pub(super) powerpack_uuid: Option<String>,
    /// What callers of the receipt URL must show as `?token=` beside their signature, which does not cover what they say.
    pub(super) receipts_token: Option<String>,
    /// Where the interface begins.
    #[serde(default = "default_base_url")]
    base_url: String,
}

fn default_base_url() -> String {
    "https://api.plivo.com".to_owned()
}

impl PlivoSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.parsed_base_url()?;
        require_not_empty("auth_id", &settings.auth_id)?;
        require_not_empty("auth_token", &settings.auth_token)?;
        if settings.from.is_some() == settings.powerpack_uuid.is_some() {
            return Err(Error::usage(
                "from: write either from or powerpack_uuid, so that there is one sender",
            ));
        }
        validate_token(settings.receipts_token.as_deref())?;
        Ok(settings)
    }

    /// Where the interface begins.
    pub(super) fn parsed_base_url(&self) -> Result<BaseUrl> {
        parse_base_url(&self.base_url)
    }
}

impl fmt::Debug for PlivoSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("auth_id", &self.auth_id)
            .field("from", &self.from)
            .field("powerpack_uuid", &self.powerpack_uuid)
            .finish_non_exhaustive()
    }
}
