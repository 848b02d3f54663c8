//! The keys of `kind = "twilio"` as they are written.
//!
//! What is printed of them are names, never a token.

use std::fmt;

use serde::Deserialize;

use crate::settings_reader::read_table;
use crate::sms::{BaseUrl, parse_base_url, require_not_empty};
use postrider_core::error::{Error, Result};

/// An account at Twilio.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TwilioSettings {
    /// `AC…`, from the console's front page.
    pub(super) account_sid: String,
    /// The account's auth token. It also proves that a callback comes from Twilio.
    pub(super) auth_token: String,
    /// `SK…`, to send with an API key instead of the auth token.
    pub(super) api_key: Option<String>,
    /// The API key's secret.
    pub(super) api_secret: Option<String>,
    /// The sender: a number of the account, or a name.
    pub(super) from: Option<String>,
    /// `MG…`: Twilio picks the sender from this service.
    pub(super) messaging_service_sid: Option<String>,
    /// Where the interface begins.
    #[serde(default = "default_base_url")]
    base_url: String,
}

fn default_base_url() -> String {
    "https://api.twilio.com".to_owned()
}

impl TwilioSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.parsed_base_url()?;
        require_not_empty("account_sid", &settings.account_sid)?;
        require_not_empty("auth_token", &settings.auth_token)?;
        if settings.from.is_none() && settings.messaging_service_sid.is_none() {
            return Err(Error::usage(
                "from: is missing, and so is messaging_service_sid; write one of them, so that there is a sender",
            ));
        }
        if settings.api_key.is_some() != settings.api_secret.is_some() {
            return Err(Error::usage(
                "api_key: needs api_secret, and the other way round; write both, or leave both out",
            ));
        }
        Ok(settings)
    }

    /// User and password of a request.
    pub(super) fn credentials(&self) -> (&str, &str) {
        match (&self.api_key, &self.api_secret) {
            (Some(key), Some(secret)) => (key, secret),
            _ => (&self.account_sid, &self.auth_token),
        }
    }

    /// Where the interface begins.
    pub(crate) fn parsed_base_url(&self) -> Result<BaseUrl> {
        parse_base_url(&self.base_url)
    }
}

impl fmt::Debug for TwilioSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("account_sid", &self.account_sid)
            .field("from", &self.from)
            .field("messaging_service_sid", &self.messaging_service_sid)
            .finish_non_exhaustive()
    }
}
