//! Settings of `kind = "fcm"`. The service account is the JSON file from Google.
//!
//! Validated when they are read, so that invalid settings stop the start and never a send. `Debug` shows no secret.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use crate::base_url::BaseUrl;
use crate::jwt::JwtKey;
use crate::settings_reader::read_table;
use postrider_core::error::{Error, Result};

const DEFAULT_BASE_URL: &str = "https://fcm.googleapis.com";

/// Settings of an FCM account.
#[derive(Clone)]
pub struct FcmSettings {
    pub(super) account: ServiceAccount,
    /// Project of the devices; default: that of the account.
    pub(super) project: String,
    /// URL of FCM.
    pub(super) base_url: BaseUrl,
    /// Title of messages without a subject.
    pub(super) title: Option<String>,
    /// Priority; `high` wakes the device.
    pub(super) priority: FcmPriority,
    /// Pending messages with the same key replace each other.
    pub(super) collapse_key: Option<String>,
    /// Notification channel of the Android app.
    pub(super) channel: Option<String>,
    /// Sound on Apple devices.
    pub(super) sound: Option<String>,
    /// Additional data for the app.
    pub(super) data: BTreeMap<String, String>,
    /// Token with which the app's server acknowledges messages; without it, acknowledgements are rejected.
    pub(super) receipts_token: Option<String>,
    /// Certificates in PEM format that may sign the server's; default: those of the operating system.
    pub(super) ca: Option<String>,
}

/// Priority of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum FcmPriority {
    High,
    Normal,
}

/// A Google service account.
#[derive(Clone)]
pub(super) struct ServiceAccount {
    pub email: String,
    pub key_id: String,
    pub key: String,
    /// `aud` of assertions: the token URL in the account file.
    pub audience: String,
    /// URL of the token server; default: the audience.
    pub token_url: BaseUrl,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FcmSettingsTable {
    service_account: String,
    project: Option<String>,
    base_url: Option<BaseUrl>,
    token_url: Option<BaseUrl>,
    title: Option<String>,
    priority: Option<FcmPriority>,
    collapse_key: Option<String>,
    channel: Option<String>,
    sound: Option<String>,
    #[serde(default)]
    data: BTreeMap<String, String>,
    receipts_token: Option<String>,
    ca: Option<String>,
}

/// Remedy in error messages.
const SERVICE_ACCOUNT_HINT: &str =
    "write service_account = \"${file:service-account.json}\", the whole file from Google";

impl FcmSettings {
    /// Parses and validates the settings.
    pub(crate) fn read(table: toml::Table) -> Result<Self> {
        let keys: FcmSettingsTable = read_table(table)?;
        let document: Value = serde_json::from_str(&keys.service_account)
            .map_err(|_| Error::usage(format!("service_account: is not JSON; {SERVICE_ACCOUNT_HINT}")))?;
        let account = parse_service_account(&document, keys.token_url)?;
        if let Some(name) = keys.data.keys().find(|name| is_reserved(name)) {
            return Err(Error::usage(format!(
                "data.{name}: gw_id, from and names that begin with gcm or google are reserved; choose another name"
            )));
        }
        let project = match keys.project {
            Some(project) => project,
            None => required_field(&document, "project_id")?,
        };
        Ok(Self {
            account,
            project,
            base_url: BaseUrl::configured_or(keys.base_url.as_ref(), DEFAULT_BASE_URL)?,
            title: keys.title,
            priority: keys.priority.unwrap_or(FcmPriority::High),
            collapse_key: keys.collapse_key,
            channel: keys.channel,
            sound: keys.sound,
            data: keys.data,
            receipts_token: keys.receipts_token,
            ca: keys.ca,
        })
    }
}

/// Returns whether FCM or this adapter reserves a name in `data`.
fn is_reserved(name: &str) -> bool {
    matches!(name, "from" | "gw_id") || name.starts_with("gcm") || name.starts_with("google")
}

fn parse_service_account(document: &Value, token_url: Option<BaseUrl>) -> Result<ServiceAccount> {
    let audience = required_field(document, "token_uri")?;
    let token_url = match token_url {
        Some(url) => url,
        None => BaseUrl::parse(&audience).map_err(|_| {
            Error::usage(format!("service_account: its token_uri is not a URL; {SERVICE_ACCOUNT_HINT}"))
        })?,
    };
    let key = required_field(document, "private_key")?;
    JwtKey::from_rsa_pem(&key).map_err(|error| {
        Error::usage(format!("service_account: its private_key {error}; {SERVICE_ACCOUNT_HINT}"))
    })?;
    Ok(ServiceAccount {
        email: required_field(document, "client_email")?,
        key_id: required_field(document, "private_key_id")?,
        key,
        audience,
        token_url,
    })
}

fn required_field(document: &Value, field: &str) -> Result<String> {
    let value = document.get(field).and_then(Value::as_str);
    let value = value.filter(|text| !text.is_empty()).map(str::to_owned);
    value.ok_or_else(|| Error::usage(format!("service_account: has no {field}; {SERVICE_ACCOUNT_HINT}")))
}

impl fmt::Debug for FcmSettings {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("FcmSettings")
            .field("project", &self.project)
            .field("base_url", &self.base_url.endpoint())
            .finish_non_exhaustive()
    }
}
