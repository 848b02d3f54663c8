//! Settings of `kind = "smpp"`.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send.

use std::collections::BTreeMap;
use std::time::Duration;

use postrider_smpp::alphabet::DefaultAlphabet;
use postrider_smpp::client::{ClientConfig, SmppEndpoint, WINDOW_SIZE_MAX};
use postrider_smpp::message_id::MessageIdFormat;
use postrider_smpp::pdu::BindRequest;
use postrider_smpp::source_address::SourceAddress;
use postrider_smpp::submit::{SubmitOptions, ValidityFormat};
use serde::Deserialize;

use super::codes::StatusOutcomes;
use super::receipts::ReceiptStateKind;
use crate::AdapterContext;
use crate::outcome_kind::OutcomeKind;
use crate::settings_reader::{deserialize_duration, read_table};
use crate::tls::{self, RootCertificates};
use postrider_core::error::{Error, Result};

/// Maximum number of connections to one account.
const SMPP_BINDS_MAX: usize = 16;

/// Default ports of SMPP without and with TLS.
const SMPP_PORT: u16 = 2775;
const SMPP_TLS_PORT: u16 = 3550;

/// Settings of an SMPP account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmppSettings {
    /// `smpp://HOST:PORT`, or `smpps://HOST:PORT` with TLS. Default ports: 2775 and 3550.
    pub(super) base_url: String,
    /// Name of the account.
    pub(super) system_id: String,
    /// Password of the account.
    #[serde(default)]
    pub(super) password: String,
    /// Type of the client system, where an SMSC requires one.
    #[serde(default)]
    pub(super) system_type: String,
    /// Sender: up to 11 letters and digits, a number, or a short code.
    pub(super) from: String,
    /// Type of number of the sender; default: the type that follows from its form.
    pub(super) from_ton: Option<u8>,
    /// Numbering plan of the sender; default: the plan that follows from its form.
    pub(super) from_npi: Option<u8>,
    /// Type of number of recipients.
    #[serde(default = "default_ton_npi")]
    pub(super) to_ton: u8,
    /// Numbering plan of recipients.
    #[serde(default = "default_ton_npi")]
    pub(super) to_npi: u8,
    /// Service type, where an SMSC requires one.
    #[serde(default)]
    pub(super) service_type: String,
    /// Maximum number of unanswered messages on one connection.
    #[serde(default = "default_window")]
    pub(super) window: usize,
    /// Number of connections.
    #[serde(default = "default_binds")]
    pub(super) binds: usize,
    /// Request delivery receipts.
    #[serde(default = "default_true")]
    pub(super) receipts: bool,
    /// Format of the expiry of messages.
    #[serde(default)]
    pub(super) validity_period: ValidityFormat,
    /// Alphabet of `data_coding` 0.
    #[serde(default)]
    pub(super) default_alphabet: DefaultAlphabet,
    /// Number formats of message ids.
    #[serde(default)]
    pub(super) message_id_format: MessageIdFormat,
    /// Network errors in receipts with the meaning that the number does not exist.
    #[serde(default)]
    pub(super) invalid_errors: Vec<String>,
    /// Meanings of states in receipts: `"NOSUCH" = "invalid"`.
    #[serde(default)]
    pub(super) receipt_states: BTreeMap<String, ReceiptStateKind>,
    /// Name of another provider that is an account at the same SMSC. The receipt of a message may then arrive over the
    /// connection of either account.
    pub(super) shares_ids_with: Option<String>,
    /// Outcomes of vendor statuses: `"0x0411" = "rejected"`.
    #[serde(default)]
    pub(super) statuses: BTreeMap<String, OutcomeKind>,
    /// Silence after which the connection is tested.
    #[serde(default = "default_enquire_link_interval", deserialize_with = "deserialize_duration")]
    pub(super) enquire_link_interval: Duration,
    /// First delay before a lost connection is opened again.
    #[serde(default = "default_delay", deserialize_with = "deserialize_duration")]
    pub(super) reconnect_delay: Duration,
    /// First pause after the SMSC refused a message as too fast.
    #[serde(default = "default_delay", deserialize_with = "deserialize_duration")]
    pub(super) throttle_delay: Duration,
    /// Certificates in PEM format that may sign the server's certificate; default: those of the operating system.
    pub(super) ca: Option<String>,
}

fn default_ton_npi() -> u8 {
    1
}

