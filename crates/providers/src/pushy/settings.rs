//! The settings of `kind = "pushy"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use std::collections::BTreeMap;

use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;

const DEFAULT_BASE_URL: &str = "https://api.pushy.me";

/// A Pushy account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushySettings {
    /// The secret API key of the app.
    pub(super) api_key: String,
    base_url: Option<BaseUrl>,
    /// The title of messages without a subject.
    pub(super) title: Option<String>,
    /// The sound that the device plays.
    pub(super) sound: Option<String>,
    /// Additional data for the app.
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
    /// Enables polling for the status of each message.
    #[serde(default = "default_poll")]
    pub(super) poll: bool,
    /// The token with which the app's server acknowledges messages. Without it acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// The only certificate authorities that may sign the server's certificate, in PEM. The default is this machine's.
    pub(super) ca: Option<String>,
}

fn default_poll() -> bool {
    true
}

impl PushySettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mut pushy_settings: Self = read_table(table)?;
        pushy_settings.api_key = pushy_settings.api_key.trim().to_owned();
        if pushy_settings.api_key.is_empty() {
            return Err(Error::usage("api_key: is empty; write api_key = \"${env:PUSHY_KEY}\""));
        }
        let is_reserved = |data_name: &&String| matches!(data_name.as_str(), "message" | "title" | "gw_id");
        if let Some(data_name) = pushy_settings.data.keys().find(is_reserved) {
            return Err(Error::usage(format!("data.{data_name}: is reserved; choose another name")));
        }
        Ok(pushy_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }
}
