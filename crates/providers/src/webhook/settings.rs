//! The settings of `kind = "webhook"`.
//!
//! Secrets, networks and the URL are checked here, so that a wrong setting is found at the start.

use reqwest::Url;
use serde::Deserialize;

use postrider_core::error::{Error, Result};

use super::client::parse_url;
use super::signature::SigningSecrets;
use crate::egress_policy::EgressPolicy;
use crate::settings_reader::read_table;

/// A webhook provider. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    pub(super) url: Option<Url>,
    pub(super) secrets: SigningSecrets,
    pub(super) egress_policy: EgressPolicy,
}

/// The keys in the configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookSettingsTable {
    /// The endpoint of every message. Without it, messages go to the recipient's address.
    url: Option<String>,
    /// Secrets with the prefix `whsec_` and Base64, the newest first. There are several while endpoints change to a new
    /// secret.
    secrets: Vec<String>,
    /// Networks that may be called although they are not public, also over http and on any port.
    #[serde(default)]
    networks: Vec<String>,
    /// Ports of public addresses that may be called.
    #[serde(default = "default_ports")]
    ports: Vec<u16>,
}

fn default_ports() -> Vec<u16> {
    vec![443]
}

impl WebhookSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(webhook_table: toml::Table) -> Result<Self> {
        let webhook_table: WebhookSettingsTable = read_table(webhook_table)?;
        let with_key = |key: &'static str| move |cause: String| Error::usage(format!("{key}: {cause}"));
        let secrets = SigningSecrets::parse(&webhook_table.secrets).map_err(with_key("secrets"))?;
        if secrets.is_empty() {
            return Err(Error::usage("secrets: is empty; endpoints could not authenticate the calls"));
        }
        let egress_policy = EgressPolicy::parse(&webhook_table.networks, &webhook_table.ports)
            .map_err(with_key("networks"))?;
        let url = webhook_table.url.as_deref().map(|url| parse_url(&egress_policy, url));
        Ok(Self { url: url.transpose().map_err(with_key("url"))?, secrets, egress_policy })
    }
}
