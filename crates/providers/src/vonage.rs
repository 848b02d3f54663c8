//! SMS through Vonage's SMS API: sending, delivery receipts and inbound messages.
//!
//! Vonage has no idempotency key, so a call without a response is `Unknown`.

mod codes;
mod segments;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use chrono::NaiveDateTime;
use serde_json::Value;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, Timestamp};
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;
use postrider_core::text_parts::{Alphabet, count_parts};

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::json_api::JsonResponse;
use crate::provider::{OutboundMessage, Provider};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields, NonceCache, SmsApi};
use codes::{OPT_OUT_CODE, classify_receipt, classify_submit};
use segments::VonageSegments;
pub use settings::VonageSettings;

/// Range of `ttl`, the time for which the carrier tries to deliver, in milliseconds.
const TTL_MS: std::ops::Range<i64> = 20_000..604_800_000;

/// A Vonage account.
pub struct Vonage {
    settings: VonageSettings,
    api: SmsApi,
    /// None when the gateway is not publicly reachable or could not authenticate the callbacks.
    callback_url: Option<String>,
    segments: VonageSegments,
    nonces: NonceCache,
    clock: Clock,
}

impl Vonage {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &VonageSettings) -> Result<Self> {
        let callback_url = sms::callback_url(context, settings.receipts_token.as_deref());
        let has_callbacks =
            settings.has_authenticated_callbacks() && sms::is_publicly_reachable(&callback_url);
        Ok(Self {
            api: SmsApi::new(context, &settings.base_url()?, &["sms", "json"])?,
            callback_url: has_callbacks.then_some(callback_url),
            settings: settings.clone(),
            segments: VonageSegments::default(),
            nonces: NonceCache::default(),
            clock: context.clock.clone(),
        })
    }

    fn form_body(&self, message: &OutboundMessage) -> String {
        let text_type = match count_parts(&message.body).alphabet {
            Alphabet::Gsm7 => "text",
            Alphabet::Ucs2 => "unicode",
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("api_key", &self.settings.api_key)
            .append_pair("api_secret", &self.settings.api_secret)
            .append_pair("from", &self.settings.from)
            .append_pair("to", sms::without_plus(&message.to))
            .append_pair("type", text_type)
            .append_pair("text", &message.body)
            .append_pair("client-ref", &format!("{}-{}", message.delivery_id, message.round));
        let remaining_ms = (message.expires_at - self.clock.now()).num_milliseconds();
        if remaining_ms < TTL_MS.end {
            form.append_pair("ttl", &remaining_ms.max(TTL_MS.start).to_string());
        }
        if let Some(url) = &self.callback_url {
            form.append_pair("callback", url);
        }
        form.finish()
    }

    /// Vonage responds with status 200 to refused messages as well, and with one element for each segment.
    fn send_result(&self, response: &JsonResponse) -> SendResult {
        if response.status != 200 {
            let outcome = response.status_outcome().outcome;
            return SendResult {
                outcome: outcome.into_outcome(None, response.body_reason(), response.retry_after()),
                code: Some(response.http_status_text()),
            };
        }
        let segments = response.json["messages"].as_array();
        let Some(segments) = segments.filter(|list| response.is_complete() && !list.is_empty()) else {
            return SendResult {
                outcome: response.unconfirmed_outcome(),
                code: Some(response.http_status_text()),
            };
        };
        match segments.iter().find(|segment| !is_accepted(segment)) {
            Some(refused) => refused_result(refused, segments),
            None => {
                SendResult { outcome: self.accepted_outcome(response, segments), code: Some("0".to_owned()) }
            }
        }
    }

    /// The reference is the id of the last segment, whose receipt stands for the whole message.
    fn accepted_outcome(&self, response: &JsonResponse, segments: &[Value]) -> Outcome {
        let id = |segment: &Value| segment["message-id"].as_str().and_then(parse_reference);
        let Some(ids) = segments.iter().map(id).collect::<Option<Vec<_>>>() else {
            return response.unconfirmed_outcome();
        };
        if let Some((last, others)) = ids.split_last() {
            self.segments.link(others, last);
        }
        Outcome::Accepted { reference: ids.last().cloned() }
    }

    fn authenticate(&self, request: &CallbackRequest) -> Result<CallbackFields, CallbackError> {
        if !self.settings.has_authenticated_callbacks() {
            return Err(CallbackError::NotSupported);
        }
        if let Some(token) = &self.settings.receipts_token
            && !has_valid_token(request, token)
        {
            return Err(CallbackError::Unauthenticated);
        }
        let fields = CallbackFields::from_callback(request)?;
        if let Some(secret) = &self.settings.signature_secret {
            let method = self.settings.signature_method;
            if !signature::is_valid(secret, method, request, &fields, &self.nonces) {
                return Err(CallbackError::Unauthenticated);
            }
        }
        Ok(fields)
    }

    /// Parses a delivery receipt or an inbound message.
    fn parse_callback_fields(
        &self,
        request: &CallbackRequest,
        fields: &CallbackFields,
    ) -> Result<Vec<CallbackItem>, CallbackError> {
        let id = fields.get("messageId").or_else(|| fields.get("message-id"));
        let id = id.and_then(parse_reference).ok_or_else(|| sms::malformed("messageId is missing"))?;
        let at = fields.get("message-timestamp").and_then(parse_timestamp);
        let at = at.unwrap_or(request.received_at).min(request.received_at);
        let Some(status) = fields.get("status") else {
            return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
                reference: Some(id),
                from: sms::with_plus(fields.require("msisdn")?),
                to: fields.get("to").unwrap_or_default().to_owned(),
                body: fields.require("text")?.to_owned(),
                at,
            })]);
        };
        let number = fields.get("err-code").unwrap_or_default();
        let (outcome, description) = classify_receipt(number);
        let reason = join_reasons(&format!("{status} {number}"), description);
        let status = match status {
            "delivered" => Some(ReceiptStatus::Delivered),
            "expired" | "failed" | "rejected" => Some(outcome.failed_receipt_status(reason)),
            // accepted and buffered: the message is on its way; unknown: Vonage does not know.
            _ => None,
        };
        let mut items = Vec::new();
        if let Some(status) = status
            && let Some(reference) = self.segments.message_of_segment(id, &status)
        {
            items.extend(sms::receipt_item(reference, Some(status), at));
        }
        if number == OPT_OUT_CODE {
            let recipient = fields.get("msisdn").map(sms::with_plus);
            items.extend(recipient.map(|address| sms::opt_out_notice(&address, number, description, at)));
        }
        Ok(items)
    }
}

