//! Settings of `kind = "pushy"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// Settings of a Pushy account.
#[derive(Clone)]
pub struct PushySettings {
    pub(super) api_key: String,
    /// URL of Pushy.
    pub(super) base_url: BaseUrl,
    /// Title of messages without a subject.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    /// Additional data for the app.
    pub(super) data: BTreeMap<String, String>,
    /// The status of each message is polled.
    pub(super) is_polling: bool,
    /// Token with which the app's server acknowledges messages; without it, acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// Certificates in PEM format that may sign the server's; default: those of the operating system.
    pub(super) ca: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PushySettingsTable {
    api_key: String,
    base_url: Option<BaseUrl>,
    title: Option<String>,
    sound: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, String>,
    poll: Option<bool>,
    receipts_token: Option<String>,
    ca: Option<String>,
}

impl PushySettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: PushySettingsTable = read_table(table)?;
        if keys.api_key.trim().is_empty() {
            return Err(Error::usage(
                "api_key: is empty; write api_key = \"${env:PUSHY_KEY}\"",
            ));
        }
        let is_reserved = |name: &&String| matches!(name.as_str(), "message" | "title" | "gw_id");
        if let Some(name) = keys.data.keys().find(is_reserved) {
            return Err(Error::usage(format!(
                "data.{name}: is reserved; choose another name"
            )));
        }
        let default_url = "https://api.pushy.me";
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(default_url), Ok);
        Ok(Self {
            api_key: keys.api_key.trim().to_owned(),
            base_url: base_url.map_err(Error::usage)?,
            title: keys.title,
            sound: keys.sound,
            data: keys.data,
            is_polling: keys.poll.unwrap_or(true),
            receipts_token: keys.receipts_token,
            ca: keys.ca,
        })
    }
}

impl fmt::Debug for PushySettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PushySettings")
            .field("base_url", &self.base_url.endpoint())
            .field("is_polling", &self.is_polling)
            .finish_non_exhaustive()
    }
}
