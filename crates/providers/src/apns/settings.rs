//! The keys of `kind = "apns"`, read and checked.
//!
//! The signing key is tried out here, so that a start with a wrong one never comes to a send. It is never printed.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::jwt::JwtKey;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// How an app is written to.
#[derive(Clone)]
pub struct ApnsSettings {
    pub(super) key: String,
    pub(super) key_id: String,
    pub(super) team_id: String,
    /// The app's bundle id.
    pub(super) topic: String,
    /// Where Apple is.
    pub(super) base_url: BaseUrl,
    /// The line above messages that bring none.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    pub(super) priority: ApnsPriority,
    /// What else the app is handed, beside `aps`.
    pub(super) data: BTreeMap<String, String>,
    /// What the app's own server must show when it acknowledges; without, nobody can.
    pub(super) receipts_token: Option<String>,
    /// The authorities that are believed instead of the machine's.
    pub(super) ca: Option<String>,
}

/// How urgent messages are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ApnsPriority {
    #[default]
    High,
    Normal,
}

impl ApnsPriority {
    /// As Apple writes it.
    pub fn header_value(self) -> &'static str {
        match self {
            Self::High => "10",
            Self::Normal => "5",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApnsSettingsTable {
    key: String,
    key_id: String,
    team_id: String,
    topic: String,
    #[serde(default)]
    sandbox: bool,
    base_url: Option<BaseUrl>,
    title: Option<String>,
    sound: Option<String>,
    #[serde(default)]
    priority: ApnsPriority,
    #[serde(default)]
    data: BTreeMap<String, String>,
    receipts_token: Option<String>,
    ca: Option<String>,
}

impl ApnsSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: ApnsSettingsTable = read_table(table)?;
        JwtKey::from_p256_pem(&keys.key).map_err(|why| {
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
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(own), Ok);
        Ok(Self {
            key: keys.key,
            key_id: keys.key_id,
            team_id: keys.team_id,
            topic: keys.topic,
            base_url: base_url.map_err(Error::usage)?,
            title: keys.title,
            sound: keys.sound,
            priority: keys.priority,
            data: keys.data,
            receipts_token: keys.receipts_token,
            ca: keys.ca,
        })
    }
}

impl fmt::Debug for ApnsSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("topic", &self.topic)
            .field("base_url", &self.base_url.endpoint())
            .finish_non_exhaustive()
    }
}
