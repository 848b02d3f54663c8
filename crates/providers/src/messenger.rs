//! Sends messages from a Facebook page to people with an open conversation, and receives signed webhooks.
//!
//! The page's token is part of every URL, so no URL is ever shown. The Send API has no idempotency key, so a call without
//! a response is `Unknown`.

mod callback;
mod codes;
mod sent_messages;
mod settings;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hmac::Hmac;
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;

use crate::adapter_context::AdapterContext;
use crate::base_url::BaseUrl;
use crate::callback::{CallbackError, CallbackMode, CallbackRequest, CallbackResponse};
use crate::http_client::HttpClient;
use crate::json_api::{into_json_response, json_post_request};
use crate::provider::{AccountCheck, OutboundMessage, Provider};
use crate::signing::{encode_hex, hmac_digest};
use sent_messages::SentMessages;
pub use settings::MessengerSettings;

/// A Facebook page.
pub struct Messenger {
    settings: MessengerSettings,
    base_url: BaseUrl,
    client: HttpClient,
    /// HMAC of the token with the app's secret, which Facebook can require.
    appsecret_proof: Option<String>,
    sent_messages: SentMessages,
    clock: Clock,
}

impl Messenger {
    /// Returns the page that the settings describe.
    pub(super) fn new(context: &AdapterContext, messenger_settings: &MessengerSettings) -> Result<Self> {
        let base_url = messenger_settings.base_url()?;
        let page_token = messenger_settings.access_token.as_bytes();
        let appsecret_hmac = |secret: &str| hmac_digest::<Hmac<Sha256>>(secret.as_bytes(), &[page_token]);
        Ok(Self {
            client: context.http_clients.client(&context.limits, base_url.is_secure())?,
            base_url,
            appsecret_proof: messenger_settings
                .app_secret
                .as_deref()
                .and_then(appsecret_hmac)
                .map(|hmac| encode_hex(&hmac)),
            settings: messenger_settings.clone(),
            sent_messages: SentMessages::default(),
            clock: context.clock.clone(),
        })
    }

    /// Returns the URL of a resource of the page, with the credentials.
    fn url(&self, segments: &[&str]) -> Url {
        let path = [&[self.settings.version.as_str(), &self.settings.page_id], segments].concat();
        let mut url = self.base_url.resource_url(&path);
        url.query_pairs_mut()
            .append_pair("access_token", &self.settings.access_token)
            .extend_pairs(self.appsecret_proof.iter().map(|proof| ("appsecret_proof", proof)));
        url
    }

    /// Returns the JSON document of a message.
    fn request(&self, message: &OutboundMessage) -> Value {
        let mut messenger_document = json!({
            "recipient": {"id": message.to},
            "messaging_type": self.settings.messaging_type,
            "message": {"text": message.body},
        });
        if let Some(tag) = &self.settings.tag {
            messenger_document["tag"] = json!(tag);
        }
        if let Some(notification_type) = &self.settings.notification_type {
            messenger_document["notification_type"] = json!(notification_type);
        }
        messenger_document
    }
}

#[async_trait]
impl Provider for Messenger {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let request = json_post_request(self.url(&["messages"]), &self.request(message));
        // Read before the call, so that it is not later than the time that Facebook records for the message.
        let sent_at = self.clock.now();
        let messenger_result = match into_json_response(self.client.call(request).await) {
            Ok(response) => codes::send_result(&response),
            Err(messenger_result) => return messenger_result,
        };
        if let Outcome::Accepted { reference: Some(id) } = &messenger_result.outcome {
            self.sent_messages.record(&message.to, id, sent_at);
        }
        messenger_result
    }

    async fn parse_callback(&self, request: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        callback::parse_callback(&self.settings, &self.sent_messages, request)
    }

    fn callback_response(&self, request: &CallbackRequest) -> Option<CallbackResponse> {
        callback::challenge(request).map(|body| CallbackResponse { content_type: Some("text/plain"), body })
    }

    /// A callback contains the events of many users.
    fn callback_bytes_max(&self) -> usize {
        usize::MAX
    }

    fn callback_mode(&self) -> CallbackMode {
        let has_secret = self.settings.app_secret.is_some() || self.settings.verify_token.is_some();
        CallbackMode::authenticated_if(has_secret)
    }

    fn address_kind(&self) -> AddressKind {
        AddressKind::Messenger
    }

    fn endpoint(&self) -> (String, u16) {
        self.base_url.endpoint()
    }

    async fn check_account(&self) -> AccountCheck {
        let mut page_url = self.url(&[]);
        page_url.query_pairs_mut().append_pair("fields", "id");
        let response = match into_json_response(self.client.call(Request::new(Method::GET, page_url)).await) {
            Ok(response) => response,
            Err(result) => return AccountCheck::failed(&result.outcome),
        };
        if response.status == 200 && response.str_at("/id").is_some() {
            return AccountCheck::Passed("the token is valid for this page".to_owned());
        }
        let messenger_code = response.json.pointer("/error/code");
        let messenger_code = messenger_code.map_or_else(|| response.http_status_text(), Value::to_string);
        let description = response.status_outcome().description;
        AccountCheck::Failed(format!(
            "{description} (code {messenger_code}); check access_token, page_id and app_secret"
        ))
    }
}
