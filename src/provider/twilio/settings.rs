//! The keys of `kind = "twilio"` as they are written.
//!
//! What is printed of them are names, never a token.

use std::fmt;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::provider::reading::read_table;
use crate::provider::sms::{Base, filled};

/// An account at Twilio.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
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
    #[serde(default = "base_url")]
    base_url: String,
}

fn base_url() -> String {
    "https://api.twilio.com".to_owned()
}

impl Settings {
    /// Reads and checks everything.
    pub(in crate::provider) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.base()?;
        filled("account_sid", &settings.account_sid)?;
        filled("auth_token", &settings.auth_token)?;
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
    pub(super) fn login(&self) -> (&str, &str) {
        match (&self.api_key, &self.api_secret) {
            (Some(key), Some(secret)) => (key, secret),
            _ => (&self.account_sid, &self.auth_token),
        }
    }

    /// Where the interface begins.
    pub(in crate::provider) fn base(&self) -> Result<Base> {
        Base::read(&self.base_url)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("account_sid", &self.account_sid)
            .field("from", &self.from)
            .field("messaging_service_sid", &self.messaging_service_sid)
            .finish_non_exhaustive()
    }
}
