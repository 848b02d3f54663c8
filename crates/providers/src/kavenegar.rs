//! SMS through Kavenegar (Iran): texts from a line of the account, or one-time codes by a template.
//!
//! A text carries the gateway's own id, so repeating a call without a response does not send it twice; a template message
//! has no such id. The API key is part of the URL, which is therefore never shown. Callbacks are not signed and are
//! authenticated by a token in their URL.

mod codes;
mod phone_numbers;
mod settings;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sha2::{Digest, Sha256};

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage};
use postrider_core::receipt::ReceiptStatus;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::json_api::JsonResponse;
use crate::outcome_kind::OutcomeKind;
use crate::provider::{OutboundMessage, Provider};
use crate::provider_text::{join_reasons, parse_reference};
use crate::sms::{self, CallbackFields, SmsApi};
use codes::{DELIVERED_STATUS, classify_call, classify_message};
use phone_numbers::{to_national_mobile, to_template_receptor};
pub use settings::KavenegarSettings;

/// Maximum length of a text, in characters.
const TEXT_CHARS_MAX: usize = 900;

/// Maximum length of a template's value, in characters.
const TOKEN_CHARS_MAX: usize = 100;

/// Cooldown after the first throttled call. Kavenegar names no delay, so it doubles with each further one.
const THROTTLE_BACKOFF: Duration = Duration::from_secs(60);
const THROTTLE_BACKOFF_MAX: Duration = Duration::from_secs(15 * 60);

/// A Kavenegar account.
pub struct Kavenegar {
    settings: KavenegarSettings,
    api: SmsApi,
    /// Number of throttled calls in a row.
    throttled_in_a_row: AtomicU32,
}

impl Kavenegar {
    /// Returns the account that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &KavenegarSettings) -> Result<Self> {
        let key = settings.api_key.as_str();
        let path = match settings.template {
            Some(_) => ["v1", key, "verify", "lookup.json"],
            None => ["v1", key, "sms", "send.json"],
        };
        Ok(Self {
            api: SmsApi::new(context, &settings.base_url()?, &path)?,
            settings: settings.clone(),
            throttled_in_a_row: AtomicU32::new(0),
        })
    }

    /// Returns the form, or the reason why the message cannot be sent.
    fn form_body(&self, message: &OutboundMessage, local_id: u64) -> std::result::Result<String, String> {
        match &self.settings.template {
            Some(template) => template_form(template, message),
            None => self.text_form(message, local_id),
        }
    }

    fn text_form(&self, message: &OutboundMessage, local_id: u64) -> std::result::Result<String, String> {
        if message.body.chars().count() > TEXT_CHARS_MAX {
            return Err(format!("the text is longer than {TEXT_CHARS_MAX} characters"));
        }
        let Some(receptor) = to_national_mobile(&message.to) else {
            return Err("without a template only Iranian mobile numbers are supported".to_owned());
        };
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("receptor", &receptor)
            .append_pair("message", &message.body)
            .append_pair("localid", &local_id.to_string());
        if let Some(sender) = &self.settings.sender {
            form.append_pair("sender", sender);
        }
        Ok(form.finish())
    }

    async fn send_once(&self, message: &OutboundMessage, local_id: u64) -> KavenegarResult {
        let form = match self.form_body(message, local_id) {
            Ok(form) => form,
            Err(reason) => return KavenegarResult::new(Outcome::Rejected { reason }.into()),
        };
        match self.api.post_form(form).await {
            Ok(response) => parse_response(&response),
            Err(result) => KavenegarResult::new(result),
        }
    }

    /// Sets the delay of a throttled result.
    fn with_backoff(&self, mut result: SendResult) -> SendResult {
        let Outcome::Throttled { retry_after } = &mut result.outcome else {
            self.throttled_in_a_row.store(0, Ordering::Relaxed);
            return result;
        };
        let doublings = self.throttled_in_a_row.fetch_add(1, Ordering::Relaxed).min(10);
        let delay = THROTTLE_BACKOFF.saturating_mul(1 << doublings);
        *retry_after = Some(delay.min(THROTTLE_BACKOFF_MAX));
        result
    }
}

