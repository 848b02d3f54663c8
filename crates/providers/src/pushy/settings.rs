//! The keys of `kind = "pushy"`, read and checked.
//!
//! The key of the account is never printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// How an account at Pushy is used.
#[derive(Clone)]
pub struct PushySettings {
    pub(super) api_key: String,
    /// Where Pushy is.
    pub(super) base_url: BaseUrl,
    /// The line above messages that bring none.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    /// What else the app is handed.
    pub(super) data: BTreeMap<String, String>,
    /// Whether Pushy is asked what became of each message.
    pub(super) is_polling: bool,
    /// What the app's own server must show when it acknowledges; without, nobody can.
    pub(super) receipts_token: Option<String>,
    /// The authorities that are believed instead of the machine's.
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
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: PushySettingsTable = read_table(table)?;
        if keys.api_key.trim().is_empty() {
            return Err(Error::usage(
                "api_key: is empty; write api_key = \"${env:PUSHY_KEY}\"",
            ));
        }
        let is_taken = |name: &&String| matches!(name.as_str(), "message" | "title" | "gw_id");
        if let Some(name) = keys.data.keys().find(is_taken) {
            return Err(Error::usage(format!(
                "data.{name}: is filled in already; choose another name"
            )));
        }
        let own = "https://api.pushy.me";
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(own), Ok);
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
        out.debug_struct("Settings")
            .field("base_url", &self.base_url.endpoint())
            .field("polls", &self.is_polling)
            .finish_non_exhaustive()
    }
}
