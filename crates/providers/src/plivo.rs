//! SMS through Plivo's message resource: sending, status callbacks and inbound messages.
//!
//! Plivo has no idempotency key, so a call without a response is `Unknown`.

mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde_json::{Value, json};

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::json_api::JsonResponse;
use crate::provider::{OutboundMessage, Provider};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields, NonceCache, SmsApi};
use codes::{OPT_OUT_CODE, classify_receipt, classify_send};
pub use settings::PlivoSettings;

/// Range of `message_expiry`, the time for which Plivo stores a message, in seconds.
const EXPIRY_SECONDS: std::ops::Range<i64> = 5..10_800;

/// A Plivo account.
pub struct Plivo {
    settings: PlivoSettings,
    api: SmsApi,
    /// None when the gateway is not publicly reachable.
    callback_url: Option<String>,
    nonces: NonceCache,
    clock: Clock,
}

impl Plivo {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &PlivoSettings) -> Result<Self> {
        let account = settings.auth_id.as_str();
        // The empty segment makes the slash at the end, which Plivo requires.
        let path = ["v1", "Account", account, "Message", ""];
        let api = SmsApi::new(context, &settings.base_url()?, &path)?;
        let callback_url = sms::callback_url(context, settings.receipts_token.as_deref());
        Ok(Self {
            api: api.with_basic_auth(account, &settings.auth_token)?,
            callback_url: Some(callback_url).filter(|url| sms::is_publicly_reachable(url)),
            settings: settings.clone(),
            nonces: NonceCache::default(),
            clock: context.clock.clone(),
        })
    }

    fn message_json(&self, message: &OutboundMessage) -> Value {
        let settings = &self.settings;
        let mut document = json!({
            "dst": sms::without_plus(&message.to),
            "text": message.body,
            "type": "sms",
        });
        if let Some(from) = &settings.from {
            document["src"] = json!(sms::without_plus(from));
        }
        if let Some(pool) = &settings.powerpack_uuid {
            document["powerpack_uuid"] = json!(pool);
        }
        if let Some(url) = &self.callback_url {
            document["url"] = json!(url);
            document["method"] = json!("POST");
        }
        let (min, max) = (EXPIRY_SECONDS.start, EXPIRY_SECONDS.end);
        if let Some(seconds) = sms::validity_seconds(message, self.clock.now(), min, max) {
            document["message_expiry"] = json!(seconds);
        }
        document
    }
}

fn send_result(response: &JsonResponse) -> SendResult {
    let outcome = if response.is_success() { accepted_outcome(response) } else { refused_outcome(response) };
    SendResult { outcome, code: Some(response.http_status_text()) }
}

fn accepted_outcome(response: &JsonResponse) -> Outcome {
    if !response.is_complete() {
        return response.unconfirmed_outcome();
    }
    let id = response.json["message_uuid"][0].as_str();
    if let Some(reference) = id.and_then(parse_reference) {
        return Outcome::Accepted { reference: Some(reference) };
    }
    match response.json["invalid_number"].as_array() {
        Some(numbers) if !numbers.is_empty() => {
            Outcome::InvalidRecipient { reason: "invalid phone number".to_owned() }
        }
        _ => response.unconfirmed_outcome(),
    }
}

fn refused_outcome(response: &JsonResponse) -> Outcome {
    let text = response.json["error"].as_str();
    let text = text.map_or_else(|| response.body_reason(), ToOwned::to_owned);
    if response.status == 400 && names_recipient_only(&text) {
        return Outcome::InvalidRecipient { reason: text };
    }
    let (outcome, description) = classify_send(response);
    outcome.into_outcome(None, join_reasons(description, &text), response.retry_after())
}

/// Returns whether the text names the recipient's number and not the sender's.
fn names_recipient_only(text: &str) -> bool {
    let names = |name| {
        text.split(|character: char| !character.is_alphanumeric()).any(|reported_name| reported_name == name)
    };
    names("dst") && !names("src")
}

/// Parses a status callback or an inbound message.
fn parse_callback_fields(
    request: &CallbackRequest,
    fields: &CallbackFields,
) -> Result<Vec<CallbackItem>, CallbackError> {
    let id = fields.get("ParentMessageUUID").or_else(|| fields.get("MessageUUID"));
    let id = id.and_then(parse_reference).ok_or_else(|| sms::malformed("MessageUUID is missing"))?;
    let at = request.received_at;
    let Some(status) = fields.get("Status") else {
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: Some(id),
            from: sms::with_plus(fields.require("From")?),
            to: fields.get("To").unwrap_or_default().to_owned(),
            body: fields.require("Text")?.to_owned(),
            at,
        })]);
    };
    let number = fields.get("ErrorCode").unwrap_or_default();
    let (outcome, description) = classify_receipt(number);
    let reason = join_reasons(&format!("{status} {number}"), description);
    let status = match status {
        // A delivered part decides the message only when it is the last part.
        "delivered" => is_last_part(fields).then_some(ReceiptStatus::Delivered),
        "read" => Some(ReceiptStatus::Opened),
        "undelivered" | "failed" => Some(outcome.failed_receipt_status(reason)),
        "rejected" => Some(ReceiptStatus::Bounced { reason }),
        // queued, sent: the message is on its way.
        _ => None,
    };
    let mut items = Vec::from_iter(sms::receipt_item(id, status, at));
    if number == OPT_OUT_CODE {
        let recipient = fields.get("To").map(sms::with_plus);
        items.extend(recipient.map(|address| sms::opt_out_notice(&address, number, description, at)));
    }
    Ok(items)
}

/// `PartInfo` is `2 of 3`. A message of one part may have none.
fn is_last_part(fields: &CallbackFields) -> bool {
    let info = fields.get("PartInfo").unwrap_or_default();
    let (part, parts) = info.split_once(" of ").unwrap_or_default();
    part.trim() == parts.trim()
}

#[async_trait]
impl Provider for Plivo {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        match self.api.post_json(&self.message_json(message)).await {
            Ok(response) => send_result(&response),
            Err(result) => result,
        }
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if let Some(token) = &self.settings.receipts_token
            && !has_valid_token(request, token)
        {
            return Err(CallbackError::Unauthenticated);
        }
        if !signature::is_valid(&self.settings.auth_token, request, &self.nonces) {
            return Err(CallbackError::Unauthenticated);
        }
        parse_callback_fields(request, &CallbackFields::from_callback(request)?)
    }

    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::Authenticated
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }
}
