//! Sends messages from a Facebook page to people with an open conversation, and receives signed webhooks.
//!
//! The page's token is part of every URL, so no URL is ever shown. The Send API has no idempotency key.

mod callbacks;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hmac::Hmac;
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use super::base_url::BaseUrl;
use super::http_client::HttpClient;
use super::json_api::{into_json_response, json_post_request};
use super::signing::{encode_hex, hmac_digest};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse,
    OutboundMessage, Provider,
};
use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use callbacks::SentMessages;
pub use settings::MessengerSettings;

/// A Facebook page.
pub struct Messenger {
    settings: MessengerSettings,
    base_url: BaseUrl,
    /// HMAC of the token with the app's secret, which Facebook can require.
    appsecret_proof: Option<String>,
    sent_messages: SentMessages,
    client: HttpClient,
    clock: Clock,
}

impl Messenger {
    /// Creates the adapter.
    pub(super) fn new(context: &AdapterContext, settings: &MessengerSettings) -> Result<Self> {
        let secret = settings.app_secret.as_deref();
        let base_url = settings.base_url()?;
        Ok(Self {
            appsecret_proof: secret
                .and_then(|secret| compute_appsecret_proof(secret, &settings.access_token)),
            sent_messages: SentMessages::default(),
            client: context.http_clients.client(&context.limits, base_url.is_secure())?,
            settings: settings.clone(),
            base_url,
            clock: context.clock.clone(),
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let settings = &self.settings;
        let path = [&[settings.version.as_str(), &settings.page_id], segments].concat();
        let mut url = self.base_url.resource_url(&path);
        let mut query = url.query_pairs_mut();
        query.append_pair("access_token", &settings.access_token);
        if let Some(proof) = &self.appsecret_proof {
            query.append_pair("appsecret_proof", proof);
        }
        drop(query);
        url
    }

    fn message_json(&self, message: &OutboundMessage) -> Value {
        let settings = &self.settings;
        let mut document = json!({
            "recipient": {"id": message.to},
            "messaging_type": settings.messaging_type,
            "message": {"text": message.body},
        });
        if let Some(tag) = &settings.tag {
            document["tag"] = json!(tag);
        }
        if let Some(kind) = &settings.notification_type {
            document["notification_type"] = json!(kind);
        }
        document
    }
}

/// Returns the HMAC of the token with the app's secret.
fn compute_appsecret_proof(secret: &str, token: &str) -> Option<String> {
    let digest = hmac_digest::<Hmac<Sha256>>(secret.as_bytes(), &[token.as_bytes()])?;
    Some(encode_hex(&digest))
}

#[async_trait]
impl Provider for Messenger {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let request = json_post_request(self.url(&["messages"]), &self.message_json(message));
        // Taken before the call, so that it is not later than Facebook's time of the message.
        let sent_at = self.clock.now();
        let response = match into_json_response(self.client.call(request).await) {
            Ok(response) => response,
            Err(result) => return result,
        };
        let result = response::send_result(&response);
        if let Outcome::Accepted { reference: Some(id) } = &result.outcome {
            self.sent_messages.record(&message.to, id, sent_at);
        }
        result
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        callbacks::parse_callback(&self.settings, &self.sent_messages, request)
    }

    fn callback_response(&self, request: &CallbackRequest) -> Option<CallbackResponse> {
        callbacks::challenge(request).map(|body| CallbackResponse { content_type: Some("text/plain"), body })
    }

    fn callback_mode(&self) -> CallbackMode {
        let settings = &self.settings;
        CallbackMode::authenticated_if(settings.app_secret.is_some() || settings.verify_token.is_some())
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Messenger
    }

    async fn check_account(&self) -> AccountCheck {
        let mut url = self.url(&[]);
        url.query_pairs_mut().append_pair("fields", "id");
        match into_json_response(self.client.call(Request::new(Method::GET, url)).await) {
            Ok(response) if response.status == 200 && response.str_at("/id").is_some() => {
                AccountCheck::Passed("the token is valid for this page".to_owned())
            }
            Ok(response) => {
                let code = response
                    .json
                    .pointer("/error/code")
                    .map_or_else(|| response.http_status_text(), Value::to_string);
                let description = response.status_outcome().description;
                AccountCheck::Failed(format!(
                    "{description} (code {code}); check access_token, page_id and app_secret"
                ))
            }
            Err(result) => AccountCheck::Failed(result.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.base_url.endpoint()
    }
}
