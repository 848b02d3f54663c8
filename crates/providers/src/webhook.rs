//! Posts messages to HTTPS endpoints, signed as Standard Webhooks wants it: one endpoint that the configuration names, or
//! the URL that is the recipient's address.
//!
//! Those URLs are strangers' input, so calls go where `guard.rs` lets them and nowhere else. The id is the same however
//! often a message is sent, so an endpoint that was reached twice can tell.

mod client;
mod outcomes;
mod signature;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use reqwest::Url;
use serde::Deserialize;
use serde_json::json;

use super::egress_policy::EgressPolicy;
use super::settings_reader::read_table;
use super::{AdapterContext, CallbackError, CallbackRequest, OutboundMessage, Provider};
use postrider_core::attempt::{Outcome, SendResult};
use postrider_core::clock::{Clock, from_millis};
use postrider_core::error::{Error, Result};
use postrider_core::id::DeliveryId;
use postrider_core::inbound::CallbackItem;
use postrider_core::recipient::AddressKind;

pub use client::{WebhookClient, WebhookRequest, WebhookResult, parse_url};
use outcomes::{EndpointOwner, send_result};
pub use signature::SigningSecrets;

/// The keys of `kind = "webhook"`.
#[derive(Clone, Debug)]
pub struct WebhookSettings {
    url: Option<Url>,
    secrets: SigningSecrets,
    egress_policy: EgressPolicy,
}

/// The keys as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookSettingsTable {
    /// Where every message goes; without it, to the recipient's address.
    url: Option<String>,
    /// `whsec_` and Base64, the newest first. Several while receivers change from one to the next.
    secrets: Vec<String>,
    /// Networks that may be called although they are not public, also over http and on any port.
    #[serde(default)]
    networks: Vec<String>,
    /// Ports of public addresses that may be called.
    #[serde(default = "default_ports")]
    ports: Vec<u16>,
}

fn default_ports() -> Vec<u16> {
    vec![443]
}

impl WebhookSettings {
    /// Reads and checks everything.
    pub(super) fn read(table: toml::Table) -> Result<Self> {
        let written: WebhookSettingsTable = read_table(table)?;
        let fault = |key: &str| {
            let key = key.to_owned();
            move |cause: String| Error::usage(format!("{key}: {cause}"))
        };
        let secrets = SigningSecrets::parse(&written.secrets).map_err(fault("secrets"))?;
        if secrets.is_empty() {
            return Err(fault("secrets")(
                "is empty; nobody could tell our calls from others".to_owned(),
            ));
        }
        let guard = EgressPolicy::parse(&written.networks, &written.ports).map_err(fault("networks"))?;
        let url = written
            .url
            .map(|url| parse_url(&guard, &url).map_err(fault("url")));
        Ok(Self {
            url: url.transpose()?,
            secrets,
            egress_policy: guard,
        })
    }
}

/// A provider whose calls are webhooks.
pub struct WebhookProvider {
    url: Option<Url>,
    secrets: SigningSecrets,
    client: WebhookClient,
}

impl WebhookProvider {
    /// A provider as the settings describe it.
    pub(super) fn new(context: &AdapterContext, settings: &WebhookSettings) -> Result<Self> {
        let courier = WebhookClient::new(
            settings.egress_policy.clone(),
            context.limits.connect_timeout,
            context.limits.call_timeout,
        )?;
        Ok(Self {
            url: settings.url.clone(),
            secrets: settings.secrets.clone(),
            client: courier.with_transcript(context.http_clients.transcript()),
        })
    }
}

#[async_trait]
impl Provider for WebhookProvider {
    async fn send(&self, parcel: &OutboundMessage) -> SendResult {
        let (url, whose) = match &self.url {
            Some(url) => (url.clone(), EndpointOwner::Operator),
            None => match self.client.parse_url(&parcel.to) {
                Ok(url) => (url, EndpointOwner::Recipient),
                Err(reason) => return Outcome::InvalidRecipient { reason }.into(),
            },
        };
        let letter = WebhookRequest {
            url: &url,
            secrets: &self.secrets,
            id: &webhook_id(parcel),
            body: event_body(parcel, whose),
            now: Clock::System.now(),
        };
        send_result(self.client.post(letter).await, whose)
    }

    fn parse_callback_sync(&self, _call: &CallbackRequest) -> Result<Vec<CallbackItem>, CallbackError> {
        Err(CallbackError::NotSupported)
    }

    fn address_kind(&self) -> AddressKind {
        match self.url {
            Some(_) => AddressKind::Any,
            None => AddressKind::Url,
        }
    }

    fn endpoint(&self) -> (String, u16) {
        let named = |url: &Url| {
            let port = url.port_or_known_default().unwrap_or_default();
            (url.host_str().unwrap_or_default().to_owned(), port)
        };
        self.url.as_ref().map_or(("webhook".to_owned(), 0), named)
    }
}

/// The message's name and the delivery's place in it: the same in every round.
fn webhook_id(parcel: &OutboundMessage) -> String {
    let message = parcel.message_id.to_string().replace('-', "");
    format!(
        "msg_{message}_{}",
        parcel.delivery_id.0.rem_euclid(DeliveryId::PER_MESSAGE)
    )
}

/// The same bytes in every round: the time is that of the message, which its name begins with.
fn event_body(parcel: &OutboundMessage, whose: EndpointOwner) -> Vec<u8> {
    let [a, b, c, d, e, f, ..] = parcel.message_id.bytes();
    let millis = i64::from_be_bytes([0, 0, a, b, c, d, e, f]);
    let mut told = json!({
        "type": "message",
        "timestamp": from_millis(millis).to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
        "data": {
            "message_id": parcel.message_id.to_string(),
            "subject": parcel.subject,
            "body": parcel.body,
        },
    });
    if whose == EndpointOwner::Operator {
        told["data"]["to"] = parcel.to.clone().into();
    }
    told.to_string().into_bytes()
}
