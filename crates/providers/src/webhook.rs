//! Sends messages to HTTPS endpoints, signed as Standard Webhooks 1.0.0 requires. The URL is configured, or it is the
//! recipient's address.
//!
//! Recipients' URLs are untrusted, so every call passes the egress policy. The id and the body of a message are the same in
//! every round, so that an endpoint can recognise a repetition.

mod client;
mod outcomes;
mod settings;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::Url;
use serde_json::json;

use postrider_core::address::AddressKind;
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, from_millis};
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;

use crate::adapter_context::AdapterContext;
use crate::http_client::host_and_port;
use crate::provider::{OutboundMessage, Provider};
pub use client::{WebhookAnswer, WebhookClient, WebhookRequest, WebhookResult, parse_url};
use outcomes::{EndpointOwner, send_result};
pub use settings::WebhookSettings;
pub use signature::SigningSecrets;

/// A provider whose calls are webhooks.
pub struct WebhookProvider {
    url: Option<Url>,
    secrets: SigningSecrets,
    client: WebhookClient,
    clock: Clock,
}

impl WebhookProvider {
    /// Returns the provider that the settings describe.
    pub(super) fn new(context: &AdapterContext, settings: &WebhookSettings) -> Result<Self> {
        let (limits, transcript) = (&context.limits, context.http_clients.transcript());
        let client = WebhookClient::new(
            settings.egress_policy.clone(),
            limits.connect_timeout,
            limits.call_timeout,
            transcript.as_ref(),
        )?;
        let (url, secrets) = (settings.url.clone(), settings.secrets.clone());
        Ok(Self { url, secrets, client, clock: context.clock.clone() })
    }
}

#[async_trait]
impl Provider for WebhookProvider {
    async fn send(&self, message: &OutboundMessage) -> SendResult {
        let (url, owner) = match &self.url {
            Some(url) => (url.clone(), EndpointOwner::Operator),
            None => match self.client.parse_url(&message.to) {
                Ok(url) => (url, EndpointOwner::Recipient),
                Err(reason) => return Outcome::InvalidRecipient { reason }.into(),
            },
        };
        let request = WebhookRequest {
            url: &url,
            secrets: &self.secrets,
            id: &webhook_id(message),
            body: event_body(message, owner),
            now: self.clock.now(),
        };
        send_result(self.client.post(request).await, owner)
    }

    fn address_kind(&self) -> AddressKind {
        match self.url {
            Some(_) => AddressKind::Any,
            None => AddressKind::Url,
        }
    }

    fn endpoint(&self) -> (String, u16) {
        self.url.as_ref().map_or(("webhook".to_owned(), 0), host_and_port)
    }
}

/// Returns the `webhook-id`: the message's id and the number of the delivery in it, the same in every round.
fn webhook_id(message: &OutboundMessage) -> String {
    let id = message.message_id.to_string().replace('-', "");
    let delivery_number = message.delivery_id.0.rem_euclid(DeliveryId::PER_MESSAGE);
    format!("msg_{id}_{delivery_number}")
}

/// Returns the body, with the same bytes in every round. Its timestamp is the time of the message, which is part of the
/// message id.
fn event_body(message: &OutboundMessage, owner: EndpointOwner) -> Vec<u8> {
    let [a, b, c, d, e, f, ..] = message.message_id.bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let mut event = json!({
        "type": "message",
        "timestamp": from_millis(millis).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "data": {
            "message_id": message.message_id.to_string(),
            "subject": message.subject,
            "body": message.body,
        },
    });
    if owner == EndpointOwner::Operator {
        event["data"]["to"] = message.to.clone().into();
    }
    event.to_string().into_bytes()
}
