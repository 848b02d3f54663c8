//! Settings of `kind = "pushy"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

const DEFAULT_BASE_URL: &str = "https://api.pushy.me";

/// Settings of a Pushy account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PushySettings {
    pub(super) api_key: String,
    base_url: Option<BaseUrl>,
    /// Title of messages without a subject.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    /// Additional data for the app.
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
    poll: Option<bool>,
    /// Token with which the app's server acknowledges messages; without it, acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// Certificates in PEM format that may sign the server's; default: those of the operating system.
    pub(super) ca: Option<String>,
}

impl PushySettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mut settings: Self = read_table(table)?;
        settings.api_key = settings.api_key.trim().to_owned();
        if settings.api_key.is_empty() {
            return Err(Error::usage("api_key: is empty; write api_key = \"${env:PUSHY_KEY}\""));
        }
        let is_reserved = |name: &&String| matches!(name.as_str(), "message" | "title" | "gw_id");
        if let Some(name) = settings.data.keys().find(is_reserved) {
            return Err(Error::usage(format!("data.{name}: is reserved; choose another name")));
        }
        Ok(settings)
    }

    /// Returns the URL of Pushy.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }

    /// Returns whether the status of each message is polled.
    pub(super) fn is_polling(&self) -> bool {
        self.poll.unwrap_or(true)
    }
}

impl fmt::Debug for PushySettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("PushySettings")
            .field("base_url", &self.base_url.as_ref().map(BaseUrl::endpoint))
            .field("is_polling", &self.is_polling())
            .finish_non_exhaustive()
    }
}