fn template_form(template: &str, message: &OutboundMessage) -> std::result::Result<String, String> {
    let is_separator = |character: char| character.is_whitespace() || character == '_';
    let body = message.body.as_str();
    if body.is_empty() || body.contains(is_separator) || body.chars().count() > TOKEN_CHARS_MAX {
        return Err(format!(
            "a template value has 1 to {TOKEN_CHARS_MAX} characters without spaces and underscores: the code alone"
        ));
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("receptor", &to_template_receptor(&message.to))
        .append_pair("template", template)
        .append_pair("token", body);
    Ok(form.finish())
}

struct KavenegarResult {
    result: SendResult,
    /// The response shows an earlier text with the same id, which failed; nothing was sent.
    is_earlier_failure: bool,
}

impl KavenegarResult {
    fn new(result: SendResult) -> Self {
        Self { result, is_earlier_failure: false }
    }
}

/// The status in the body decides, even if the HTTP status differs.
fn parse_response(response: &JsonResponse) -> KavenegarResult {
    let status = response.json["return"]["status"].as_u64();
    let status = status.or_else(|| scan_status(&response.body));
    let Some(status) = status.filter(|_| response.is_complete()) else {
        return KavenegarResult::new(unparsed_result(response));
    };
    if status == 200 {
        return accepted_result(response);
    }
    let status = status.to_string();
    let (outcome, description) = classify_call(&status);
    let text = response.json["return"]["message"].as_str().unwrap_or_default();
    KavenegarResult::new(SendResult {
        outcome: outcome.into_outcome(None, join_reasons(description, text), None),
        code: Some(status),
    })
}

fn unparsed_result(response: &JsonResponse) -> SendResult {
    let outcome = if response.is_success() {
        response.unconfirmed_outcome()
    } else {
        let outcome = response.status_outcome().outcome;
        outcome.into_outcome(None, response.body_reason(), None)
    };
    SendResult { outcome, code: Some(response.http_status_text()) }
}

/// Returns the number after the first `"status":`. The bodies of errors are not always valid JSON.
fn scan_status(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let (_, rest) = text.split_once("\"status\"")?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    let digits = rest.split(|character: char| !character.is_ascii_digit()).next()?;
    digits.parse().ok()
}

fn accepted_result(response: &JsonResponse) -> KavenegarResult {
    let entries = &response.json["entries"];
    let entry = entries.get(0).unwrap_or(entries);
    let Some(id) = entry["messageid"].as_u64() else {
        return KavenegarResult::new(SendResult {
            outcome: response.unconfirmed_outcome(),
            code: Some("200".to_owned()),
        });
    };
    let status = entry["status"].as_u64().unwrap_or_default().to_string();
    let (outcome, description) = classify_message(&status);
    let text = entry["statustext"].as_str().unwrap_or_default();
    KavenegarResult {
        is_earlier_failure: outcome != OutcomeKind::Accepted,
        result: SendResult {
            outcome: outcome.into_outcome(Some(id.to_string()), join_reasons(description, text), None),
            code: Some(status),
        },
    }
}

/// Returns the gateway's id of a text. Without a round it is the same in every round, so that a repetition does not send
/// the text twice.
fn local_id(message: &OutboundMessage, round: Option<u32>) -> u64 {
    let digest = Sha256::new()
        .chain_update(message.message_id.bytes())
        .chain_update(message.delivery_id.0.to_be_bytes())
        .chain_update(round.unwrap_or_default().to_be_bytes())
        .finalize();
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    // Kavenegar's ids are signed 64-bit numbers.
    u64::from_be_bytes(bytes) >> 1
}

/// Parses a status callback or an inbound message.
fn parse_callback_fields(
    request: &CallbackRequest,
    fields: &CallbackFields,
) -> std::result::Result<Vec<CallbackItem>, CallbackError> {
    /// The status of an inbound message.
    const RECEIVED_STATUS: &str = "50";
    let at = request.received_at;
    let status = fields.get("status").unwrap_or(RECEIVED_STATUS);
    let id = fields.get("messageid").and_then(parse_reference);
    if status == RECEIVED_STATUS {
        let from = fields.get("from").or_else(|| fields.get("sender"));
        let to = fields.get("to").or_else(|| fields.get("receptor"));
        return Ok(vec![CallbackItem::InboundMessage(InboundMessage {
            reference: id,
            from: from.ok_or_else(|| sms::malformed("status and from are missing"))?.to_owned(),
            to: to.unwrap_or_default().to_owned(),
            body: fields.require("message")?.to_owned(),
            at,
        })]);
    }
    if !status.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(sms::malformed("status is not a number"));
    }
    let reference = id.ok_or_else(|| sms::malformed("messageid is missing"))?;
    let (outcome, description) = classify_message(status);
    let receipt_status = match (status, outcome) {
        (DELIVERED_STATUS, _) => Some(ReceiptStatus::Delivered),
        (_, OutcomeKind::Accepted) => None,
        _ => Some(outcome.failed_receipt_status(join_reasons(&format!("status {status}"), description))),
    };
    Ok(Vec::from_iter(sms::receipt_item(reference, receipt_status, at)))
}

#[async_trait]
impl Provider for Kavenegar {
    /// For the id of a text that failed, Kavenegar returns that text's record and sends nothing; a retry then needs
    /// another id.
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let mut sent = self.send_once(message, local_id(message, None)).await;
        if sent.is_earlier_failure && self.settings.template.is_none() && message.round > 1 {
            sent = self.send_once(message, local_id(message, Some(message.round))).await;
        }
        self.with_backoff(sent.result)
    }

    async fn parse_callback(
        &self,
        request: &CallbackRequest,
    ) -> std::result::Result<Vec<CallbackItem>, CallbackError> {
        let token = self.settings.receipts_token.as_deref();
        let token = token.ok_or(CallbackError::NotSupported)?;
        if !has_valid_token(request, token) {
            return Err(CallbackError::Unauthenticated);
        }
        let mut fields = CallbackFields::from_callback(request)?;
        fields.remove("token");
        parse_callback_fields(request, &fields)
    }

    fn callback_response(&self, _request: &CallbackRequest) -> Option<CallbackResponse> {
        Some(CallbackResponse::empty())
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.settings.receipts_token.is_some())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Phone
    }

    fn can_send_to(&self, address: &str) -> bool {
        self.settings.template.is_some() || to_national_mobile(address).is_some()
    }

    fn endpoint(&self) -> (String, u16) {
        self.api.endpoint()
    }
}
