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

use super::settings::MessengerSettings;
use crate::provider_text::parse_reference;
use crate::{CallbackError, CallbackRequest};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// The header with the signature, and what stands before it.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";
const SIGNATURE_PREFIX: &str = "sha256=";

/// The most messages that are remembered for a time that is told instead of their ids.
const SENT_MESSAGES_MAX: usize = 50_000;

/// What was sent lately, by person.
#[derive(Default)]
pub(super) struct SentMessages(Mutex<SentMessageLog>);

#[derive(Default)]
struct SentMessageLog {
    by_recipient: HashMap<String, VecDeque<(Timestamp, String)>>,
    /// Whose oldest message is to be forgotten first.
    by_age: VecDeque<String>,
}

impl SentMessages {
    /// Remembers a message, and forgets the oldest when there are too many.
    pub fn record(&self, person: &str, id: &str, now: Timestamp) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.by_age.push_back(person.to_owned());
        sent.by_recipient
            .entry(person.to_owned())
            .or_default()
            .push_back((now, id.to_owned()));
        if sent.by_age.len() > SENT_MESSAGES_MAX {
            sent.remove_oldest();
        }
    }

    fn sent_until(&self, person: &str, end: Timestamp) -> Vec<String> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = sent.by_recipient.get(person).into_iter().flatten();
        messages
            .filter(|(at, _)| *at <= end)
            .map(|(_, id)| id.clone())
            .collect()
    }
}

impl SentMessageLog {
    fn remove_oldest(&mut self) {
        let Some(person) = self.by_age.pop_front() else {
            return;
        };
        if let Some(messages) = self.by_recipient.get_mut(&person) {
            messages.pop_front();
            if messages.is_empty() {
                self.by_recipient.remove(&person);
            }
        }
    }
}

/// What is in a call.
pub(super) fn parse_callback(
    settings: &MessengerSettings,
    sent: &SentMessages,
    call: &CallbackRequest,
) -> Result<Vec<CallbackItem>, CallbackError> {
    if call.method == "GET" {
        return verify_subscription(settings, call);
    }
    let secret = settings
        .app_secret
        .as_deref()
        .ok_or(CallbackError::NotSupported)?;
    if !has_valid_signature(secret, call) {
        return Err(CallbackError::Unauthenticated);
    }
    let document: Value = serde_json::from_slice(&call.body)
        .map_err(|_| CallbackError::Malformed("the body is no JSON".to_owned()))?;
    let entries = document.pointer("/entry").and_then(Value::as_array);
    let entries = entries.ok_or_else(|| CallbackError::Malformed("there is no list \"entry\"".to_owned()))?;
    let events = entries
        .iter()
        .filter_map(|entry| entry.get("messaging")?.as_array())
        .flatten();
    Ok(events.flat_map(|event| parse_event(event, sent, call)).collect())
}

/// The question that is asked when the webhook is set up, if the call is one; it wants this back.
pub(super) fn challenge(call: &CallbackRequest) -> Option<String> {
    (call.method == "GET").then(|| query_parameter(call, "hub.challenge"))?
}

fn verify_subscription(
    settings: &MessengerSettings,
    call: &CallbackRequest,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let wanted = settings
        .verify_token
        .as_deref()
        .ok_or(CallbackError::NotSupported)?;
    let shown = query_parameter(call, "hub.verify_token").unwrap_or_default();
    if !bool::from(shown.as_bytes().ct_eq(wanted.as_bytes())) {
        return Err(CallbackError::Unauthenticated);
    }
    match challenge(call) {
        Some(_) => Ok(Vec::new()),
        None => Err(CallbackError::Malformed("there is no hub.challenge".to_owned())),
    }
}

fn query_parameter(call: &CallbackRequest, name: &str) -> Option<String> {
    form_urlencoded::parse(call.query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn has_valid_signature(secret: &str, call: &CallbackRequest) -> bool {
    let shown = call.headers.get(SIGNATURE_HEADER).map(|header| header.trim());
    let Some(shown) = shown.and_then(|shown| decode_hex(shown.strip_prefix(SIGNATURE_PREFIX)?)) else {
        return false;
    };
    let Ok(mut mac) = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()) else {
        return false;
    };
    mac.update(&call.body);
    mac.verify_slice(&shown).is_ok()
}

/// Bytes from hexadecimal digits.
fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(|pair| byte(pair).filter(|_| pair.len() == 2)).collect()
}

fn parse_event(event: &Value, sent: &SentMessages, call: &CallbackRequest) -> Vec<CallbackItem> {
    let text = |field: &str| event.pointer(field).and_then(Value::as_str);
    let moment = |field: &str| event.pointer(field).and_then(Value::as_i64).map(from_millis);
    let at = moment("/timestamp")
        .unwrap_or(call.received_at)
        .min(call.received_at);
    let Some(person) = text("/sender/id") else {
        return Vec::new();
    };
    let until = |field: &str| {
        moment(field)
            .map(|end| sent.sent_until(person, end))
            .unwrap_or_default()
    };
    let receipts = |ids: Vec<String>, verdict: ReceiptStatus| {
        let receipt = |reference| {
            CallbackItem::Receipt(Receipt {
                reference,
                status: verdict.clone(),
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
            .filter_map(|id| parse_reference(id.as_str()?));
        ids.extend(named);
        ids.sort();
        ids.dedup();
        return receipts(ids, ReceiptStatus::Delivered);
    }
    if event.get("read").is_some() {
        return receipts(until("/read/watermark"), ReceiptStatus::Opened);
    }
    // An echo is what the page itself wrote.
    match text("/message/text") {
        Some(body) if event.pointer("/message/is_echo").is_none() => {
            vec![CallbackItem::InboundMessage(InboundMessage {
                reference: text("/message/mid").and_then(parse_reference),
                from: person.to_owned(),
                to: text("/recipient/id").unwrap_or_default().to_owned(),
                body: body.to_owned(),
                at,
            })]
        }
        _ => Vec::new(),
    }
}
