//! The keys of `kind = "messenger"`, read and checked.
//!
//! Token, secret and the word of the webhook are never printed.

use std::fmt;

use serde::Deserialize;

use crate::base_url::BaseUrl;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// How a page writes.
#[derive(Clone)]
pub struct MessengerSettings {
    pub(super) page_id: String,
    pub(super) access_token: String,
    /// Signs what Facebook tells us; without, nothing is heard.
    pub(super) app_secret: Option<String>,
    /// What Facebook shows when the webhook is set up.
    pub(super) verify_token: Option<String>,
    /// The version of the interface, which changes every few months.
    pub(super) version: String,
    /// Where Facebook is.
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

/// The version of the interface that the reference describes.
const DEFAULT_API_VERSION: &str = "v24.0";

impl MessengerSettings {
    /// Reads and checks everything.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: MessengerSettingsTable = read_table(table)?;
        for (name, secret) in [
            ("access_token", Some(&keys.access_token)),
            ("app_secret", keys.app_secret.as_ref()),
            ("verify_token", keys.verify_token.as_ref()),
        ] {
            if secret.is_some_and(|secret| secret.trim().is_empty()) {
                return Err(Error::usage(format!(
                    "{name}: is empty; write it, or leave the line out"
                )));
            }
        }
        let messaging_type = keys.messaging_type.unwrap_or_else(|| "RESPONSE".to_owned());
        validate_messaging_type(&messaging_type, keys.tag.is_some())?;
        let own = "https://graph.facebook.com";
        let base_url = keys.base_url.map_or_else(|| BaseUrl::parse(own), Ok);
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

fn validate_messaging_type(word: &str, has_tag: bool) -> Result<()> {
    match (word, has_tag) {
        ("RESPONSE" | "UPDATE", false) | ("MESSAGE_TAG", true) => Ok(()),
        ("MESSAGE_TAG", false) => Err(Error::usage(
            "tag: is missing; MESSAGE_TAG needs one, such as \"HUMAN_AGENT\"",
        )),
        ("RESPONSE" | "UPDATE", true) => Err(Error::usage(
            "tag: belongs to messaging_type = \"MESSAGE_TAG\"; leave it out",
        )),
        _ => Err(Error::usage(
            "messaging_type: write RESPONSE, UPDATE or MESSAGE_TAG",
        )),
    }
}

impl fmt::Debug for MessengerSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("page_id", &self.page_id)
            .field("version", &self.version)
            .field("base_url", &self.base_url.endpoint())
            .finish_non_exhaustive()
    }
}
