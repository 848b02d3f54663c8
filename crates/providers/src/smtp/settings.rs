//! Settings of `kind = "smtp"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send.

use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Mechanism;
use serde::Deserialize;

use crate::email_address::{
    default_subject, deserialize_mailbox, deserialize_optional_address, deserialize_optional_mailbox,
};
use crate::settings_reader::{deserialize_duration, read_table};
use postrider_core::error::{Error, Result};

/// Settings of an account at a mail server.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// Host name of the server; its certificate must be valid for it.
    pub(super) host: String,
    /// Port; default by `tls`: 587, 465 or 25.
    port: Option<u16>,
    /// Encryption of the connection.
    #[serde(default)]
    pub(super) tls: Encryption,
    /// PEM file of the certificates that may sign the server's; default: those of the operating system.
    pub(super) ca_file: Option<PathBuf>,
    /// User name; without a user name there is no login.
    pub(super) username: Option<String>,
    /// Password, or the access token for `xoauth2`.
    pub(super) password: Option<String>,
    /// Login mechanism; default: the first of plain and login that the server offers.
    pub(super) auth: Option<AuthMechanism>,
    /// Sender: `"Shop <shop@example.org>"`.
    #[serde(deserialize_with = "deserialize_mailbox")]
    pub(super) from: Mailbox,
    /// Address for bounces; default: `from`.
    #[serde(default, deserialize_with = "deserialize_optional_address")]
    pub(super) bounces_to: Option<Address>,
    /// Address for replies; default: `from`.
    #[serde(default, deserialize_with = "deserialize_optional_mailbox")]
    pub(super) reply_to: Option<Mailbox>,
    /// Subject of messages without a subject, if the channel has none either.
    #[serde(default = "default_subject")]
    pub(super) subject: String,
    /// Name in EHLO; default: the domain of `from`.
    ehlo_name: Option<String>,
    /// Maximum number of mails over one connection; many servers have a limit.
    #[serde(default = "default_mails_per_connection")]
    pub(super) mails_per_connection: u32,
    /// Maximum wait for the reply after the final dot. If the reply does not arrive in this time, the outcome is
    /// `unknown`.
    #[serde(default = "default_data_timeout", deserialize_with = "deserialize_duration")]
    pub(super) data_timeout: Duration,
}

/// Range of `data_timeout`. A longer wait would keep the lease of a delivery for too long after a crash.
const DATA_TIMEOUT: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(30 * 60);

/// Encryption of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encryption {
    /// STARTTLS, which the server must offer.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// No encryption; for a server on the same machine or a private network.
    None,
}

/// Login mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthMechanism {
    Plain,
    Login,
    Xoauth2,
}

impl AuthMechanism {
    /// Returns the mechanism of the mail library.
    pub(super) fn mechanism(self) -> Mechanism {
        match self {
            Self::Plain => Mechanism::Plain,
            Self::Login => Mechanism::Login,
            Self::Xoauth2 => Mechanism::Xoauth2,
        }
    }
}

impl SmtpSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let smtp_settings: Self = read_table(table)?;
        let invalid = |message: &str| Err(Error::usage(message.to_owned()));
        if !is_host_token(&smtp_settings.host) {
            return invalid(
                "host: must be a host name such as \"mail.example.org\"; the port has its own key",
            );
        }
        if smtp_settings.ehlo_name.as_deref().is_some_and(|name| !is_host_token(name)) {
            return invalid("ehlo_name: must be a name without blanks, such as \"gateway.example.org\"");
        }
        if smtp_settings.subject.contains(char::is_control) {
            return invalid("subject: must be one line without control characters");
        }
        if !DATA_TIMEOUT.contains(&smtp_settings.data_timeout) {
            return invalid("data_timeout: must be between 1s and 30m");
        }
        if smtp_settings.mails_per_connection == 0 {
            return invalid("mails_per_connection: must be 1 or more");
        }
        match (&smtp_settings.username, &smtp_settings.password) {
            (Some(_), None) => invalid("password: is missing, but username is set; set both, or neither"),
            (None, Some(_)) => invalid("username: is missing, but password is set; set both, or neither"),
            (None, None) if smtp_settings.auth.is_some() => {
                invalid("username: is missing, but auth is set; set both, or neither")
            }
            (None, None) | (Some(_), Some(_)) => Ok(smtp_settings),
        }
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Encryption::Starttls => 587,
            Encryption::Tls => 465,
            Encryption::None => 25,
        })
    }

    /// Returns the name in EHLO.
    pub(super) fn ehlo_name(&self) -> &str {
        self.ehlo_name.as_deref().unwrap_or_else(|| self.from.email.domain())
    }

    /// Returns the envelope sender, which receives bounces.
    pub(super) fn envelope_sender(&self) -> &Address {
        self.bounces_to.as_ref().unwrap_or(&self.from.email)
    }
}

fn is_host_token(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|character| character.is_ascii_graphic() && !"/@<>".contains(character))
}

/// The time that RFC 5321 (4.5.3.2.6) requires, because servers filter and deliver the mail before they reply.
fn default_data_timeout() -> Duration {
    Duration::from_secs(10 * 60)
}

fn default_mails_per_connection() -> u32 {
    100
}
