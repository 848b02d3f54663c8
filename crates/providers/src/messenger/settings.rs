//! Settings of `kind = "messenger"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

const DEFAULT_BASE_URL: &str = "https://graph.facebook.com";

/// Settings of a page.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessengerSettings {
    #[serde(default = "default_page_id")]
    pub(super) page_id: String,
    pub(super) access_token: String,
    /// Secret that signs webhooks; without it, webhooks are rejected.
    pub(super) app_secret: Option<String>,
    /// Token of the verification request of a new webhook.
    pub(super) verify_token: Option<String>,
    /// Version of the Graph API, which changes every few months.
    #[serde(default = "default_version")]
    pub(super) version: String,
    base_url: Option<BaseUrl>,
    #[serde(default = "default_messaging_type")]
    pub(super) messaging_type: String,
    pub(super) tag: Option<String>,
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
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mut settings: Self = read_table(table)?;
        settings.access_token = settings.access_token.trim().to_owned();
        for (name, secret) in [
            ("access_token", Some(&settings.access_token)),
            ("app_secret", settings.app_secret.as_ref()),
            ("verify_token", settings.verify_token.as_ref()),
        ] {
            if secret.is_some_and(|secret| secret.trim().is_empty()) {
                return Err(Error::usage(format!("{name}: is empty; set it or remove the key")));
            }
        }
        validate_messaging_type(&settings.messaging_type, settings.tag.is_some())?;
        Ok(settings)
    }

    /// Returns the URL of the Graph API.
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

impl fmt::Debug for MessengerSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MessengerSettings")
            .field("page_id", &self.page_id)
            .field("version", &self.version)
            .field("base_url", &self.base_url.as_ref().map(BaseUrl::endpoint))
            .finish_non_exhaustive()
    }
}
