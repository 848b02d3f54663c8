//! Sends push notifications to Apple devices through APNs over HTTP/2.
//!
//! APNs does not report delivery; the app can acknowledge a message (`receipts_token`). The collapse id is the same in
//! every round of a delivery, so that a device replaces the notification that the device already shows.

mod codes;
mod provider_token;
mod settings;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::Request;
use reqwest::header::{HeaderName, HeaderValue};
use serde_json::json;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::from_millis;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::inbound::CallbackItem;

use crate::account_evidence::AccountEvidence;
use crate::adapter_context::AdapterContext;
use crate::app_receipts::app_receipt_parser;
use crate::base_url::BaseUrl;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest};
use crate::callback_receipts::CallbackReceiptParser;
use crate::http_client::{ConnectionRequirements, HttpClient};
use crate::json_api::{JsonResponse, gateway_id, json_post_request, set_bearer_token};
use crate::provider::{AccountCheck, OutboundMessage, Provider};
use crate::token_renewal::send_with_token;
use provider_token::ProviderTokenSigner;
pub use settings::ApnsSettings;

/// Accepted lengths of a device token, in hexadecimal digits.
const DEVICE_TOKEN_DIGITS: std::ops::RangeInclusive<usize> = 32..=200;

/// An app that receives pushes.
pub struct Apns {
    settings: ApnsSettings,
    base_url: BaseUrl,
    client: HttpClient,
    signer: ProviderTokenSigner,
    app_receipts: Option<CallbackReceiptParser>,
    account_evidence: AccountEvidence,
}

impl Apns {
    /// Returns the app that the settings describe.
    pub(super) fn new(context: &AdapterContext, apns_settings: &ApnsSettings) -> Result<Self> {
        let base_url = apns_settings.base_url()?;
        let requirements = ConnectionRequirements {
            is_tls: base_url.is_secure(),
            is_http2_only: true,
            ca: apns_settings.ca.clone(),
        };
        Ok(Self {
            client: context.http_clients.client_with(&context.limits, requirements)?,
            base_url,
            signer: ProviderTokenSigner::new(apns_settings, context.clock.clone())?,
            app_receipts: app_receipt_parser(apns_settings.receipts_token.as_deref())?,
            account_evidence: AccountEvidence::default(),
            settings: apns_settings.clone(),
        })
    }

    /// Returns the request of a message with a provider token.
    fn request(&self, message: &OutboundMessage, token: &str) -> Request {
        let message_id = gateway_id(message).to_string();
        let mut alert = json!({"body": message.body});
        if let Some(title) = message.subject.as_ref().or(self.settings.title.as_ref()) {
            alert["title"] = json!(title);
        }
        let mut aps = json!({"alert": alert});
        if let Some(sound) = &self.settings.sound {
            aps["sound"] = json!(sound);
        }
        let mut apns_document = json!({"aps": aps, "gw_id": message_id});
        for (name, text) in &self.settings.data {
            apns_document[name] = json!(text);
        }
        let device_url = self.base_url.resource_url(&["3", "device", &message.to]);
        let mut request = json_post_request(device_url, &apns_document);
        set_bearer_token(request.headers_mut(), token);
        let expires_at = message.expires_at.timestamp().max(0).to_string();
        for (header, text) in [
            ("apns-topic", self.settings.topic.as_str()),
            ("apns-push-type", "alert"),
            ("apns-id", &message_id),
            ("apns-collapse-id", &message_id),
            ("apns-expiration", &expires_at),
            ("apns-priority", self.settings.priority.header_value()),
        ] {
            if let Ok(header_value) = HeaderValue::from_str(text) {
                request.headers_mut().insert(HeaderName::from_static(header), header_value);
            }
        }
        request
    }

    async fn call(&self, message: &OutboundMessage) -> Result<JsonResponse, SendResult> {
        let request = |token: &str| self.request(message, token);
        send_with_token(&self.client, &self.signer, request, codes::is_token_expired).await
    }
}

#[async_trait]
impl Provider for Apns {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let is_digit = |byte: u8| byte.is_ascii_hexdigit();
        if !DEVICE_TOKEN_DIGITS.contains(&message.to.len()) || !message.to.bytes().all(is_digit) {
            let reason = "invalid device token: expected hexadecimal digits".to_owned();
            return Outcome::InvalidRecipient { reason }.into();
        }
        let apns_result = match self.call(message).await {
            Ok(response) => {
                codes::send_result(&response, message.registered_at, || gateway_id(message).to_string())
            }
            Err(apns_result) => apns_result,
        };
        let is_mismatch = codes::is_environment_or_topic_mismatch(&apns_result);
        let suspicion =
            "the device tokens may belong to the other environment (sandbox) or to another app (topic)";
        self.account_evidence.assess(apns_result, is_mismatch, suspicion)
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        CallbackReceiptParser::parse_callback(self.app_receipts.as_ref(), request)
    }

    fn callback_mode(&self) -> CallbackMode {
        CallbackMode::authenticated_if(self.app_receipts.is_some())
    }

    fn uses_registration_time(&self) -> bool {
        true
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Push
    }

    fn endpoint(&self) -> (String, u16) {
        self.base_url.endpoint()
    }

    /// Sends to a device that does not exist; APNs checks the account before the device.
    async fn check_account(&self) -> AccountCheck {
        let message = OutboundMessage {
            delivery_id: DeliveryId(0),
            message_id: MessageId::from_bytes([0; 16]),
            round: 0,
            to: "0".repeat(64),
            spelling: String::new(),
            registered_at: None,
            subject: None,
            sender: None,
            body: "dry run".to_owned(),
            parts: 1,
            expires_at: from_millis(0),
        };
        let apns_result = match self.call(&message).await {
            Ok(response) => codes::send_result(&response, None, String::new),
            Err(apns_result) => apns_result,
        };
        match apns_result.outcome {
            Outcome::Accepted { .. } | Outcome::InvalidRecipient { .. } => {
                AccountCheck::Passed("key, team and topic are valid".to_owned())
            }
            failure => AccountCheck::failed(&failure),
        }
    }
}
