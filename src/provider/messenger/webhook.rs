//! What Facebook tells us later: delivered, read, and what people write; and its question when the webhook is set up.
//!
//! The signature is compared in constant time and before anything is looked at. "Read" names no message, only a time: it
//! counts for those this process sent to that person until then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::settings::Settings;
use crate::clock::{Timestamp, from_millis};
use crate::domain::inbound::{InboundText, Incoming};
use crate::domain::receipt::{Receipt, Verdict};
use crate::provider::reading::reference;
use crate::provider::{Call, Refusal};

/// The header with the signature, and what stands before it.
const SIGNATURE: &str = "x-hub-signature-256";
const SIGNATURE_PREFIX: &str = "sha256=";

/// The most messages that are remembered for a time that is told instead of their ids.
const REMEMBERED_MAX: usize = 50_000;

/// What was sent lately, by person.
#[derive(Default)]
pub(super) struct Sent(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    by_person: HashMap<String, VecDeque<(Timestamp, String)>>,
    /// Whose oldest message is to be forgotten first.
    order: VecDeque<String>,
}

impl Sent {
    /// Remembers a message, and forgets the oldest when there are too many.
    pub fn remember(&self, person: &str, id: &str, now: Timestamp) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.order.push_back(person.to_owned());
        sent.by_person
            .entry(person.to_owned())
            .or_default()
            .push_back((now, id.to_owned()));
        if sent.order.len() > REMEMBERED_MAX {
            sent.forget_oldest();
        }
    }

    fn until(&self, person: &str, end: Timestamp) -> Vec<String> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = sent.by_person.get(person).into_iter().flatten();
        messages
            .filter(|(at, _)| *at <= end)
            .map(|(_, id)| id.clone())
            .collect()
    }
}

impl Remembered {
    fn forget_oldest(&mut self) {
        let Some(person) = self.order.pop_front() else {
            return;
        };
        if let Some(messages) = self.by_person.get_mut(&person) {
            messages.pop_front();
            if messages.is_empty() {
                self.by_person.remove(&person);
            }
        }
    }
}

/// What is in a call.
pub(super) fn receipts(settings: &Settings, sent: &Sent, call: &Call) -> Result<Vec<Incoming>, Refusal> {
    if call.method == "GET" {
        return set_up(settings, call);
    }
    let secret = settings.app_secret.as_deref().ok_or(Refusal::NotExpected)?;
    if !is_signed(secret, call) {
        return Err(Refusal::Forged);
    }
    let document: Value = serde_json::from_slice(&call.body)
        .map_err(|_| Refusal::Unreadable("the body is no JSON".to_owned()))?;
    let entries = document.pointer("/entry").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| Refusal::Unreadable("there is no list \"entry\"".to_owned()))?;
    let events = entries
        .iter()
        .filter_map(|entry| entry.get("messaging")?.as_array())
        .flatten();
    Ok(events.flat_map(|event| event_heard(event, sent, call)).collect())
}

/// The question that is asked when the webhook is set up, if the call is one; it wants this back.
pub(super) fn challenge(call: &Call) -> Option<String> {
    (call.method == "GET").then(|| parameter(call, "hub.challenge"))?
}

fn set_up(settings: &Settings, call: &Call) -> Result<Vec<Incoming>, Refusal> {
    let wanted = settings.verify_token.as_deref().ok_or(Refusal::NotExpected)?;
    let shown = parameter(call, "hub.verify_token").unwrap_or_default();
    if !bool::from(shown.as_bytes().ct_eq(wanted.as_bytes())) {
        return Err(Refusal::Forged);
    }
    match challenge(call) {
        Some(_) => Ok(Vec::new()),
        None => Err(Refusal::Unreadable("there is no hub.challenge".to_owned())),
    }
}

fn parameter(call: &Call, name: &str) -> Option<String> {
    form_urlencoded::parse(call.query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn is_signed(secret: &str, call: &Call) -> bool {
    let shown = call.headers.get(SIGNATURE).map(|header| header.trim());
    let Some(shown) = shown.and_then(|shown| bytes(shown.strip_prefix(SIGNATURE_PREFIX)?)) else {
        return false;
    };
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(&call.body);
    mac.verify_slice(&shown).is_ok()
}

/// Bytes from hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect()
}

fn event_heard(event: &Value, sent: &Sent, call: &Call) -> Vec<Incoming> {
    let text = |field: &str| event.pointer(field).and_then(Value::as_str);
    let moment = |field: &str| event.pointer(field).and_then(Value::as_i64).map(from_millis);
    let at = moment("/timestamp").unwrap_or(call.heard_at).min(call.heard_at);
    let Some(person) = text("/sender/id") else {
        return Vec::new();
    };
    let until = |field: &str| {
        moment(field)
            .map(|end| sent.until(person, end))
            .unwrap_or_default()
    };
    let receipts = |ids: Vec<String>, verdict: Verdict| {
        let receipt = |reference| {
            Incoming::Receipt(Receipt {
                reference,
                verdict: verdict.clone(),
                at,
            })
        };
        ids.into_iter().map(receipt).collect()
    };
    if event.get("delivery").is_some() {
        let named = event.pointer("/delivery/mids").and_then(Value::as_array);
        let mut ids = until("/delivery/watermark");
        let named = named
            .into_iter()
            .flatten()
            .filter_map(|id| reference(id.as_str()?));
        ids.extend(named);
        ids.sort();
        ids.dedup();
        return receipts(ids, Verdict::Delivered);
    }
    if event.get("read").is_some() {
        return receipts(until("/read/watermark"), Verdict::Opened);
    }
    // An echo is what the page itself wrote.
    match text("/message/text") {
        Some(body) if event.pointer("/message/is_echo").is_none() => vec![Incoming::Text(InboundText {
            reference: text("/message/mid").and_then(reference),
            from: person.to_owned(),
            to: text("/recipient/id").unwrap_or_default().to_owned(),
            body: body.to_owned(),
            at,
        })],
        _ => Vec::new(),
    }
}
