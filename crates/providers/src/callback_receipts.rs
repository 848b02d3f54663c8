//! Parses receipts that a provider posts in a format of its own, as `[providers.NAME.receipts]` describes it.
//!
//! The caller is authenticated before anything else is examined. A status that the settings do not list is rejected by
//! name, so that the provider repeats the callback after the operator has added it.

mod field;
mod secrets;
mod settings;

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::Value;

use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::error::{Error, Result};
use postrider_core::inbound::CallbackItem;
use postrider_core::receipt::{Receipt, ReceiptStatus};

use crate::callback::{CallbackError, CallbackRequest};
use crate::json_path::JsonPath;
use crate::provider_text::{parse_reference, sanitize_text};
use field::{CallbackField, ParsedCallback};
use secrets::CallbackSecrets;
pub(crate) use settings::ReceiptSettings;

/// Parses the receipts of one provider.
pub(crate) struct CallbackReceiptParser {
    reference: CallbackField,
    status: CallbackField,
    reason: Option<CallbackField>,
    timestamp: Option<CallbackField>,
    list: Option<JsonPath>,
    status_meanings: BTreeMap<String, StatusMeaning>,
    secrets: CallbackSecrets,
}

/// The meaning of a provider's status.
#[derive(Clone, Copy, PartialEq, Eq)]
enum StatusMeaning {
    Delivered,
    Bounced,
    Invalid,
    Opened,
    Ignored,
}

impl CallbackReceiptParser {
    /// Parses the settings.
    ///
    /// # Errors
    ///
    /// `receipts.KEY: what is wrong`.
    pub fn new(settings: &ReceiptSettings) -> Result<Self> {
        Self::parse_settings(settings).map_err(|cause| Error::usage(format!("receipts.{cause}")))
    }

    fn parse_settings(settings: &ReceiptSettings) -> Result<Self, String> {
        let field =
            |key: &str, text: &str| CallbackField::parse(text).map_err(|cause| format!("{key}: {cause}"));
        let optional_field =
            |key: &str, text: &Option<String>| text.as_deref().map(|text| field(key, text)).transpose();
        let list = match settings.list.as_deref().map(|text| text.strip_prefix("json:")) {
            Some(Some(path)) => Some(JsonPath::parse(path)),
            Some(None) => return Err("list: is not a location in JSON; write json:PATH".to_owned()),
            None => None,
        };
        Ok(Self {
            reference: field("reference", &settings.reference)?,
            status: field("status", &settings.status)?,
            reason: optional_field("reason", &settings.reason)?,
            timestamp: optional_field("at", &settings.at)?,
            list,
            status_meanings: parse_status_meanings(settings)?,
            secrets: CallbackSecrets::parse(settings)?,
        })
    }

    /// Returns whether callbacks are authenticated.
    pub fn has_secrets(&self) -> bool {
        self.secrets.is_configured()
    }

    /// Parses a callback with the provider's parser; a provider without one has no callbacks.
    pub fn parse_callback(
        parser: Option<&Self>,
        request: &CallbackRequest,
    ) -> Result<Vec<CallbackItem>, CallbackError> {
        let receipts = parser.ok_or(CallbackError::NotSupported)?.parse(request)?;
        Ok(receipts.into_iter().map(CallbackItem::Receipt).collect())
    }

    /// Authenticates a callback and returns its receipts, except those whose status is ignored.
    pub fn parse(&self, request: &CallbackRequest) -> Result<Vec<Receipt>, CallbackError> {
        if !self.secrets.is_authenticated(request) {
            return Err(CallbackError::Unauthenticated);
        }
        let json: Option<Value> = serde_json::from_slice(&request.body).ok();
        let parse = |json| self.parse_receipt(&ParsedCallback { request, json });
        let Some(list) = &self.list else {
            return Ok(parse(json.as_ref())?.into_iter().collect());
        };
        let list = json.as_ref().and_then(|json| list.find(json)?.as_array());
        let list = list.ok_or_else(|| malformed("the list of receipts is missing"))?;
        if list.is_empty() {
            return Err(malformed("the list of receipts is empty"));
        }
        let receipts: Vec<_> = list.iter().map(|json| parse(Some(json))).collect::<Result<_, _>>()?;
        Ok(receipts.into_iter().flatten().collect())
    }

