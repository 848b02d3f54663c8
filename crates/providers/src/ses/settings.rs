//! The settings of `kind = "ses"`.
//!
//! Invalid settings stop the start of the gateway, never a send.

use lettre::message::Mailbox;
use serde::Deserialize;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::email_address::{default_subject, deserialize_mailbox, deserialize_optional_mailbox};
use crate::settings_reader::read_table;

/// An SES account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SesSettings {
    /// The AWS region, such as `eu-central-1`.
    pub(super) region: String,
    /// The id of the access key.
    pub(super) access_key_id: String,
    /// The secret of the access key.
    pub(super) secret_access_key: String,
    /// The session token of temporary credentials.
    pub(super) session_token: Option<String>,
    /// The sender. The address or its domain must be verified in SES.
    #[serde(deserialize_with = "deserialize_mailbox")]
    pub(super) from: Mailbox,
    /// The address for replies. The default is `from`.
    #[serde(default, deserialize_with = "deserialize_optional_mailbox")]
    pub(super) reply_to: Option<Mailbox>,
    /// The subject of messages without one, if the channel has none either.
    #[serde(default = "default_subject")]
    pub(super) subject: String,
    /// The configuration set whose events arrive as receipts.
    pub(super) configuration_set: Option<String>,
    /// The ARNs of the SNS topics from which receipts arrive. Without a topic receipts are rejected.
    #[serde(default)]
    pub(super) topics: Vec<String>,
    base_url: Option<BaseUrl>,
    /// The server to call instead of SNS, for tests.
    pub(super) sns_url: Option<BaseUrl>,
}

impl SesSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let mut ses_settings: Self = read_table(table)?;
        let is_region = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if ses_settings.region.is_empty() || !ses_settings.region.bytes().all(is_region) {
            return Err(Error::usage("region: must be the code of an AWS region, such as \"eu-central-1\""));
        }
        for (key, credential) in [
            ("access_key_id", &ses_settings.access_key_id),
            ("secret_access_key", &ses_settings.secret_access_key),
        ] {
            if credential.is_empty() || !credential.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(Error::usage(format!("{key}: is empty or holds a blank; copy it again")));
            }
        }
        ses_settings.session_token.take_if(|token| token.is_empty());
        if ses_settings.subject.contains(char::is_control) {
            return Err(Error::usage("subject: must be one line without control characters"));
        }
        if let Some(topic) = ses_settings.topics.iter().find(|topic| !topic.starts_with("arn:aws")) {
            let message = format!("topics: \"{topic}\" is not an ARN; write arn:aws:sns:REGION:ACCOUNT:NAME");
            return Err(Error::usage(message));
        }
        Ok(ses_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        let regional_url = format!("https://email.{}.amazonaws.com", self.region);
        BaseUrl::configured_or(self.base_url.as_ref(), &regional_url)
    }

    /// Returns whether SES or SNS is called over TLS.
    pub(super) fn is_secure(&self) -> Result<bool> {
        let is_sns_secure = !self.topics.is_empty() && self.sns_url.as_ref().is_none_or(BaseUrl::is_secure);
        Ok(is_sns_secure || self.base_url()?.is_secure())
    }
}
