//! Facebook Messenger: messages from a page to people who have written to it.
//!
//! `answer.rs` reads what the Send API says, `webhook.rs` what Facebook tells us later, signed with the app's secret. The
//! page's token stands in every URL, so no URL is ever shown. There is no idempotency key.

mod callbacks;
mod response;
mod settings;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, Request, Url};
use serde_json::{Value, json};
use sha2::Sha256;

use super::http_client::HttpClient;
use super::json_api::{OutcomeCode, into_json_response, json_post_request};
use super::{
    AccountCheck, AdapterContext, CallbackError, CallbackMode, CallbackRequest, CallbackResponse,
    OutboundMessage, Provider,
};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::Clock;
use postrider_core::error::Result;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

use callbacks::SentMessages;
pub use settings::MessengerSettings;

/// A page.
pub struct Messenger {
    settings: MessengerSettings,
    /// Proves that who has the token also has the app's secret.
    appsecret_proof: Option<String>,
    sent_messages: SentMessages,
    client: HttpClient,
    clock: Clock,
}

impl Messenger {
    /// A page as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &MessengerSettings) -> Result<Self> {
        let secret = settings.app_secret.as_deref();
        Ok(Self {
            appsecret_proof: secret
                .and_then(|secret| compute_appsecret_proof(secret, &settings.access_token)),
            sent_messages: SentMessages::default(),
            client: context
                .http_clients
                .client(&context.limits, settings.base_url.is_secure())?,
            settings: settings.clone(),
            clock: context.clock.clone(),
        })
    }

    fn url(&self, segments: &[&str]) -> Url {
        let settings = &self.settings;
        let path = [&[settings.version.as_str(), &settings.page_id], segments].concat();
        let mut url = settings.base_url.resource_url(&path);
        let mut query = url.query_pairs_mut();
        query.append_pair("access_token", &settings.access_token);
        if let Some(proof) = &self.appsecret_proof {
            query.append_pair("appsecret_proof", proof);
        }
        drop(query);
        url
    }

    fn message_json(&self, parcel: &OutboundMessage) -> Value {
        let settings = &self.settings;
        let mut document = json!({
            "recipient": {"id": parcel.to},
            "messaging_type": settings.messaging_type,
            "message": {"text": parcel.body},
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

/// The token signed with the app's secret.
fn compute_appsecret_proof(secret: &str, token: &str) -> Option<String> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(token.as_bytes());
    let digest = mac.finalize().into_bytes();
    Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[async_trait]
impl Provider for Messenger {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let request = json_post_request(self.url(&["messages"]), &self.message_json(parcel));
        // Before the call: Facebook's time of the message must not lie before ours.
        let began = self.clock.now();
        let heard = match into_json_response(self.client.call(request).await) {
            Ok(heard) => heard,
            Err(answer) => return answer,
        };
        let answer = response::send_result(&heard);
        if let Outcome::Accepted { reference: Some(id) } = &answer.outcome {
            self.sent_messages.record(&parcel.to, id, began);
        }
        answer
    }

    fn parse_callback_sync(&self, call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        callbacks::parse_callback(&self.settings, &self.sent_messages, call)
    }

    fn callback_response(&self, call: &CallbackRequest) -> Option<CallbackResponse> {
        callbacks::challenge(call).map(|body| CallbackResponse {
            content_type: Some("text/plain"),
            body,
        })
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
            Ok(heard) if heard.status == 200 && heard.str_at("/id").is_some() => {
                AccountCheck::Passed("the token is good for this page".to_owned())
            }
            Ok(heard) => {
                let code = heard
                    .json
                    .pointer("/error/code")
                    .map_or_else(|| heard.http_status_text(), Value::to_string);
                let words = OutcomeCode::from_http_status(heard.status).description;
                AccountCheck::Failed(format!(
                    "{words} (code {code}); are access_token, page_id and app_secret right?"
                ))
            }
            Err(answer) => AccountCheck::Failed(answer.outcome.reason().unwrap_or_default().to_owned()),
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.settings.base_url.endpoint()
    }
}
