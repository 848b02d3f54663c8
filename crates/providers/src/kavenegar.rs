//! SMS through Kavenegar (Iran): texts from a line of the account, or one-time codes by a template.
//!
//! A text carries the gateway's own id, so repeating a call without a response does not send the text twice; a template
//! message has no such id. The API key is part of the URL, which is therefore never shown. Callbacks are not signed and
//! are authenticated by a token in their URL.

mod callback;
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
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::provider::{OutboundMessage, Provider};
use crate::sms::{CallbackFields, SmsApi};
use phone_numbers::{to_national_mobile, to_template_receptor};
pub use settings::KavenegarSettings;

/// Maximum length of a text, in characters.
const TEXT_CHARS_MAX: usize = 900;

/// Maximum length of a template's value, in characters.
const TOKEN_CHARS_MAX: usize = 100;

/// Cooldown after the first throttled call. Kavenegar names no delay, so the cooldown doubles with each further throttled call.
const THROTTLE_BACKOFF: Duration = Duration::from_secs(60);

/// Maximum cooldown after throttled calls in a row.
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
    pub(super) fn new(context: &AdapterContext, kavenegar_settings: &KavenegarSettings) -> Result<Self> {
        let api_key = kavenegar_settings.api_key.as_str();
        let path = match kavenegar_settings.template {
            Some(_) => ["v1", api_key, "verify", "lookup.json"],
            None => ["v1", api_key, "sms", "send.json"],
        };
        Ok(Self {
            api: SmsApi::new(context, &kavenegar_settings.base_url()?, &path)?,
            settings: kavenegar_settings.clone(),
            throttled_in_a_row: AtomicU32::new(0),
        })
    }

    /// Returns the form of a message, or the reason why the message cannot be sent.
    fn request(&self, message: &OutboundMessage, local_id: u64) -> Result<String, String> {
        match &self.settings.template {
            Some(template) => template_request(template, message),
            None => text_request(message.phone_sender(self.settings.sender.as_deref()), message, local_id),
        }
    }

    async fn send_once(&self, message: &OutboundMessage, local_id: u64) -> SendResult {
        let request_form = match self.request(message, local_id) {
            Ok(request_form) => request_form,
            Err(reason) => return Outcome::Rejected { reason }.into(),
        };
        match self.api.post_form(request_form).await {
            Ok(response) => codes::send_result(&response),
            Err(result) => result,
        }
    }

    /// Sets the cooldown of a throttled result.
    fn with_backoff(&self, mut sms_result: SendResult) -> SendResult {
        let Outcome::Throttled { retry_after } = &mut sms_result.outcome else {
            self.throttled_in_a_row.store(0, Ordering::Relaxed);
            return sms_result;
        };
        let doublings = self.throttled_in_a_row.fetch_add(1, Ordering::Relaxed).min(10);
        let cooldown = THROTTLE_BACKOFF.saturating_mul(1 << doublings);
        *retry_after = Some(cooldown.min(THROTTLE_BACKOFF_MAX));
        sms_result
    }
}

fn text_request(sender: Option<&str>, message: &OutboundMessage, local_id: u64) -> Result<String, String> {
    if message.body.chars().count() > TEXT_CHARS_MAX {
        return Err(format!("the text is longer than {TEXT_CHARS_MAX} characters"));
    }
    let Some(receptor) = to_national_mobile(&message.to) else {
        return Err("without a template only Iranian mobile numbers are supported".to_owned());
    };
    let mut sms_form = form_urlencoded::Serializer::new(String::new());
    sms_form
        .append_pair("receptor", &receptor)
        .append_pair("message", &message.body)
        .append_pair("localid", &local_id.to_string());
    if let Some(sender) = sender {
        sms_form.append_pair("sender", sender);
    }
    Ok(sms_form.finish())
}

fn template_request(template: &str, message: &OutboundMessage) -> Result<String, String> {
    let is_separator = |character: char| character.is_whitespace() || character == '_';
    let code = message.body.as_str();
    if code.is_empty() || code.contains(is_separator) || code.chars().count() > TOKEN_CHARS_MAX {
        return Err(format!(
            "a template value has 1 to {TOKEN_CHARS_MAX} characters without spaces and underscores: the code alone"
        ));
    }
    let mut template_form = form_urlencoded::Serializer::new(String::new());
    template_form
        .append_pair("receptor", &to_template_receptor(&message.to))
        .append_pair("template", template)
        .append_pair("token", code);
    Ok(template_form.finish())
}

/// Returns the gateway's id of a text. With `round` none, the id is the same in every round, so that a repeated call
/// does not send the text twice.
fn local_id(message: &OutboundMessage, round: Option<u32>) -> u64 {
    let digest = Sha256::new()
        .chain_update(message.message_id.bytes())
        .chain_update(message.delivery_id.0.to_be_bytes())
        .chain_update(round.unwrap_or_default().to_be_bytes())
        .finalize();
    let mut id_bytes = [0; 8];
    id_bytes.copy_from_slice(&digest[..8]);
    // Kavenegar's ids are signed 64-bit numbers.
    u64::from_be_bytes(id_bytes) >> 1
}

#[async_trait]
impl Provider for Kavenegar {
    /// Sends a message. If a text with the same id has failed before, Kavenegar returns the record of that text and
    /// sends nothing. A retry then needs another id.
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let mut sms_result = self.send_once(message, local_id(message, None)).await;
        let is_text_retry = self.settings.template.is_none() && message.round > 1;
        if is_text_retry && codes::is_failed_message(&sms_result) {
            sms_result = self.send_once(message, local_id(message, Some(message.round))).await;
        }
        self.with_backoff(sms_result)
    }

    fn concerns_destination(&self, code: &str) -> bool {
        codes::DESTINATION_CODES.contains(&code)
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        let token = self.settings.receipts_token.as_deref().ok_or(CallbackError::NotSupported)?;
        if !has_valid_token(request, token) {
            return Err(CallbackError::Unauthenticated);
        }
        let mut callback_fields = CallbackFields::from_callback(request)?;
        callback_fields.remove("token");
        callback::parse_callback(request, &callback_fields)
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
