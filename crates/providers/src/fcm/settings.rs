//! The settings of `kind = "fcm"`. The service account is the JSON file from Google.
//!
//! Invalid settings stop the start of the gateway, never a send.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use postrider_core::error::{Error, Result};

use crate::base_url::BaseUrl;
use crate::jwt::JwtKey;
use crate::settings_reader::read_table;

const DEFAULT_BASE_URL: &str = "https://fcm.googleapis.com";

/// The remedy in error messages.
const SERVICE_ACCOUNT_HINT: &str =
    "write service_account = \"${file:service-account.json}\", the whole file from Google";

/// An FCM account.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FcmSettings {
    #[serde(deserialize_with = "deserialize_service_account")]
    pub(super) service_account: ServiceAccount,
    /// The project of the devices. The default is the project of the service account.
    project: Option<String>,
    base_url: Option<BaseUrl>,
    /// The URL of the token server. The default is the `token_uri` of the service account.
    token_url: Option<BaseUrl>,
    /// The title of messages without a subject.
    pub(super) title: Option<String>,
    /// The priority of messages.
    #[serde(default)]
    pub(super) priority: FcmPriority,
    /// Pending messages with the same key replace each other.
    pub(super) collapse_key: Option<String>,
    /// The notification channel of the Android app.
    pub(super) channel: Option<String>,
    /// The sound on Apple devices.
    pub(super) sound: Option<String>,
    /// Additional data for the app.
    #[serde(default)]
    pub(super) data: BTreeMap<String, String>,
    /// The token with which the app's server acknowledges messages. Without it acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// The only certificate authorities that may sign the server's certificate, in PEM. The default is this machine's.
    pub(super) ca: Option<String>,
}

impl FcmSettings {
    /// Parses and checks the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let fcm_settings: Self = read_table(table)?;
        if let Some(data_name) = fcm_settings.data.keys().find(|data_name| is_reserved(data_name)) {
            return Err(Error::usage(format!(
                "data.{data_name}: gw_id, from and names that begin with gcm or google are reserved; choose another name"
            )));
        }
        fcm_settings.token_url()?;
        fcm_settings.project()?;
        Ok(fcm_settings)
    }

    /// Returns the base URL of the API.
    pub(super) fn base_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.base_url.as_ref(), DEFAULT_BASE_URL)
    }

    /// Returns the URL of the token server.
    pub(super) fn token_url(&self) -> Result<BaseUrl> {
        BaseUrl::configured_or(self.token_url.as_ref(), &self.service_account.token_uri).map_err(|_| {
            Error::usage(format!("service_account: its token_uri is not a URL; {SERVICE_ACCOUNT_HINT}"))
        })
    }

    /// Returns the project of the devices.
    pub(super) fn project(&self) -> Result<&str> {
        let project = self.project.as_ref().or(self.service_account.project_id.as_ref());
        project.map(String::as_str).ok_or_else(|| {
            Error::usage(format!("service_account: has no project_id; {SERVICE_ACCOUNT_HINT}"))
        })
    }
}

/// Returns whether FCM or this adapter reserves a name in `data`.
fn is_reserved(name: &str) -> bool {
    matches!(name, "from" | "gw_id") || name.starts_with("gcm") || name.starts_with("google")
}

/// The priority of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FcmPriority {
    /// Wakes the device.
    #[default]
    High,
    Normal,
}

/// A Google service account, with the names of Google's file.
#[derive(Clone)]
pub(super) struct ServiceAccount {
    pub client_email: String,
    pub private_key_id: String,
    /// An RSA key in PEM.
    pub private_key: String,
    /// The token server, and the audience of assertions.
    pub token_uri: String,
    project_id: Option<String>,
}

/// Deserialises a text with the JSON of Google's file.
fn deserialize_service_account<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<ServiceAccount, D::Error> {
    let account_json = String::deserialize(deserializer)?;
    let account = parse_service_account(&account_json);
    account.map_err(|cause| D::Error::custom(format!("{cause}; {SERVICE_ACCOUNT_HINT}")))
}

fn parse_service_account(account_json: &str) -> Result<ServiceAccount, String> {
    let document: Value = serde_json::from_str(account_json).map_err(|_| "is not JSON".to_owned())?;
    let optional = |field: &str| document[field].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let required = |field: &str| optional(field).ok_or_else(|| format!("has no {field}"));
    let private_key = required("private_key")?;
    JwtKey::from_rsa_pem(&private_key).map_err(|cause| format!("its private_key {cause}"))?;
    Ok(ServiceAccount {
        client_email: required("client_email")?,
        private_key_id: required("private_key_id")?,
        private_key,
        token_uri: required("token_uri")?,
        project_id: optional("project_id"),
    })
}
