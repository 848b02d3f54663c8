//! Settings of `kind = "apns"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::jwt::JwtKey;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// Settings of an app.
#[derive(Clone)]
pub struct ApnsSettings {
    pub(super) key: String,
    pub(super) key_id: String,
    pub(super) team_id: String,
    /// Bundle id of the app.
    pub(super) topic: String,
    /// URL of APNs.
    pub(super) base_url: BaseUrl,
    /// Title of messages without a subject.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    pub(super) priority: ApnsPriority,
    /// Additional data for the app, beside `aps`.
    pub(super) data: BTreeMap<String, String>,
    /// Token with which the app's server acknowledges messages; without it, acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// Certificates in PEM format that may sign the server's; default: those of the operating system.
    pub(super) ca: Option<String>,
}

/// Priority of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ApnsPriority {
    #[default]
    High,
    Normal,
}

impl ApnsPriority {
    /// Returns the value of `apns-priority`.
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
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: ApnsSettingsTable = read_table(table)?;
        JwtKey::from_p256_pem(&keys.key).map_err(|error| {
            let remedy = "write key = \"${file:AuthKey_ABC123DEFG.p8}\", the file from Apple";
            Error::usage(format!("key: {error}; {remedy}"))
        })?;
        for (name, id) in [("key_id", &keys.key_id), ("team_id", &keys.team_id)] {
            if id.len() != 10 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Error::usage(format!("{name}: must be ten letters and digits")));
            }
        }
        if keys.topic.is_empty() || !keys.topic.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::usage(
                "topic: must be a bundle id such as \"com.example.app\"",
            ));
        }
        if let Some(name) = keys
            .data
            .keys()
            .find(|name| matches!(name.as_str(), "aps" | "gw_id"))
        {
            return Err(Error::usage(format!(
                "data.{name}: is reserved; choose another name"
            )));
        }
        let default_url = match keys.sandbox {
            true => "https://api.sandbox.push.apple.com",
            false => "https://api.push.apple.com",
        };
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(default_url), Ok);
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
        out.debug_struct("ApnsSettings")
            .field("topic", &self.topic)
            .field("base_url", &self.base_url.endpoint())
            .finish_non_exhaustive()
    }
}
