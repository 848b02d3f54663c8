//! The settings of `kind = "messenger"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;

const DEFAULT_BASE_URL: &str = "https://graph.facebook.com";

/// A Facebook page.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessengerSettings {
    /// The id of the page. `me` is the page of the token.
    #[serde(default = "default_page_id")]
    pub(super) page_id: String,
    /// The token of the page.
    pub(super) access_token: String,
    /// The app's secret, which signs webhooks. Without it webhooks are rejected.
    pub(super) app_secret: Option<String>,
    /// The token of the verification request of a new webhook.
    pub(super) verify_token: Option<String>,
    /// The version of the Graph API, which changes every few months.
    #[serde(default = "default_version")]
    pub(super) version: String,
    base_url: Option<BaseUrl>,
    /// `RESPONSE`, `UPDATE` or `MESSAGE_TAG`.
    #[serde(default = "default_messaging_type")]
    pub(super) messaging_type: String,
    /// The tag of `MESSAGE_TAG`.
    pub(super) tag: Option<String>,
    /// Facebook's `notification_type`. The default is Facebook's.
    pub(super) notification_type: Option<String>,
}

fn default_page_id() -> String {
    "me".to_owned()
}

fn default_version() -> String {
    "v24.0".to_owned()
}

fn default_messaging_type() -> String {
    "RESPONSE".to_owned()
}

impl MessengerSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mut messenger_settings: Self = read_table(table)?;
        messenger_settings.access_token = messenger_settings.access_token.trim().to_owned();
        for (key, secret) in [
            ("access_token", Some(&messenger_settings.access_token)),
            ("app_secret", messenger_settings.app_secret.as_ref()),
            ("verify_token", messenger_settings.verify_token.as_ref()),
        ] {
            if secret.is_some_and(|secret| secret.trim().is_empty()) {
                return Err(Error::usage(format!("{key}: is empty; set it or remove the key")));
            }
        }
        validate_messaging_type(&messenger_settings.messaging_type, messenger_settings.tag.is_some())?;
        Ok(messenger_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }
}

fn validate_messaging_type(messaging_type: &str, has_tag: bool) -> Result<()> {
    let error = match (messaging_type, has_tag) {
        ("RESPONSE" | "UPDATE", false) | ("MESSAGE_TAG", true) => return Ok(()),
        ("MESSAGE_TAG", false) => "tag: is missing; MESSAGE_TAG requires one, such as \"HUMAN_AGENT\"",
        ("RESPONSE" | "UPDATE", true) => {
            "tag: is only valid with messaging_type = \"MESSAGE_TAG\"; remove it"
        }
        _ => "messaging_type: must be RESPONSE, UPDATE or MESSAGE_TAG",
    };
    Err(Error::usage(error))
}
