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

const DEFAULT_BASE_URL: &str = "https://api.push.apple.com";
const SANDBOX_BASE_URL: &str = "https://api.sandbox.push.apple.com";

/// Settings of an app.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsSettings {
    pub(super) key: String,
    pub(super) key_id: String,
    pub(super) team_id: String,
    /// Bundle id of the app.
    pub(super) topic: String,
    /// The app is a development build.
    #[serde(default)]
    sandbox: bool,
    base_url: Option<BaseUrl>,
    /// Title of messages without a subject.
    pub(super) title: Option<String>,
    pub(super) sound: Option<String>,
    #[serde(default)]
    pub(super) priority: ApnsPriority,
    /// Additional data for the app, beside `aps`.
    #[serde(default)]
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

impl ApnsSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        JwtKey::from_p256_pem(&settings.key).map_err(|error| {
            let remedy = "write key = \"${file:AuthKey_ABC123DEFG.p8}\", the file from Apple";
            Error::usage(format!("key: {error}; {remedy}"))
        })?;
        for (name, id) in [("key_id", &settings.key_id), ("team_id", &settings.team_id)] {
            if id.len() != 10 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Error::usage(format!("{name}: must be ten letters and digits")));
            }
        }
        if settings.topic.is_empty() || !settings.topic.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::usage("topic: must be a bundle id such as \"com.example.app\""));
        }
        let is_reserved = |name: &&String| matches!(name.as_str(), "aps" | "gw_id");
        if let Some(name) = settings.data.keys().find(is_reserved) {
            return Err(Error::usage(format!("data.{name}: is reserved; choose another name")));
        }
        Ok(settings)
    }

    /// Returns the URL of APNs.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        let default = if self.sandbox { SANDBOX_BASE_URL } else { DEFAULT_BASE_URL };
        BaseUrl::configured_or(self.base_url.as_ref(), default)
    }
}

impl fmt::Debug for ApnsSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("ApnsSettings")
            .field("topic", &self.topic)
            .field("base_url", &self.base_url.as_ref().map(BaseUrl::endpoint))
            .finish_non_exhaustive()
    }
}
