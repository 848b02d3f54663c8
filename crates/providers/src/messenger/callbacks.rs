//! Parses webhooks of Facebook: deliveries, reads, inbound messages, and the verification request of a new webhook.
//!
//! The signature is verified first, in constant time. A read event names a time instead of messages; it applies to the
//! messages that this process sent to the recipient until then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use hmac::Hmac;
use serde_json::Value;
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::settings::MessengerSettings;
use crate::provider_text::parse_reference;
use crate::signing::{decode_hex, is_valid_hmac};
use crate::{CallbackError, CallbackRequest};
use postrider_core::clock::{Timestamp, from_millis};
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};

/// Header with the signature.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// Prefix of the signature.
const SIGNATURE_PREFIX: &str = "sha256=";

/// Maximum number of recorded messages; events that name a time do not apply to older ones.
const SENT_MESSAGES_MAX: usize = 50_000;

/// Recently sent messages by recipient.
#[derive(Default)]
pub(super) struct SentMessages(Mutex<SentMessageLog>);

#[derive(Default)]
struct SentMessageLog {
    by_recipient: HashMap<String, VecDeque<(Timestamp, String)>>,
    /// Recipients in the order of their messages, the oldest first.
    by_age: VecDeque<String>,
}

impl SentMessages {
    /// Records a message, and removes the oldest at the limit.
    pub fn record(&self, recipient: &str, id: &str, now: Timestamp) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.by_age.push_back(recipient.to_owned());
        log.by_recipient.entry(recipient.to_owned()).or_default().push_back((now, id.to_owned()));
        if log.by_age.len() > SENT_MESSAGES_MAX {
            log.remove_oldest();
        }
    }

    fn sent_until(&self, recipient: &str, end: Timestamp) -> Vec<String> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let messages = log.by_recipient.get(recipient).into_iter().flatten();
        messages.filter(|(at, _)| *at <= end).map(|(_, id)| id.clone()).collect()
    }
}

impl SentMessageLog {
    fn remove_oldest(&mut self) {
        let Some(recipient) = self.by_age.pop_front() else {
            return;
        };
        if let Some(messages) = self.by_recipient.get_mut(&recipient) {
            messages.pop_front();
            if messages.is_empty() {
                self.by_recipient.remove(&recipient);
            }
        }
    }
}

/// Authenticates a callback and returns its items.
pub(super) fn parse_callback(
    settings: &MessengerSettings,
    sent: &SentMessages,
    request: &CallbackRequest,
) -> Result<Vec<CallbackItem>, CallbackError> {
    if request.method == "GET" {
        return verify_subscription(settings, request);
    }
    let secret = settings.app_secret.as_deref().ok_or(CallbackError::NotSupported)?;
    if !has_valid_signature(secret, request) {
        return Err(CallbackError::Unauthenticated);
    }
    let document: Value = serde_json::from_slice(&request.body)
        .map_err(|_| CallbackError::Malformed("the body is not JSON".to_owned()))?;
    let entries = document.pointer("/entry").and_then(Value::as_array);
    let entries =
        entries.ok_or_else(|| CallbackError::Malformed("the list \"entry\" is missing".to_owned()))?;
    let events = entries.iter().filter_map(|entry| entry.get("messaging")?.as_array()).flatten();
    Ok(events.flat_map(|event| parse_event(event, sent, request)).collect())
}

/// Returns the challenge of a verification request, which is its expected response.
pub(super) fn challenge(request: &CallbackRequest) -> Option<String> {
    (request.method == "GET").then(|| query_parameter(request, "hub.challenge"))?
}

fn verify_subscription(
    settings: &MessengerSettings,
    request: &CallbackRequest,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let expected = settings.verify_token.as_deref().ok_or(CallbackError::NotSupported)?;
    let token = query_parameter(request, "hub.verify_token").unwrap_or_default();
    if !bool::from(token.as_bytes().ct_eq(expected.as_bytes())) {
        return Err(CallbackError::Unauthenticated);
    }
    match challenge(request) {
        Some(_) => Ok(Vec::new()),
        None => Err(CallbackError::Malformed("hub.challenge is missing".to_owned())),
    }
}

fn query_parameter(request: &CallbackRequest, name: &str) -> Option<String> {
    form_urlencoded::parse(request.query.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

fn has_valid_signature(secret: &str, request: &CallbackRequest) -> bool {
    let header = request.headers.get(SIGNATURE_HEADER);
    let digits = header.and_then(|header| header.trim().strip_prefix(SIGNATURE_PREFIX));
    digits.and_then(decode_hex).is_some_and(|signature| {
        is_valid_hmac::<Hmac<Sha256>>(secret.as_bytes(), &[&request.body], &signature)
    })
}

fn parse_event(event: &Value, sent: &SentMessages, request: &CallbackRequest) -> Vec<CallbackItem> {
    let text = |field: &str| event.pointer(field).and_then(Value::as_str);
    let time = |field: &str| event.pointer(field).and_then(Value::as_i64).map(from_millis);
    let at = time("/timestamp").unwrap_or(request.received_at).min(request.received_at);
    let Some(sender) = text("/sender/id") else {
        return Vec::new();
    };
    let sent_until = |field: &str| time(field).map(|end| sent.sent_until(sender, end)).unwrap_or_default();
    let receipts = |ids: Vec<String>, status: ReceiptStatus| {
        let receipt = |reference| CallbackItem::Receipt(Receipt { reference, status: status.clone(), at });
        ids.into_iter().map(receipt).collect()
    };
    if event.get("delivery").is_some() {
        let listed = event.pointer("/delivery/mids").and_then(Value::as_array);
        let mut ids = sent_until("/delivery/watermark");
        let listed = listed.into_iter().flatten().filter_map(|id| parse_reference(id.as_str()?));
        ids.extend(listed);
        ids.sort();
        ids.dedup();
        return receipts(ids, ReceiptStatus::Delivered);
    }
    if event.get("read").is_some() {
        return receipts(sent_until("/read/watermark"), ReceiptStatus::Opened);
    }
    // An echo is a message that the page itself sent.
    match text("/message/text") {
        Some(body) if event.pointer("/message/is_echo").is_none() => {
            vec![CallbackItem::InboundMessage(InboundMessage {
                reference: text("/message/mid").and_then(parse_reference),
                from: sender.to_owned(),
                to: text("/recipient/id").unwrap_or_default().to_owned(),
                body: body.to_owned(),
                at,
            })]
        }
        _ => Vec::new(),
    }
}
