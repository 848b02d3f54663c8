//! The keys of `kind = "smpp"` as they are written, checked before anything connects.
//!
//! The password and the certificates stay out of what is printed.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use super::codes::StatusOutcomes;
use super::message_id::MessageIdFormat;
use super::source_address::SourceAddress;
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{deserialize_duration, read_table};
use postrider_core::error::{Error, Result};

/// What vendors allow in all; more never helps.
const WINDOW_MAX: usize = 1_000;

/// Connections to one account at once.
const BINDS_MAX: usize = 16;

/// How a message centre is spoken to.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppSettings {
    /// `smpp://HOST:PORT`, or `smpps://HOST:PORT` with TLS. Ports 2775 and 3550 when left out.
    pub(super) base_url: String,
    /// The account.
    pub(super) system_id: String,
    /// Its password.
    #[serde(default)]
    pub(super) password: String,
    /// A word some vendors ask for.
    #[serde(default)]
    pub(super) system_type: String,
    /// Who the messages come from: up to 11 letters and digits, a number, or a short code.
    pub(super) from: String,
    /// The type of that number, where the usual one is wrong.
    pub(super) from_ton: Option<u8>,
    /// Its numbering plan, likewise.
    pub(super) from_npi: Option<u8>,
    /// The type of the recipients' numbers.
    #[serde(default = "one")]
    pub(super) to_ton: u8,
    /// Their numbering plan.
    #[serde(default = "one")]
    pub(super) to_npi: u8,
    /// The service type, where a vendor asks for one.
    #[serde(default)]
    pub(super) service_type: String,
    /// Messages on their way without an answer, for each connection.
    #[serde(default = "window")]
    pub(super) window: usize,
    /// Connections that are held open at once.
    #[serde(default = "binds")]
    pub(super) binds: usize,
    /// Whether receipts are asked for.
    #[serde(default = "yes")]
    pub(super) receipts: bool,
    /// How the moment is written after which a message is worth nothing any more.
    #[serde(default)]
    pub(super) validity_period: ValidityFormat,
    /// What the alphabet with the number 0 is.
    #[serde(default)]
    pub(super) default_alphabet: DefaultAlphabet,
    /// How ids are written at the send and in receipts.
    #[serde(default)]
    pub(super) message_id_format: MessageIdFormat,
    /// Network errors in receipts that mean that the number is dead.
    #[serde(default)]
    pub(super) invalid_errors: Vec<String>,
    /// What a vendor's own answers mean: `"0x0411" = "rejected"`.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, OutcomeKind>,
    /// After how much silence the link is tried.
    #[serde(default = "enquire", deserialize_with = "deserialize_duration")]
    pub(super) enquire_link_interval: Duration,
    /// The first wait before a lost link is made again.
    #[serde(default = "reconnect", deserialize_with = "deserialize_duration")]
    pub(super) reconnect_delay: Duration,
    /// The first wait after "too fast".
    #[serde(default = "reconnect", deserialize_with = "deserialize_duration")]
    pub(super) throttle_delay: Duration,
    /// Certificates to check the server's with, as PEM; the machine's own when left out.
    pub(super) ca: Option<String>,
}

/// How the moment is written after which a message is worth nothing any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ValidityFormat {
    /// As a time from now.
    #[default]
    Relative,
    /// As a time of day in UTC.
    Absolute,
    /// Not at all: the message centre decides.
    None,
}

/// What the alphabet with the number 0 is at a message centre.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum DefaultAlphabet {
    /// GSM 03.38, as on networks.
    #[default]
    Gsm,
    /// ISO 8859-1, as some servers have it.
    Latin1,
}

/// Where the message centre is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SmppEndpoint {
    pub host: String,
    pub port: u16,
    pub is_tls: bool,
}

fn one() -> u8 {
    1
}

fn window() -> usize {
    10
}

fn binds() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn enquire() -> Duration {
    Duration::from_secs(30)
}

fn reconnect() -> Duration {
    Duration::from_secs(1)
}

impl SmppSettings {
    /// Reads and checks everything, so that a start with wrong settings never comes to a send.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.validate().map_err(Error::usage)?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), String> {
        self.endpoint()?;
        SourceAddress::parse(self)?;
        StatusOutcomes::parse(&self.statuses)?;
        if self.system_id.is_empty() {
            return Err("system_id: is empty; write the name of the account".to_owned());
        }
        let words = [
            ("system_id", &self.system_id, 15),
            ("password", &self.password, 63),
            ("system_type", &self.system_type, 12),
            ("service_type", &self.service_type, 5),
        ];
        for (key, text, longest) in words {
            if text.len() > longest || !text.is_ascii() || text.contains(char::is_control) {
                return Err(format!("{key}: must be plain letters, at most {longest}"));
            }
        }
        if !(1..=WINDOW_MAX).contains(&self.window) {
            return Err(format!("window: must be from 1 to {WINDOW_MAX}"));
        }
        if !(1..=BINDS_MAX).contains(&self.binds) {
            return Err(format!("binds: must be from 1 to {BINDS_MAX}"));
        }
        let waits = [
            ("enquire_link", self.enquire_link_interval),
            ("reconnect", self.reconnect_delay),
            ("throttle", self.throttle_delay),
        ];
        match waits.iter().find(|(_, wait)| wait.is_zero()) {
            Some((key, _)) => Err(format!("{key}: must be longer than nothing")),
            None => Ok(()),
        }
    }

    /// Where it is. The error never shows the URL, which may hold a password.
    pub(super) fn endpoint(&self) -> Result<SmppEndpoint, String> {
        let remedy = "base_url: is no place; write smpp://HOST:PORT or, with TLS, smpps://HOST:PORT";
        let url = reqwest::Url::parse(self.base_url.trim()).map_err(|_| remedy.to_owned())?;
        let secure = match url.scheme() {
            "smpp" => false,
            "smpps" => true,
            _ => return Err(remedy.to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(
                "base_url: holds a name or password; write them as system_id and password".to_owned(),
            );
        }
        let host = url.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or_else(|| remedy.to_owned())?;
        Ok(SmppEndpoint {
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port().unwrap_or(if secure { 3550 } else { 2775 }),
            is_tls: secure,
        })
    }
}

impl fmt::Debug for SmppSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Settings")
            .field("place", &self.endpoint().ok())
            .field("system_id", &self.system_id)
            .field("window", &self.window)
            .field("binds", &self.binds)
            .finish_non_exhaustive()
    }
}
