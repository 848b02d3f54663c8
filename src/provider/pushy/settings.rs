//! The keys of `kind = "pushy"`, read and checked.
//!
//! The key of the account is never printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::provider::api::Base;
use crate::provider::reading::read_table;

/// How an account at Pushy is used.
#[derive(Clone)]
pub struct Settings {
    pub(super) api_key: String,
    /// Where Pushy is.
    pub(super) base_url: Base,
    /// The line above messages that bring none.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    /// What else the app is handed.
    pub(super) extra: BTreeMap<String, String>,
    /// Whether Pushy is asked what became of each message.
    pub(super) polls: bool,
    /// What the app's own server must show when it acknowledges; without, nobody can.
    pub(super) receipts_token: Option<String>,
    /// The authorities that are believed instead of the machine's.
    pub(super) authorities: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    api_key: String,
    base_url: Option<Base>,
    title: Option<String>,
    sound: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, String>,
    poll: Option<bool>,
    receipts_token: Option<String>,
    authorities: Option<String>,
}

impl Settings {
    /// Reads and checks everything.
    pub(in crate::provider) fn read(table: toml::Table) -> Result<Self> {
        let keys: Keys = read_table(table)?;
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
        let base_url = keys.base_url.map_or_else(|| Base::read(own), Ok);
        Ok(Self {
            api_key: keys.api_key.trim().to_owned(),
            base_url: base_url.map_err(Error::usage)?,
            title: keys.title,
            sound: keys.sound,
            extra: keys.data,
            polls: keys.poll.unwrap_or(true),
            receipts_token: keys.receipts_token,
            authorities: keys.authorities,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("base_url", &self.base_url.place())
            .field("polls", &self.polls)
            .finish_non_exhaustive()
    }
}
