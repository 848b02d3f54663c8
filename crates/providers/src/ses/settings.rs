//! Settings of `kind = "ses"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::fmt;

use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;

use super::sigv4::AwsCredentials;
use crate::email_address::{default_subject, deserialize_mailbox, deserialize_optional_mailbox};
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// Settings of an SES account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SesSettings {
    /// AWS region, such as `eu-central-1`.
    region: String,
    access_key_id: String,
    secret_access_key: String,
    /// Session token of temporary credentials.
    session_token: Option<String>,
    /// Sender; the address or its domain must be verified in SES.
    #[serde(deserialize_with = "deserialize_mailbox")]
    pub(super) from: Mailbox,
    /// Address for replies; default: `from`.
    #[serde(default, deserialize_with = "deserialize_optional_mailbox")]
    pub(super) reply_to: Option<Mailbox>,
    /// Subject of messages without one, if the channel has none either.
    #[serde(default = "default_subject")]
    pub(super) subject: String,
    /// Configuration set whose events arrive as receipts.
    pub(super) configuration_set: Option<String>,
    /// ARNs of the SNS topics that receipts arrive from; without any, receipts are rejected.
    #[serde(default)]
    pub(super) topics: Vec<String>,
    /// URL of SES; default: that of the region.
    base_url: Option<String>,
    /// URL of SNS; default: the one in a notification.
    sns_url: Option<String>,
}

impl SesSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        let is_region = |character: char| {
            character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-'
        };
        if settings.region.is_empty() || !settings.region.chars().all(is_region) {
            return Err(Error::usage("region: must be the code of an AWS region, such as \"eu-central-1\""));
        }
        for (key, text) in
            [("access_key_id", &settings.access_key_id), ("secret_access_key", &settings.secret_access_key)]
        {
            if text.is_empty() || text.contains(|character: char| !character.is_ascii_graphic()) {
                return Err(Error::usage(format!("{key}: is empty or holds a blank; copy it again")));
            }
        }
        if settings.subject.contains(char::is_control) {
            return Err(Error::usage("subject: must be one line without control characters"));
        }
        if let Some(topic) = settings.topics.iter().find(|topic| !topic.starts_with("arn:aws")) {
            let message = format!("topics: \"{topic}\" is not an ARN; write arn:aws:sns:REGION:ACCOUNT:NAME");
            return Err(Error::usage(message));
        }
        settings.parsed_base_url()?;
        settings.parsed_sns_url()?;
        Ok(settings)
    }

    /// Returns the URL of SES.
    pub(super) fn parsed_base_url(&self) -> Result<Url> {
        let default_url = || format!("https://email.{}.amazonaws.com", self.region);
        parse_root_url("base_url", &self.base_url.clone().unwrap_or_else(default_url))
    }

    /// Returns the URL that replaces that of SNS, if one is set.
    pub(super) fn parsed_sns_url(&self) -> Result<Option<Url>> {
        self.sns_url.as_deref().map(|url| parse_root_url("sns_url", url)).transpose()
    }

    /// Returns whether SES or SNS is called over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        let plain = |url: &Option<String>| url.as_ref().is_some_and(|url| url.starts_with("http:"));
        !plain(&self.base_url) || !self.topics.is_empty() && !plain(&self.sns_url)
    }

    /// Returns the credentials that sign requests.
    pub(super) fn credentials(&self) -> AwsCredentials {
        AwsCredentials {
            region: self.region.clone(),
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone().filter(|token| !token.is_empty()),
        }
    }
}

fn parse_root_url(key: &str, text: &str) -> Result<Url> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Error::usage(format!("{key}: is not a URL; write https://HOST or http://HOST:PORT")))
}

impl fmt::Debug for SesSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SesSettings")
            .field("region", &self.region)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
