//! Reads a provider's receipts out of its calls to us, once it is sure who calls.
//!
//! A call comes from anybody: the secret is compared in constant time and before anything else is looked at,
//! and a status word nobody configured is refused by name, so that the provider tries again after it is.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::Value;

use super::callback_secrets::CallbackSecrets;
use super::json_path::JsonPath;
use super::settings::ReceiptSettings;
use crate::settings_reader::{parse_reference, sanitize_text};
use crate::{CallbackError, CallbackRequest};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::error::{Error, Result};
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// Reads one provider's receipts.
pub(crate) struct CallbackReceiptParser {
    reference: CallbackField,
    status: CallbackField,
    reason: Option<CallbackField>,
    timestamp: Option<CallbackField>,
    list: Option<JsonPath>,
    status_meanings: BTreeMap<String, ReceiptStatusMeaning>,
    secrets: CallbackSecrets,
}

/// What a status word means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReceiptStatusMeaning {
    Delivered,
    Bounced,
    Invalid,
    Opened,
    Ignored,
}

/// Where in a call something is found.
enum CallbackField {
    Json(JsonPath),
    Form(String),
    Query(String),
    Header(String),
    Any(String, JsonPath),
}

/// A call, or one of the receipts in it.
struct ParsedCallback<'a> {
    callback: &'a CallbackRequest,
    json: Option<&'a Value>,
}

impl CallbackReceiptParser {
    /// Reads the settings.
    pub(super) fn new(settings: &ReceiptSettings) -> Result<Self> {
        parse_settings(settings).map_err(|cause| Error::usage(format!("receipts.{cause}")))
    }

    /// Whether a call without a secret is turned away.
    pub fn has_secrets(&self) -> bool {
        self.secrets.is_configured()
    }