fn is_accepted(segment: &Value) -> bool {
    segment["status"].as_str() == Some("0")
}

/// Returns the result for a refused segment. When other segments were accepted the message is rejected, because a retry
/// would send those again.
fn refused_result(refused: &Value, segments: &[Value]) -> SendResult {
    let number = refused["status"].as_str().unwrap_or_default();
    let text = refused["error-text"].as_str().unwrap_or_default();
    let (outcome, description) = classify_submit(number, text);
    let reason = join_reasons(description, text);
    let outcome = match segments.iter().filter(|segment| is_accepted(segment)).count() {
        0 => outcome.into_outcome(None, reason, None),
        accepted => Outcome::Rejected {
            reason: format!("only {accepted} of {} parts were accepted: {reason}", segments.len()),
        },
    };
    SendResult { outcome, code: Some(number.to_owned()) }
}

/// Parses Vonage's time format, which is in UTC.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let time = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S");
    time.ok().map(|time| time.and_utc())
}

#[async_trait]
impl Provider for Vonage {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        match self.api.post_form(self.form_body(message)).await {
            Ok(response) => self.send_result(&response),
            Err(result) => result,
        }
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        let fields = self.authenticate(request)?;
        self.parse_callback_fields(request, &fields)
    }

    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.settings.has_authenticated_callbacks())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }
}
