//! Settings of `kind = "messenger"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// Settings of a page.
#[derive(Clone)]
pub struct MessengerSettings {
    pub(super) page_id: String,
    pub(super) access_token: String,
    /// Secret that signs webhooks; without it, webhooks are rejected.
    pub(super) app_secret: Option<String>,
    /// Token of the verification request of a new webhook.
    pub(super) verify_token: Option<String>,
    /// Version of the Graph API, which changes every few months.
    pub(super) version: String,
    /// URL of the Graph API.
    pub(super) base_url: BaseUrl,
    pub(super) messaging_type: String,
    pub(super) tag: Option<String>,
    pub(super) notification_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MessengerSettingsTable {
    access_token: String,
    page_id: Option<String>,
    app_secret: Option<String>,
    verify_token: Option<String>,
    version: Option<String>,
    base_url: Option<BaseUrl>,
    messaging_type: Option<String>,
    tag: Option<String>,
    notification_type: Option<String>,
}

/// Version of the Graph API that the reference describes.
const DEFAULT_API_VERSION: &str = "v24.0";

impl MessengerSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: MessengerSettingsTable = read_table(table)?;
        for (name, secret) in [
            ("access_token", Some(&keys.access_token)),
            ("app_secret", keys.app_secret.as_ref()),
            ("verify_token", keys.verify_token.as_ref()),
        ] {
            if secret.is_some_and(|secret| secret.trim().is_empty()) {
                return Err(Error::usage(format!(
                    "{name}: is empty; set it or remove the key"
                )));
            }
        }
        let messaging_type = keys.messaging_type.unwrap_or_else(|| "RESPONSE".to_owned());
        validate_messaging_type(&messaging_type, keys.tag.is_some())?;
        let default_url = "https://graph.facebook.com";
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(default_url), Ok);
        Ok(Self {
            page_id: keys.page_id.unwrap_or_else(|| "me".to_owned()),
            access_token: keys.access_token.trim().to_owned(),
            app_secret: keys.app_secret,
            verify_token: keys.verify_token,
            version: keys.version.unwrap_or_else(|| DEFAULT_API_VERSION.to_owned()),
            base_url: base_url.map_err(Error::usage)?,
            messaging_type,
            tag: keys.tag,
            notification_type: keys.notification_type,
        })
    }
}

fn validate_messaging_type(messaging_type: &str, has_tag: bool) -> Result<()> {
    match (messaging_type, has_tag) {
        ("RESPONSE" | "UPDATE", false) | ("MESSAGE_TAG", true) => Ok(()),
        ("MESSAGE_TAG", false) => Err(Error::usage(
            "tag: is missing; MESSAGE_TAG requires one, such as \"HUMAN_AGENT\"",
        )),
        ("RESPONSE" | "UPDATE", true) => Err(Error::usage(
            "tag: is only valid with messaging_type = \"MESSAGE_TAG\"; remove it",
        )),
        _ => Err(Error::usage(
            "messaging_type: must be RESPONSE, UPDATE or MESSAGE_TAG",
        )),
    }
}

impl fmt::Debug for MessengerSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("MessengerSettings")
            .field("page_id", &self.page_id)
            .field("version", &self.version)
            .field("base_url", &self.base_url.endpoint())
            .finish_non_exhaustive()
    }
}