    /// The receipts in a call, none when all of them say what changes nothing.
    pub fn parse(&self, call: &CallbackRequest) -> Result<Vec<Receipt>, CallbackError> {
        if !self.secrets.is_authenticated(call) {
            return Err(CallbackError::Unauthenticated);
        }
        let json: Option<Value> = serde_json::from_slice(&call.body).ok();
        let Some(list) = &self.list else {
            let reading = ParsedCallback {
                callback: call,
                json: json.as_ref(),
            };
            return Ok(self.parse_receipt(&reading)?.into_iter().collect());
        };
        let list = json
            .as_ref()
            .and_then(|json| list.find(json))
            .and_then(Value::as_array);
        let list = list.ok_or_else(|| malformed("there is no list of receipts where one should be"))?;
        if list.is_empty() {
            return Err(malformed("the list of receipts is empty"));
        }
        let receipts = list.iter().map(|json| {
            self.parse_receipt(&ParsedCallback {
                callback: call,
                json: Some(json),
            })
        });
        Ok(receipts
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn parse_receipt(&self, reading: &ParsedCallback) -> Result<Option<Receipt>, CallbackError> {
        let status = reading.find(&self.status);
        let status = status
            .ok_or_else(|| malformed(&format!("there is no status at {}", self.status.config_text())))?;
        let Some(meaning) = self.status_meanings.get(&status.trim().to_lowercase()) else {
            return Err(malformed(&format!(
                "the status \"{}\" is unknown",
                sanitize_text(&status)
            )));
        };
        let reason = || {
            let found = self.reason.as_ref().and_then(|place| reading.find(place));
            found
                .map(|reason| sanitize_text(&reason))
                .filter(|reason| !reason.is_empty())
                .unwrap_or_else(|| sanitize_text(&status))
        };
        let verdict = match meaning {
            ReceiptStatusMeaning::Ignored => return Ok(None),
            ReceiptStatusMeaning::Delivered => ReceiptStatus::Delivered,
            ReceiptStatusMeaning::Opened => ReceiptStatus::Opened,
            ReceiptStatusMeaning::Bounced => ReceiptStatus::Bounced { reason: reason() },
            ReceiptStatusMeaning::Invalid => ReceiptStatus::Invalid { reason: reason() },
        };
        let found = reading
            .find(&self.reference)
            .and_then(|text| parse_reference(&text));
        let reference = found.ok_or_else(|| {
            malformed(&format!(
                "there is no message id at {}",
                self.reference.config_text()
            ))
        })?;
        let at = self
            .timestamp
            .as_ref()
            .and_then(|place| parse_timestamp(&reading.find(place)?));
        let heard_at = reading.callback.received_at;
        // A clock that runs ahead must not put a receipt into our future.
        Ok(Some(Receipt {
            reference,
            status: verdict,
            at: at.unwrap_or(heard_at).min(heard_at),
        }))
    }
}

fn malformed(what: &str) -> CallbackError {
    CallbackError::Malformed(what.to_owned())
}

fn parse_settings(settings: &ReceiptSettings) -> Result<CallbackReceiptParser, String> {
    let place = |key: &str, text: &str| CallbackField::parse(text).map_err(|cause| format!("{key}: {cause}"));
    let place_if_any =
        |key: &str, text: &Option<String>| text.as_deref().map(|text| place(key, text)).transpose();
    let list = match settings.list.as_deref().map(|text| text.strip_prefix("json:")) {
        Some(Some(path)) => Some(JsonPath::parse(path)),
        Some(None) => return Err("list: is not a place in JSON; write json:PATH".to_owned()),
        None => None,
    };
    Ok(CallbackReceiptParser {
        reference: place("reference", &settings.reference)?,
        status: place("status", &settings.status)?,
        reason: place_if_any("reason", &settings.reason)?,
        timestamp: place_if_any("at", &settings.at)?,
        list,
        status_meanings: parse_status_meanings(settings)?,
        secrets: CallbackSecrets::parse(settings)?,
    })
}

fn parse_status_meanings(
    settings: &ReceiptSettings,
) -> Result<BTreeMap<String, ReceiptStatusMeaning>, String> {
    let lists = [
        (&settings.delivered, ReceiptStatusMeaning::Delivered),
        (&settings.bounced, ReceiptStatusMeaning::Bounced),
        (&settings.invalid, ReceiptStatusMeaning::Invalid),
        (&settings.opened, ReceiptStatusMeaning::Opened),
        (&settings.ignored, ReceiptStatusMeaning::Ignored),
    ];
    let mut meanings = BTreeMap::new();
    for (list, meaning) in lists {
        for word in list {
            let other = meanings.insert(word.trim().to_lowercase(), meaning);
            if other.is_some_and(|other| other != meaning) {
                return Err(format!(
                    "delivered to ignored: \"{word}\" stands in two lists; leave it in one"
                ));
            }
        }
    }
    if meanings
        .values()
        .all(|meaning| *meaning == ReceiptStatusMeaning::Ignored)
    {
        return Err(
            "delivered: is missing; say which status words mean delivered, bounced or invalid".to_owned(),
        );
    }
    Ok(meanings)
}

/// The first field of that name in a form or query.
pub(super) fn form_field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

impl CallbackField {
    fn parse(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "json" => Ok(Self::Json(JsonPath::parse(name))),
            _ if name.is_empty() => Err(invalid_field_message()),
            "form" => Ok(Self::Form(name.to_owned())),
            "query" => Ok(Self::Query(name.to_owned())),
            "header" => Ok(Self::Header(name.to_ascii_lowercase())),
            "any" => Ok(Self::Any(name.to_owned(), JsonPath::parse(name))),
            _ => Err(invalid_field_message()),
        }
    }

    /// As it is configured, for the provider's developer.
    fn config_text(&self) -> String {
        match self {
            Self::Json(path) => format!("json:{path}"),
            Self::Form(name) => format!("form:{name}"),
            Self::Query(name) => format!("query:{name}"),
            Self::Header(name) => format!("header:{name}"),
            Self::Any(name, _) => format!("any:{name}"),
        }
    }
}

fn invalid_field_message() -> String {
    "is not a place in a receipt; write json:PATH, form:NAME, query:NAME, header:NAME or any:NAME".to_owned()
}

impl ParsedCallback<'_> {
    fn find(&self, place: &CallbackField) -> Option<String> {
        let call = self.callback;
        match place {
            CallbackField::Json(path) => path.text(self.json?),
            CallbackField::Form(name) => form_field(&call.body, name),
            CallbackField::Query(name) => form_field(call.query.as_bytes(), name),
            CallbackField::Header(name) => call.headers.get(name).cloned(),
            CallbackField::Any(name, path) => match self.json {
                Some(json) => path.text(json),
                None => form_field(&call.body, name),
            }
            .or_else(|| form_field(call.query.as_bytes(), name)),
        }
    }
}

/// A moment as providers write it.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    /// Beyond any year of seconds, before any recent year of milliseconds.
    const SECONDS_MAX: i64 = 100_000_000_000;
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(number) if number < 0 => None,
        Ok(seconds) if seconds < SECONDS_MAX => Some(from_millis(seconds * 1000)),
        Ok(millis) => Some(from_millis(millis)),
        Err(_) => DateTime::parse_from_rfc3339(text)
            .ok()
            .map(|moment| moment.to_utc()),
    }
}

#[cfg(test)]
mod tests;
