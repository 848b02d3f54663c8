//! Parses the settings of a kind from its configuration table.
//!
//! Every error names the key and never shows a value, which could be a secret.

use std::time::Duration;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};

use postrider_core::address::AddressKind;
use postrider_core::duration::{NOT_A_DURATION, parse_duration};
use postrider_core::error::{Error, Result};

/// The keys that every kind has, for the error about an unknown key. The configuration reads them before the adapter.
const COMMON_KEYS: &str = "kind, enabled, rate, concurrency, connect_timeout, timeout, breaker_failure_threshold, \
                           breaker_open_duration";

/// Deserialises the settings of a kind.
///
/// # Errors
///
/// `KEY: what is wrong`, without the value.
pub(crate) fn read_table<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    read_inner_table(table).map_err(|error| {
        let message = error.to_string();
        // The path of an unknown key of an inner table begins with that table.
        let key = message.split(':').next().unwrap_or_default();
        let is_own_key = message.starts_with("unknown field")
            || message.starts_with(&format!("{key}: unknown field `{key}`"));
        if is_own_key {
            Error::usage(format!("{message}; keys of every provider: {COMMON_KEYS}"))
        } else {
            error
        }
    })
}

/// Deserialises a table within the settings of a kind, which has no common keys.
///
/// # Errors
///
/// As [`read_table`].
pub(crate) fn read_inner_table<T: DeserializeOwned>(table: toml::Table) -> Result<T> {
    serde_path_to_error::deserialize(table).map_err(|error| {
        let (key_path, message) = (error.path().to_string(), error.inner().message());
        Error::usage(if key_path == "." { message.to_owned() } else { format!("{key_path}: {message}") })
    })
}

/// Deserialises `"500ms"`, `"30s"` or `"1h 30m"`.
pub(crate) fn deserialize_duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let duration = String::deserialize(deserializer)?;
    parse_duration(&duration).map_err(|_| D::Error::custom(NOT_A_DURATION))
}

/// Deserialises a duration of an optional key.
pub(crate) fn deserialize_optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    deserialize_duration(deserializer).map(Some)
}

/// Deserialises an address kind: `"phone"`, `"email"`, … or `"any"`.
pub(crate) fn deserialize_address_kind<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<AddressKind, D::Error> {
    let kind_name = String::deserialize(deserializer)?;
    AddressKind::parse(&kind_name).ok_or_else(|| {
        let kind_names = AddressKind::ALL.map(AddressKind::as_str).join(", ");
        D::Error::custom(format!("unknown address kind; write one of: {kind_names}"))
    })
}

/// Returns the address kind of a provider whose settings name none.
pub(crate) fn default_address_kind() -> AddressKind {
    AddressKind::Any
}

/// Checks that a required text is not empty.
pub(crate) fn require_not_empty(key: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::usage(format!("{key}: is empty; copy it from the provider's console")));
    }
    Ok(())
}
