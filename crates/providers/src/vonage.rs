//! SMS through Vonage's SMS API: sending, delivery receipts and inbound messages.
//!
//! Vonage has no idempotency key, so a call without a response is `Unknown`.

mod callback;
mod codes;
mod segments;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;

use postrider_core::address::AddressKind;
use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::text_parts::{Alphabet, count_parts};

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::provider::{OutboundMessage, Provider};
use crate::sms::{self, CallbackFields, NonceCache, SmsApi};
use segments::VonageSegments;
pub use settings::VonageSettings;

/// Range of `ttl`, the time for which the carrier tries to deliver, in milliseconds.
const VONAGE_TTL_MS: std::ops::Range<i64> = 20_000..604_800_000;

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
    pub(super) fn new(context: &AdapterContext, vonage_settings: &VonageSettings) -> Result<Self> {
        let callback_url = sms::callback_url(context, vonage_settings.receipts_token.as_deref());
        let has_callbacks =
            vonage_settings.has_authenticated_callbacks() && sms::is_publicly_reachable(&callback_url);
        Ok(Self {
            api: SmsApi::new(context, &vonage_settings.base_url()?, &["sms", "json"])?,
            callback_url: has_callbacks.then_some(callback_url),
            settings: vonage_settings.clone(),
            segments: VonageSegments::default(),
            nonces: NonceCache::default(),
            clock: context.clock.clone(),
        })
    }

    /// Returns the form of a message.
    fn request(&self, message: &OutboundMessage) -> String {
        let text_type = match count_parts(&message.body).alphabet {
            Alphabet::Gsm7 => "text",
            Alphabet::Ucs2 => "unicode",
        };
        let mut vonage_form = form_urlencoded::Serializer::new(String::new());
        vonage_form
            .append_pair("api_key", &self.settings.api_key)
            .append_pair("api_secret", &self.settings.api_secret)
            .append_pair("from", &self.settings.from)
            .append_pair("to", sms::without_plus(&message.to))
            .append_pair("type", text_type)
            .append_pair("text", &message.body)
            .append_pair("client-ref", &format!("{}-{}", message.delivery_id, message.round));
        let remaining_ms = (message.expires_at - self.clock.now()).num_milliseconds();
        if remaining_ms < VONAGE_TTL_MS.end {
            vonage_form.append_pair("ttl", &remaining_ms.max(VONAGE_TTL_MS.start).to_string());
        }
        if let Some(url) = &self.callback_url {
            vonage_form.append_pair("callback", url);
        }
        vonage_form.finish()
    }
}

#[async_trait]
impl Provider for Vonage {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        match self.api.post_form(self.request(message)).await {
            Ok(response) => codes::send_result(&response, &self.segments),
            Err(result) => result,
        }
    }

    fn concerns_destination(&self, code: &str) -> bool {
        codes::DESTINATION_CODES.contains(&code)
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        if !self.settings.has_authenticated_callbacks() {
            return Err(CallbackError::NotSupported);
        }
        let token = self.settings.receipts_token.as_deref();
        if token.is_some_and(|token| !has_valid_token(request, token)) {
            return Err(CallbackError::Unauthenticated);
        }
        let callback_fields = CallbackFields::from_callback(request)?;
        let secret = self.settings.signature_secret.as_deref();
        let method = self.settings.signature_method;
        let is_signed_by =
            |secret: &str| signature::is_valid(secret, method, request, &callback_fields, &self.nonces);
        if secret.is_some_and(|secret| !is_signed_by(secret)) {
            return Err(CallbackError::Unauthenticated);
        }
        callback::parse_callback(request, &callback_fields, &self.segments)
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
