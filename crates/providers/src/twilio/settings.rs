//! The settings of `kind = "twilio"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::settings_reader::{read_table, require_not_empty};

const DEFAULT_BASE_URL: &str = "https://api.twilio.com";

/// A Twilio account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioSettings {
    /// `AC…`, from the console's front page.
    pub(super) account_sid: String,
    /// The account's auth token. It also signs callbacks.
    pub(super) auth_token: String,
    /// `SK…`, to send with an API key instead of the auth token.
    pub(super) api_key: Option<String>,
    /// The secret of the API key.
    pub(super) api_secret: Option<String>,
    /// The sender: a number of the account, or a name.
    pub(super) from: Option<String>,
    /// `MG…`: the service from which Twilio selects the sender.
    pub(super) messaging_service_sid: Option<String>,
    base_url: Option<BaseUrl>,
}

impl TwilioSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let twilio_settings: Self = read_table(table)?;
        require_not_empty("account_sid", &twilio_settings.account_sid)?;
        require_not_empty("auth_token", &twilio_settings.auth_token)?;
        if twilio_settings.from.is_none() && twilio_settings.messaging_service_sid.is_none() {
            return Err(Error::usage(
                "from: is missing, and so is messaging_service_sid; write one of them, so that there is a sender",
            ));
        }
        if twilio_settings.api_key.is_some() != twilio_settings.api_secret.is_some() {
            return Err(Error::usage(
                "api_key: needs api_secret, and the other way round; write both, or leave both out",
            ));
        }
        Ok(twilio_settings)
    }

    /// Returns user and password of requests.
    pub(super) fn credentials(&self) -> (&str, &str) {
        match (&self.api_key, &self.api_secret) {
            (Some(key), Some(secret)) => (key, secret),
            _ => (&self.account_sid, &self.auth_token),
        }
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }
}
