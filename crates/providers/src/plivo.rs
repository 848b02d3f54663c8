//! SMS through Plivo's message resource: sending, status callbacks and inbound messages.
//!
//! Plivo has no idempotency key, so a call without a response is `Unknown`.

mod callback;
mod codes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use serde_json::{Value, json};

use postrider_core::address::AddressKind;
use postrider_core::attempt::SendResult;
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::callback_auth::has_valid_token;
use crate::provider::{OutboundMessage, Provider};
use crate::sms::{self, CallbackFields, NonceCache, SmsApi};
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
        // The empty segment adds the slash at the end of the URL, which Plivo requires.
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

    /// Returns the JSON document of a message.
    fn request(&self, message: &OutboundMessage) -> Value {
        let mut document = json!({
            "dst": sms::without_plus(&message.to),
            "text": message.body,
            "type": "sms",
        });
        if let Some(from) = message.phone_sender(self.settings.from.as_deref()) {
            document["src"] = json!(sms::without_plus(from));
        }
        if let Some(pool) = &self.settings.powerpack_uuid {
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

#[async_trait]
impl Provider for Plivo {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        match self.api.post_json(&self.request(message)).await {
            Ok(response) => codes::send_result(&response),
            Err(result) => result,
        }
    }

    fn concerns_destination(&self, code: &str) -> bool {
        codes::DESTINATION_CODES.contains(&code)
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        let token = self.settings.receipts_token.as_deref();
        if token.is_some_and(|token| !has_valid_token(request, token))
            || !signature::is_valid(&self.settings.auth_token, request, &self.nonces)
        {
            return Err(CallbackError::Unauthenticated);
        }
        callback::parse_callback(request, &CallbackFields::from_callback(request)?)
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
