//! The keys of `kind = "ses"`.
//!
//! Everything is parsed here once, so that a wrong address or URL stops the start and never a send. Prints no credential.

use std::fmt;

use lettre::message::Mailbox;
use reqwest::Url;
use serde::Deserialize;

use super::sigv4::AwsCredentials;
use crate::email_address::{default_subject, deserialize_mailbox, deserialize_optional_mailbox};
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// How Amazon's service for mail is spoken to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SesSettings {
    /// Where the account's mail is set up, such as `eu-central-1`.
    region: String,
    access_key_id: String,
    secret_access_key: String,
    /// Only with temporary credentials.
    session_token: Option<String>,
    /// Whom the mail is from; the address or its domain must be verified there.
    #[serde(deserialize_with = "deserialize_mailbox")]
    pub(super) from: Mailbox,
    /// Where answers go; unless written here to `from`.
    #[serde(default, deserialize_with = "deserialize_optional_mailbox")]
    pub(super) reply_to: Option<Mailbox>,
    /// The subject of messages that bring none, where the channel has none either.
    #[serde(default = "default_subject")]
    pub(super) subject: String,
    /// The configuration set whose events come back as receipts.
    pub(super) configuration_set: Option<String>,
    /// The SNS topics that receipts come from (their ARNs); without, none are heard.
    #[serde(default)]
    pub(super) topics: Vec<String>,
    /// Where the service is, instead of the region's own address.
    base_url: Option<String>,
    /// Where certificates and confirmations of SNS are fetched, instead of the address in them.
    sns_url: Option<String>,
}

impl SesSettings {
    /// Reads and checks the keys.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        let is_region =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if settings.region.is_empty() || !settings.region.chars().all(is_region) {
            return Err(Error::usage(
                "region: write it as in the console's address, such as \"eu-central-1\"",
            ));
        }
        for (key, text) in [
            ("access_key_id", &settings.access_key_id),
            ("secret_access_key", &settings.secret_access_key),
        ] {
            if text.is_empty() || text.contains(|letter: char| !letter.is_ascii_graphic()) {
                return Err(Error::usage(format!(
                    "{key}: is empty or holds a blank; copy it again"
                )));
            }
        }
        if settings.subject.contains(char::is_control) {
            return Err(Error::usage(
                "subject: must be one line without control characters",
            ));
        }
        if let Some(topic) = settings.topics.iter().find(|topic| !topic.starts_with("arn:aws")) {
            let problem =
                format!("topics: \"{topic}\" is no topic; write its ARN, arn:aws:sns:REGION:ACCOUNT:NAME");
            return Err(Error::usage(problem));
        }
        settings.parsed_base_url()?;
        settings.parsed_sns_url()?;
        Ok(settings)
    }

    /// Where the service is.
    pub(super) fn parsed_base_url(&self) -> Result<Url> {
        let usual = || format!("https://email.{}.amazonaws.com", self.region);
        parse_root_url("base_url", &self.base_url.clone().unwrap_or_else(usual))
    }

    /// Where certificates and confirmations are fetched, if not at their own address.
    pub(super) fn parsed_sns_url(&self) -> Result<Option<Url>> {
        self.sns_url
            .as_deref()
            .map(|url| parse_root_url("sns_url", url))
            .transpose()
    }

    /// Whether anything is reached over TLS.
    pub(crate) fn is_secure(&self) -> bool {
        let plain = |url: &Option<String>| url.as_ref().is_some_and(|url| url.starts_with("http:"));
        !plain(&self.base_url) || !self.topics.is_empty() && !plain(&self.sns_url)
    }

    /// What requests are signed with.
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
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| {
        Error::usage(format!(
            "{key}: is not a URL; write https://HOST or http://HOST:PORT"
        ))
    })
}

impl fmt::Debug for SesSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("region", &self.region)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