fn default_window() -> usize {
    10
}

fn default_binds() -> usize {
    1
}

fn default_true() -> bool {
    true
}

fn default_enquire_link_interval() -> Duration {
    Duration::from_secs(30)
}

fn default_delay() -> Duration {
    Duration::from_secs(1)
}

impl SmppSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let settings: Self = read_table(table)?;
        settings.validate().map_err(Error::usage)?;
        Ok(settings)
    }

    fn validate(&self) -> Result<(), String> {
        self.endpoint()?;
        self.source()?;
        StatusOutcomes::parse(&self.statuses)?;
        if self.system_id.is_empty() {
            return Err("system_id: is empty; write the name of the account".to_owned());
        }
        let texts_and_lengths = [
            ("system_id", &self.system_id, 15),
            ("password", &self.password, 63),
            ("system_type", &self.system_type, 12),
            ("service_type", &self.service_type, 5),
        ];
        for (key, text, length_max) in texts_and_lengths {
            if text.len() > length_max || !text.is_ascii() || text.contains(char::is_control) {
                return Err(format!("{key}: must be at most {length_max} ASCII characters"));
            }
        }
        if !(1..=WINDOW_SIZE_MAX).contains(&self.window) {
            return Err(format!("window: must be from 1 to {WINDOW_SIZE_MAX}"));
        }
        if !(1..=SMPP_BINDS_MAX).contains(&self.binds) {
            return Err(format!("binds: must be from 1 to {SMPP_BINDS_MAX}"));
        }
        let durations = [
            ("enquire_link_interval", self.enquire_link_interval),
            ("reconnect_delay", self.reconnect_delay),
            ("throttle_delay", self.throttle_delay),
        ];
        match durations.iter().find(|(_, duration)| duration.is_zero()) {
            Some((key, _)) => Err(format!("{key}: must be longer than 0s")),
            None => Ok(()),
        }
    }

    /// Returns the settings of the sessions.
    pub(super) fn client_config(&self, context: &AdapterContext) -> Result<ClientConfig> {
        let endpoint = self.endpoint().map_err(Error::usage)?;
        let roots = match &self.ca {
            Some(pem) => RootCertificates::Pem(pem),
            None => RootCertificates::System,
        };
        let tls = endpoint.is_tls.then(|| tls::connector(&roots, "ca"));
        let bind = BindRequest {
            system_id: &self.system_id,
            password: &self.password,
            system_type: &self.system_type,
        };
        Ok(ClientConfig {
            name: context.name.to_string(),
            endpoint,
            tls: tls.transpose()?,
            bind_body: bind.encode_body(),
            binds: self.binds,
            window_size: self.window,
            enquire_link_interval: self.enquire_link_interval,
            reconnect_delay: self.reconnect_delay,
            throttle_delay: self.throttle_delay,
            connect_timeout: context.limits.connect_timeout,
            response_timeout: context.limits.call_timeout,
        })
    }

    /// Returns the settings of the message encoder.
    pub(super) fn submit_options(&self) -> Result<SubmitOptions> {
        Ok(SubmitOptions {
            source: self.source().map_err(Error::usage)?,
            service_type: self.service_type.clone(),
            dest_ton: self.to_ton,
            dest_npi: self.to_npi,
            wants_receipts: self.receipts,
            validity_format: self.validity_period,
            default_alphabet: self.default_alphabet,
        })
    }

    fn source(&self) -> Result<SourceAddress, String> {
        SourceAddress::parse(&self.from, self.from_ton, self.from_npi)
            .map_err(|error| format!("from: {error}"))
    }

    /// Parses the URL. The error never contains it, because it may hold a password.
    fn endpoint(&self) -> Result<SmppEndpoint, String> {
        const INVALID_URL: &str =
            "base_url: is not a URL of an SMSC; write smpp://HOST:PORT or, with TLS, smpps://HOST:PORT";
        let url = reqwest::Url::parse(self.base_url.trim()).map_err(|_| INVALID_URL)?;
        let (is_tls, default_port) = match url.scheme() {
            "smpp" => (false, SMPP_PORT),
            "smpps" => (true, SMPP_TLS_PORT),
            _ => return Err(INVALID_URL.to_owned()),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err("base_url: holds a name or password; write them as system_id and password".to_owned());
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(INVALID_URL)?;
        Ok(SmppEndpoint {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(default_port),
            is_tls,
        })
    }
}
