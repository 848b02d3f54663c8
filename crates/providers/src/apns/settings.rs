//! The settings of `kind = "apns"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use std::collections::BTreeMap;

use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::jwt::JwtKey;
use crate::settings_reader::read_table;

const DEFAULT_BASE_URL: &str = "https://api.push.apple.com";
const SANDBOX_BASE_URL: &str = "https://api.sandbox.push.apple.com";

/// An app that receives pushes.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApnsSettings {
    /// The private key from Apple, in PEM.
    pub(super) key: String,
    /// The id of the key.
    pub(super) key_id: String,
    /// The id of the developer's team.
    pub(super) team_id: String,
    /// The bundle id of the app.
    pub(super) topic: String,
    /// Set for a development build of the app, which uses the sandbox of APNs.
    #[serde(default)]
    sandbox: bool,
    base_url: Option<BaseUrl>,
    /// The title of messages without a subject.
    pub(super) title: Option<String>,
    /// The sound that the device plays.
    pub(super) sound: Option<String>,
    /// The priority of messages.
    #[serde(default)]
    pub(super) priority: ApnsPriority,
    /// Additional data for the app, beside `aps`.
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
    /// The token with which the app's server acknowledges messages. Without it acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// The only certificate authorities that may sign the server's certificate, in PEM. The default is this machine's.
    pub(super) ca: Option<String>,
}

impl ApnsSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let apns_settings: Self = read_table(table)?;
        JwtKey::from_p256_pem(&apns_settings.key).map_err(|error| {
            let remedy = "write key = \"${file:AuthKey_ABC123DEFG.p8}\", the file from Apple";
            Error::usage(format!("key: {error}; {remedy}"))
        })?;
        for (key, id) in [("key_id", &apns_settings.key_id), ("team_id", &apns_settings.team_id)] {
            if id.len() != 10 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
                return Err(Error::usage(format!("{key}: must be ten letters and digits")));
            }
        }
        if apns_settings.topic.is_empty() || !apns_settings.topic.bytes().all(|byte| byte.is_ascii_graphic())
        {
            return Err(Error::usage("topic: must be a bundle id such as \"com.example.app\""));
        }
        let is_reserved = |data_name: &&String| matches!(data_name.as_str(), "aps" | "gw_id");
        if let Some(data_name) = apns_settings.data.keys().find(is_reserved) {
            return Err(Error::usage(format!("data.{data_name}: is reserved; choose another name")));
        }
        Ok(apns_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        let default = if self.sandbox { SANDBOX_BASE_URL } else { DEFAULT_BASE_URL };
        BaseUrl::configured_or(self.base_url.as_ref(), default)
    }
}

/// The priority of messages.
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
