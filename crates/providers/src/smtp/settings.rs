//! The keys of `kind = "smtp"`.
//!
//! Everything is parsed here once, so that a wrong address or a missing file stops the start and never a send.

use std::fmt;
use std::path::PathBuf;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Mechanism;
use serde::Deserialize;

use crate::email_address::{
    default_subject, deserialize_mailbox, deserialize_optional_address, deserialize_optional_mailbox,
};
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

/// How a mail server is spoken to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// The server's name; its certificate must be for this name.
    pub(super) host: String,
    /// Its port; unless written here the usual one of `tls`: 587, 465 or 25.
    port: Option<u16>,
    /// How the connection is encrypted.
    #[serde(default)]
    pub(super) tls: Encryption,
    /// The certificates, in PEM form, that sign the server's; unless written here those of this machine.
    pub(super) ca_file: Option<PathBuf>,
    /// Who we are to the server; without, nobody signs in.
    pub(super) username: Option<String>,
    /// The password, or for `xoauth2` the access token.
    pub(super) password: Option<String>,
    /// How to sign in; unless written here the first of plain and login that the server offers.
    pub(super) auth: Option<AuthMechanism>,
    /// Whom the mail is from: `"Shop <shop@example.org>"`.
    #[serde(deserialize_with = "deserialize_mailbox")]
    pub(super) from: Mailbox,
    /// Where bounces go; unless written here to `from`.
    #[serde(default, deserialize_with = "deserialize_optional_address")]
    pub(super) bounces_to: Option<Address>,
    /// Where answers go; unless written here to `from`.
    #[serde(default, deserialize_with = "deserialize_optional_mailbox")]
    pub(super) reply_to: Option<Mailbox>,
    /// The subject of messages that bring none, where the channel has none either.
    #[serde(default = "default_subject")]
    pub(super) subject: String,
    /// The name we greet with; unless written here the domain of `from`.
    ehlo_name: Option<String>,
    /// After so many mails a connection is closed; many servers limit them.
    #[serde(default = "usual_mails")]
    pub(super) mails_per_connection: u32,
}

/// How a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encryption {
    /// In the clear first, then STARTTLS, without which nothing is sent.
    #[default]
    Starttls,
    /// From the first byte.
    Tls,
    /// Never: for a server on this machine or a network of one's own.
    None,
}

/// How to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum AuthMechanism {
    Plain,
    Login,
    Xoauth2,
}

impl AuthMechanism {
    pub(super) fn mechanism(self) -> Mechanism {
        match self {
            Self::Plain => Mechanism::Plain,
            Self::Login => Mechanism::Login,
            Self::Xoauth2 => Mechanism::Xoauth2,
        }
    }
}

impl SmtpSettings {
    /// Reads and checks the keys.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        let fault = |text: &str| Err(Error::usage(text.to_owned()));
        if !is_host_token(&settings.host) {
            return fault(
                "host: write the server's name alone, such as \"mail.example.org\"; the port has its own key",
            );
        }
        if settings
            .ehlo_name
            .as_deref()
            .is_some_and(|hello| !is_host_token(hello))
        {
            return fault("hello: write a name without blanks, such as \"gateway.example.org\"");
        }
        if settings.subject.contains(char::is_control) {
            return fault("subject: must be one line without control characters");
        }
        if settings.mails_per_connection == 0 {
            return fault("mails_per_connection: must be 1 or more");
        }
        match (&settings.username, &settings.password) {
            (Some(_), None) => fault("password: is missing, but there is a username; give both, or neither"),
            (None, Some(_)) => fault("username: is missing, but there is a password; give both, or neither"),
            (None, None) if settings.auth.is_some() => {
                fault("username: is missing, but auth says how to sign in")
            }
            (None, None) | (Some(_), Some(_)) => Ok(settings),
        }
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            Encryption::Starttls => 587,
            Encryption::Tls => 465,
            Encryption::None => 25,
        })
    }

    /// The name we greet with.
    pub(super) fn ehlo_name(&self) -> &str {
        self.ehlo_name
            .as_deref()
            .unwrap_or_else(|| self.from.email.domain())
    }

    /// Where bounces go: the sender on the envelope.
    pub(super) fn envelope_sender(&self) -> &Address {
        self.bounces_to.as_ref().unwrap_or(&self.from.email)
    }
}

impl fmt::Debug for SmtpSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("host", &self.host)
            .field("port", &self.port())
            .field("tls", &self.tls)
            .field("signs_in", &self.username.is_some())
            .finish_non_exhaustive()
    }
}

fn is_host_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|letter| letter.is_ascii_graphic() && !"/@<>".contains(letter))
}

fn usual_mails() -> u32 {
    100
}
