//! Parses receipts that a provider posts in a format of its own, as `[providers.NAME.receipts]` describes it.
//!
//! The caller is authenticated before anything else is examined. A callback with a status that the settings do not list
//! is rejected with the name of the status. The provider then repeats the callback after the operator has added the
//! status.

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
    list_path: Option<JsonPath>,
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
    /// Returns `receipts.KEY: PROBLEM` for an invalid setting.
    pub fn new(settings: &ReceiptSettings) -> Result<Self> {
        Self::parse_settings(settings).map_err(|cause| Error::usage(format!("receipts.{cause}")))
    }

    fn parse_settings(receipt_settings: &ReceiptSettings) -> Result<Self, String> {
        let parse_field = |key: &str, location: &String| {
            CallbackField::parse(location).map_err(|cause| format!("{key}: {cause}"))
        };
        let parse_optional_field = |key: &str, location: &Option<String>| {
            location.as_ref().map(|location| parse_field(key, location)).transpose()
        };
        let list_path = match receipt_settings.list.as_deref().map(|location| location.strip_prefix("json:"))
        {
            Some(Some(path)) => Some(JsonPath::parse(path)),
            Some(None) => return Err("list: is not a location in JSON; write json:PATH".to_owned()),
            None => None,
        };
        Ok(Self {
            reference: parse_field("reference", &receipt_settings.reference)?,
            status: parse_field("status", &receipt_settings.status)?,
            reason: parse_optional_field("reason", &receipt_settings.reason)?,
            timestamp: parse_optional_field("at", &receipt_settings.at)?,
            list_path,
            status_meanings: parse_status_meanings(receipt_settings)?,
            secrets: CallbackSecrets::parse(receipt_settings)?,
        })
    }

    /// Returns whether callbacks are authenticated.
    pub fn has_secrets(&self) -> bool {
        self.secrets.is_configured()
    }

    /// Parses a callback with the provider's parser. A provider without a parser has no callbacks.
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
        let body_json: Option<Value> = serde_json::from_slice(&request.body).ok();
        let parse = |json| self.parse_receipt(&ParsedCallback { request, json }).transpose();
        let Some(list_path) = &self.list_path else {
            return parse(body_json.as_ref()).into_iter().collect();
        };
        let receipt_list = body_json.as_ref().and_then(|json| list_path.find(json)?.as_array());
        let receipt_list = receipt_list.ok_or_else(|| malformed("the list of receipts is missing"))?;
        if receipt_list.is_empty() {
            return Err(malformed("the list of receipts is empty"));
        }
        receipt_list.iter().filter_map(|json| parse(Some(json))).collect()
    }

    fn parse_receipt(&self, callback: &ParsedCallback) -> Result<Option<Receipt>, CallbackError> {
        let Some(status) = callback.find(&self.status) else {
            return Err(malformed(&format!("no status at {}", self.status.location)));
        };
        let Some(meaning) = self.status_meanings.get(&status.trim().to_lowercase()) else {
            return Err(malformed(&format!("the status \"{}\" is unknown", sanitize_text(&status))));
        };
        let Some(status) = self.receipt_status(*meaning, &status, callback) else {
            return Ok(None);
        };
        let reference = callback.find(&self.reference);
        let Some(reference) = reference.and_then(|reference| parse_reference(&reference)) else {
            return Err(malformed(&format!("no message id at {}", self.reference.location)));
        };
        let timestamp = self.timestamp.as_ref().and_then(|field| callback.find(field));
        let reported_at = timestamp.and_then(|timestamp| parse_timestamp(&timestamp));
        let received_at = callback.request.received_at;
        // A provider's clock that is ahead must not put a receipt into the future.
        let receipt_at = reported_at.unwrap_or(received_at).min(received_at);
        Ok(Some(Receipt { reference, status, at: receipt_at }))
    }

    fn receipt_status(
        &self,
        meaning: StatusMeaning,
        status: &str,
        callback: &ParsedCallback,
    ) -> Option<ReceiptStatus> {
        let reason = || {
            let reason = self.reason.as_ref().and_then(|field| callback.find(field));
            let reason = reason.map(|reason| sanitize_text(&reason)).filter(|reason| !reason.is_empty());
            reason.unwrap_or_else(|| sanitize_text(status))
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

fn parse_status_meanings(
    receipt_settings: &ReceiptSettings,
) -> Result<BTreeMap<String, StatusMeaning>, String> {
    let status_lists = [
        (&receipt_settings.delivered, StatusMeaning::Delivered),
        (&receipt_settings.bounced, StatusMeaning::Bounced),
        (&receipt_settings.invalid, StatusMeaning::Invalid),
        (&receipt_settings.opened, StatusMeaning::Opened),
        (&receipt_settings.ignored, StatusMeaning::Ignored),
    ];
    let mut meanings = BTreeMap::new();
    for (statuses, meaning) in status_lists {
        for provider_status in statuses {
            let other_meaning = meanings.insert(provider_status.trim().to_lowercase(), meaning);
            if other_meaning.is_some_and(|other_meaning| other_meaning != meaning) {
                return Err(format!(
                    "delivered to ignored: \"{provider_status}\" is in two lists; leave it in one"
                ));
            }
        }
    }
    if meanings.values().all(|meaning| *meaning == StatusMeaning::Ignored) {
        return Err("delivered: is missing; list the statuses for delivered, bounced or invalid".to_owned());
    }
    Ok(meanings)
}

/// Parses a time in RFC 3339, or in seconds or milliseconds since 1970.
fn parse_timestamp(timestamp: &str) -> Option<Timestamp> {
    /// Smaller numbers are seconds (until the year 5138), larger numbers are milliseconds (since 1973).
    const SECONDS_MAX: i64 = 100_000_000_000;
    let timestamp = timestamp.trim();
    match timestamp.parse::<i64>() {
        Ok(..0) => None,
        Ok(seconds @ ..SECONDS_MAX) => Some(from_millis(seconds * 1000)),
        Ok(millis) => Some(from_millis(millis)),
        Err(_) => DateTime::parse_from_rfc3339(timestamp).ok().map(|time| time.to_utc()),
    }
}

#[cfg(test)]
mod tests;
