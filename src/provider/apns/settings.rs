//! The keys of `kind = "apns"`, read and checked.
//!
//! The signing key is tried out here, so that a start with a wrong one never comes to a send. It is never printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::provider::api::Base;
use crate::provider::jwt::Key;
use crate::provider::reading::read_table;

/// How an app is written to.
#[derive(Clone)]
pub struct Settings {
    pub(super) key: String,
    pub(super) key_id: String,
    pub(super) team_id: String,
    /// The app's bundle id.
    pub(super) topic: String,
    /// Where Apple is.
    pub(super) base_url: Base,
    /// The line above messages that bring none.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    pub(super) priority: Priority,
    /// What else the app is handed, beside `aps`.
    pub(super) extra: BTreeMap<String, String>,
    /// What the app's own server must show when it acknowledges; without, nobody can.
    pub(super) receipts_token: Option<String>,
    /// The authorities that are believed instead of the machine's.
    pub(super) authorities: Option<String>,
}

/// How urgent messages are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Priority {
    #[default]
    High,
    Normal,
}

impl Priority {
    /// As Apple writes it.
    pub fn number(self) -> &'static str {
        match self {
            Self::High => "10",
            Self::Normal => "5",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    key: String,
    key_id: String,
    team_id: String,
    topic: String,
    #[serde(default)]
    sandbox: bool,
    base_url: Option<Base>,
    title: Option<String>,
    sound: Option<String>,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    data: BTreeMap<String, String>,
    receipts_token: Option<String>,
    authorities: Option<String>,
}

impl Settings {
    /// Reads and checks everything.
    pub(in crate::provider) fn read(table: toml::Table) -> Result<Self> {
        let keys: Keys = read_table(table)?;
        Key::elliptic(&keys.key).map_err(|why| {
            let remedy = "write key = \"${file:AuthKey_ABC123DEFG.p8}\", the file that Apple gave out";
            Error::usage(format!("key: {why}; {remedy}"))
        })?;
        for (name, id) in [("key_id", &keys.key_id), ("team_id", &keys.team_id)] {
            if id.len() != 10 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                let shape = "is not what Apple gives out: ten letters and digits";
                return Err(Error::usage(format!("{name}: {shape}")));
            }
        }
        if keys.topic.is_empty() || !keys.topic.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::usage(
                "topic: is no bundle id; write one such as \"com.example.app\"",
            ));
        }
        if let Some(name) = keys
            .data
            .keys()
            .find(|name| matches!(name.as_str(), "aps" | "gw_id"))
        {
            return Err(Error::usage(format!(
                "data.{name}: is filled in already; choose another name"
            )));
        }
        let own = match keys.sandbox {
            true => "https://api.sandbox.push.apple.com",
            false => "https://api.push.apple.com",
        };
        let base_url = keys.base_url.map_or_else(|| Base::read(own), Ok);
        Ok(Self {
            key: keys.key,
            key_id: keys.key_id,
            team_id: keys.team_id,
            topic: keys.topic,
            base_url: base_url.map_err(Error::usage)?,
            title: keys.title,
            sound: keys.sound,
            priority: keys.priority,
            extra: keys.data,
            receipts_token: keys.receipts_token,
            authorities: keys.authorities,
        })
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("topic", &self.topic)
            .field("base_url", &self.base_url.place())
            .finish_non_exhaustive()
    }
}
