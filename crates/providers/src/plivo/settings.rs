//! The settings of `kind = "plivo"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::callback_auth::validate_receipts_token;
use crate::settings_reader::{read_table, require_not_empty};

const DEFAULT_BASE_URL: &str = "https://api.plivo.com";

/// A Plivo account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlivoSettings {
    /// `MA…` or `SA…`, from the console's front page.
    pub(super) auth_id: String,
    /// The account's token. It also signs callbacks.
    pub(super) auth_token: String,
    /// The sender: a number of the account, or a name.
    pub(super) from: Option<String>,
    /// The pool from which Plivo selects the sender.
    pub(super) powerpack_uuid: Option<String>,
    /// The token that callbacks must carry as `?token=` besides their signature, which does not cover the body.
    pub(super) receipts_token: Option<String>,
    base_url: Option<BaseUrl>,
}

impl PlivoSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let plivo_settings: Self = read_table(table)?;
        require_not_empty("auth_id", &plivo_settings.auth_id)?;
        require_not_empty("auth_token", &plivo_settings.auth_token)?;
        if plivo_settings.from.is_some() == plivo_settings.powerpack_uuid.is_some() {
            return Err(Error::usage(
                "from: write either from or powerpack_uuid, so that there is one sender",
            ));
        }
        validate_receipts_token(plivo_settings.receipts_token.as_deref())?;
        Ok(plivo_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }
}
