//! Parses webhooks of Facebook: deliveries, reads, inbound messages, and the verification request of a new webhook.
//!
//! The signature is verified first, in constant time. A read event names a time instead of messages; the event applies to
//! the messages that this process sent to the recipient until that time.

use hmac::Hmac;
use serde_json::Value;
use sha2::Sha256;

use postrider_core::clock::from_millis;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::{Receipt, ReceiptStatus};

use super::sent_messages::SentMessages;
use super::settings::MessengerSettings;
use crate::callback::{CallbackError, CallbackRequest};
use crate::callback_auth::is_equal_secret;
use crate::provider_text::parse_reference;
use crate::signing::{decode_hex, is_valid_hmac};

/// Header with the signature.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";

/// Prefix of the signature.
const SIGNATURE_PREFIX: &str = "sha256=";

/// Authenticates a callback and returns its items.
pub(super) fn parse_callback(
    settings: &MessengerSettings,
    sent_messages: &SentMessages,
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
        .map_err(|_| CallbackError::malformed("the body is not JSON"))?;
    let entries = document["entry"]
        .as_array()
        .ok_or_else(|| CallbackError::malformed("the list \"entry\" is missing"))?;
    let events = entries.iter().filter_map(|entry| entry["messaging"].as_array()).flatten();
    Ok(events.flat_map(|event| parse_event(event, sent_messages, request)).collect())
}

/// Returns the challenge of a verification request, which is the expected response.
pub(super) fn challenge(request: &CallbackRequest) -> Option<String> {
    request.query_field("hub.challenge").filter(|_| request.method == "GET")
}

fn verify_subscription(
    settings: &MessengerSettings,
    request: &CallbackRequest,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let expected_token = settings.verify_token.as_deref().ok_or(CallbackError::NotSupported)?;
    let token = request.query_field("hub.verify_token").unwrap_or_default();
    if !is_equal_secret(&token, expected_token) {
        return Err(CallbackError::Unauthenticated);
    }
    challenge(request).map(|_| Vec::new()).ok_or_else(|| CallbackError::malformed("hub.challenge is missing"))
}

fn has_valid_signature(secret: &str, request: &CallbackRequest) -> bool {
    let header = request.headers.get(SIGNATURE_HEADER);
    let digits = header.and_then(|header| header.trim().strip_prefix(SIGNATURE_PREFIX));
    digits.and_then(decode_hex).is_some_and(|signature| {
        is_valid_hmac::<Hmac<Sha256>>(secret.as_bytes(), &[&request.body], &signature)
    })
}

/// Returns the items of one event of the list `messaging`.
fn parse_event(event: &Value, sent_messages: &SentMessages, request: &CallbackRequest) -> Vec<CallbackItem> {
    let time = |pointer: &str| event.pointer(pointer).and_then(Value::as_i64).map(from_millis);
    let event_at = time("/timestamp").unwrap_or(request.received_at).min(request.received_at);
    let Some(sender) = event["sender"]["id"].as_str() else {
        return Vec::new();
    };
    let sent_until = |watermark: &str| {
        time(watermark).map(|end| sent_messages.sent_until(sender, end)).unwrap_or_default()
    };
    let receipts = |message_ids: Vec<String>, status: ReceiptStatus| {
        let receipt =
            |reference| CallbackItem::Receipt(Receipt { reference, status: status.clone(), at: event_at });
        message_ids.into_iter().map(receipt).collect()
    };
    if let Some(delivery) = event.get("delivery") {
        let listed_ids = delivery["mids"].as_array().into_iter().flatten();
        let mut message_ids = sent_until("/delivery/watermark");
        message_ids.extend(listed_ids.filter_map(|id| parse_reference(id.as_str()?)));
        message_ids.sort();
        message_ids.dedup();
        return receipts(message_ids, ReceiptStatus::Delivered);
    }
    if event.get("read").is_some() {
        return receipts(sent_until("/read/watermark"), ReceiptStatus::Opened);
    }
    let message = &event["message"];
    match message["text"].as_str() {
        // An echo is a message that the page itself sent.
        Some(body) if message.get("is_echo").is_none() => {
            vec![CallbackItem::InboundMessage(InboundMessage {
                reference: message["mid"].as_str().and_then(parse_reference),
                from: sender.to_owned(),
                to: event["recipient"]["id"].as_str().unwrap_or_default().to_owned(),
                body: body.to_owned(),
                at: event_at,
            })]
        }
        _ => Vec::new(),
    }
}
