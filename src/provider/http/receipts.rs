//! Reads a provider's receipts out of its calls to us, once it is sure who calls.
//!
//! A call comes from anybody: the secret is compared in constant time and before anything else is looked at,
//! and a status word nobody configured is refused by name, so that the provider tries again after it is.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde_json::Value;

use super::json::Path;
use super::secrets::Secrets;
use super::settings::ReceiptSettings;
use crate::clock::{Timestamp, from_millis};
use crate::domain::receipt::{Receipt, Verdict};
use crate::error::{Error, Result};
use crate::provider::reading::{reference, words};
use crate::provider::{Call, Refusal};

/// Reads one provider's receipts.
pub(in crate::provider) struct Reader {
    reference: Place,
    status: Place,
    reason: Option<Place>,
    at: Option<Place>,
    list: Option<Path>,
    meanings: BTreeMap<String, Meaning>,
    secrets: Secrets,
}

/// What a status word means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Delivered,
    Bounced,
    Invalid,
    Opened,
    Ignored,
}

/// Where in a call something is found.
enum Place {
    Json(Path),
    Form(String),
    Query(String),
    Header(String),
    Any(String, Path),
}

/// A call, or one of the receipts in it.
struct Reading<'a> {
    call: &'a Call,
    json: Option<&'a Value>,
}

impl Reader {
    /// Reads the settings.
    pub(super) fn read(settings: &ReceiptSettings) -> Result<Self> {
        read(settings).map_err(|cause| Error::usage(format!("receipts.{cause}")))
    }

    /// Whether a call without a secret is turned away.
    pub fn asks_for_secrets(&self) -> bool {
        self.secrets.are_any()
    }

    /// The receipts in a call, none when all of them say what changes nothing.
    pub fn receipts(&self, call: &Call) -> Result<Vec<Receipt>, Refusal> {
        if !self.secrets.are_known_to(call) {
            return Err(Refusal::Forged);
        }
        let json: Option<Value> = serde_json::from_slice(&call.body).ok();
        let Some(list) = &self.list else {
            let reading = Reading {
                call,
                json: json.as_ref(),
            };
            return Ok(self.receipt(&reading)?.into_iter().collect());
        };
        let list = json
            .as_ref()
            .and_then(|json| list.find(json))
            .and_then(Value::as_array);
        let list = list.ok_or_else(|| unreadable("there is no list of receipts where one should be"))?;
        if list.is_empty() {
            return Err(unreadable("the list of receipts is empty"));
        }
        let receipts = list.iter().map(|json| {
            self.receipt(&Reading {
                call,
                json: Some(json),
            })
        });
        Ok(receipts
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .flatten()
            .collect())
    }

    fn receipt(&self, reading: &Reading) -> Result<Option<Receipt>, Refusal> {
        let status = reading.find(&self.status);
        let status =
            status.ok_or_else(|| unreadable(&format!("there is no status at {}", self.status.text())))?;
        let Some(meaning) = self.meanings.get(&status.trim().to_lowercase()) else {
            return Err(unreadable(&format!(
                "the status \"{}\" is unknown",
                words(&status)
            )));
        };
        let reason = || {
            let found = self.reason.as_ref().and_then(|place| reading.find(place));
            found
                .map(|reason| words(&reason))
                .filter(|reason| !reason.is_empty())
                .unwrap_or_else(|| words(&status))
        };
        let verdict = match meaning {
            Meaning::Ignored => return Ok(None),
            Meaning::Delivered => Verdict::Delivered,
            Meaning::Opened => Verdict::Opened,
            Meaning::Bounced => Verdict::Bounced { reason: reason() },
            Meaning::Invalid => Verdict::Invalid { reason: reason() },
        };
        let found = reading.find(&self.reference).and_then(|text| reference(&text));
        let reference = found
            .ok_or_else(|| unreadable(&format!("there is no message id at {}", self.reference.text())))?;
        let at = self.at.as_ref().and_then(|place| moment(&reading.find(place)?));
        let heard_at = reading.call.heard_at;
        // A clock that runs ahead must not put a receipt into our future.
        Ok(Some(Receipt {
            reference,
            verdict,
            at: at.unwrap_or(heard_at).min(heard_at),
        }))
    }
}

fn unreadable(what: &str) -> Refusal {
    Refusal::Unreadable(what.to_owned())
}

fn read(settings: &ReceiptSettings) -> Result<Reader, String> {
    let place = |key: &str, text: &str| Place::read(text).map_err(|cause| format!("{key}: {cause}"));
    let place_if_any =
        |key: &str, text: &Option<String>| text.as_deref().map(|text| place(key, text)).transpose();
    let list = match settings.list.as_deref().map(|text| text.strip_prefix("json:")) {
        Some(Some(path)) => Some(Path::read(path)),
        Some(None) => return Err("list: is not a place in JSON; write json:PATH".to_owned()),
        None => None,
    };
    Ok(Reader {
        reference: place("reference", &settings.reference)?,
        status: place("status", &settings.status)?,
        reason: place_if_any("reason", &settings.reason)?,
        at: place_if_any("at", &settings.at)?,
        list,
        meanings: meanings(settings)?,
        secrets: Secrets::read(settings)?,
    })
}

fn meanings(settings: &ReceiptSettings) -> Result<BTreeMap<String, Meaning>, String> {
    let lists = [
        (&settings.delivered, Meaning::Delivered),
        (&settings.bounced, Meaning::Bounced),
        (&settings.invalid, Meaning::Invalid),
        (&settings.opened, Meaning::Opened),
        (&settings.ignored, Meaning::Ignored),
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
    if meanings.values().all(|meaning| *meaning == Meaning::Ignored) {
        return Err(
            "delivered: is missing; say which status words mean delivered, bounced or invalid".to_owned(),
        );
    }
    Ok(meanings)
}

/// The first field of that name in a form or query.
pub(super) fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

impl Place {
    fn read(text: &str) -> Result<Self, String> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match kind {
            "json" => Ok(Self::Json(Path::read(name))),
            _ if name.is_empty() => Err(place_remedy()),
            "form" => Ok(Self::Form(name.to_owned())),
            "query" => Ok(Self::Query(name.to_owned())),
            "header" => Ok(Self::Header(name.to_ascii_lowercase())),
            "any" => Ok(Self::Any(name.to_owned(), Path::read(name))),
            _ => Err(place_remedy()),
        }
    }

    /// As it is configured, for the provider's developer.
    fn text(&self) -> String {
        match self {
            Self::Json(path) => format!("json:{path}"),
            Self::Form(name) => format!("form:{name}"),
            Self::Query(name) => format!("query:{name}"),
            Self::Header(name) => format!("header:{name}"),
            Self::Any(name, _) => format!("any:{name}"),
        }
    }
}

fn place_remedy() -> String {
    "is not a place in a receipt; write json:PATH, form:NAME, query:NAME, header:NAME or any:NAME".to_owned()
}

impl Reading<'_> {
    fn find(&self, place: &Place) -> Option<String> {
        let call = self.call;
        match place {
            Place::Json(path) => path.text(self.json?),
            Place::Form(name) => field(&call.body, name),
            Place::Query(name) => field(call.query.as_bytes(), name),
            Place::Header(name) => call.headers.get(name).cloned(),
            Place::Any(name, path) => match self.json {
                Some(json) => path.text(json),
                None => field(&call.body, name),
            }
            .or_else(|| field(call.query.as_bytes(), name)),
        }
    }
}

/// A moment as providers write it.
fn moment(text: &str) -> Option<Timestamp> {
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