    fn parse_receipt(&self, callback: &ParsedCallback) -> Result<Option<Receipt>, CallbackError> {
        let Some(status) = callback.find(&self.status) else {
            return Err(malformed(&format!("no status at {}", self.status.config_text())));
        };
        let Some(meaning) = self.status_meanings.get(&status.trim().to_lowercase()) else {
            return Err(malformed(&format!("the status \"{}\" is unknown", sanitize_text(&status))));
        };
        let Some(status) = self.receipt_status(*meaning, &status, callback) else {
            return Ok(None);
        };
        let reference = callback.find(&self.reference);
        let Some(reference) = reference.and_then(|text| parse_reference(&text)) else {
            let location = self.reference.config_text();
            return Err(malformed(&format!("no message id at {location}")));
        };
        let at = self.timestamp.as_ref().and_then(|field| callback.find(field));
        let received_at = callback.request.received_at;
        // A provider's clock that is ahead must not put a receipt into the future.
        let at = at.and_then(|text| parse_timestamp(&text)).unwrap_or(received_at).min(received_at);
        Ok(Some(Receipt { reference, status, at }))
    }

    fn receipt_status(
        &self,
        meaning: StatusMeaning,
        status: &str,
        callback: &ParsedCallback,
    ) -> Option<ReceiptStatus> {
        let reason = || {
            let text = self.reason.as_ref().and_then(|field| callback.find(field));
            let text = text.map(|text| sanitize_text(&text)).filter(|text| !text.is_empty());
            text.unwrap_or_else(|| sanitize_text(status))
        };
        match meaning {
            StatusMeaning::Ignored => None,
            StatusMeaning::Delivered => Some(ReceiptStatus::Delivered),
            StatusMeaning::Opened => Some(ReceiptStatus::Opened),
            StatusMeaning::Bounced => Some(ReceiptStatus::Bounced { reason: reason() }),
            StatusMeaning::Invalid => Some(ReceiptStatus::Invalid { reason: reason() }),
        }
    }
}

fn malformed(message: &str) -> CallbackError {
    CallbackError::Malformed(message.to_owned())
}

fn parse_status_meanings(settings: &ReceiptSettings) -> Result<BTreeMap<String, StatusMeaning>, String> {
    let lists = [
        (&settings.delivered, StatusMeaning::Delivered),
        (&settings.bounced, StatusMeaning::Bounced),
        (&settings.invalid, StatusMeaning::Invalid),
        (&settings.opened, StatusMeaning::Opened),
        (&settings.ignored, StatusMeaning::Ignored),
    ];
    let mut meanings = BTreeMap::new();
    for (list, meaning) in lists {
        for status in list {
            let other = meanings.insert(status.trim().to_lowercase(), meaning);
            if other.is_some_and(|other| other != meaning) {
                return Err(format!("delivered to ignored: \"{status}\" is in two lists; leave it in one"));
            }
        }
    }
    if meanings.values().all(|meaning| *meaning == StatusMeaning::Ignored) {
        return Err("delivered: is missing; list the statuses for delivered, bounced or invalid".to_owned());
    }
    Ok(meanings)
}

/// Parses RFC 3339, or seconds or milliseconds since 1970.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    /// Numbers below are seconds (until the year 5138), others are milliseconds (since 1973).
    const SECONDS_MAX: i64 = 100_000_000_000;
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(number) if number < 0 => None,
        Ok(seconds) if seconds < SECONDS_MAX => Some(from_millis(seconds * 1000)),
        Ok(millis) => Some(from_millis(millis)),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
    }
}

#[cfg(test)]
mod tests;
