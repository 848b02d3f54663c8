//! Tells an event in the form of another gateway: builds the request, calls the client's URL, and judges the answer.
//!
//! Each form has its own file with the states that it tells, the bytes of its request and its rule for success. Retries,
//! dead letters and the egress policy are those of webhooks. A callback never contains the body of the message.

mod jasmin;
mod kannel;
pub(super) mod kannel_pattern;
mod receipt_words;
mod twilio;
mod vonage;

#[cfg(test)]
mod test_events;
#[cfg(test)]
mod tests;

use postrider_core::callback::{Callback, CallbackFormat};
use postrider_core::clock::Timestamp;
use postrider_core::event::Event;
use postrider_core::id::MessageId;
use postrider_providers::webhook::{self, WebhookClient};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request};
use sha2::{Digest, Sha256};

use super::outcome::CallVerdict;
use crate::gateway::Gateway;
use kannel_pattern::validate_pattern;

/// A request to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CallbackCall {
    pub method: Method,
    pub url: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

/// Facts about a delivery that its events do not contain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct DeliveryFacts {
    /// The provider's id of the message.
    reference: Option<String>,
    /// The time of acceptance.
    accepted_at: Option<Timestamp>,
    /// The sender of the message; none leaves it to the provider.
    sender: Option<String>,
}

/// Why no request is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NoCall {
    /// The client did not ask for this event.
    NotAskedFor,
    /// The event cannot be told; the text says why.
    Impossible(String),
}

/// Tells an event once and returns what follows for it.
pub async fn tell(
    gateway: &Gateway,
    client: &WebhookClient,
    event: &Event,
    callback: &Callback,
) -> CallVerdict {
    let facts = load_facts(gateway, event).await;
    let built = match callback.format {
        CallbackFormat::Twilio => {
            twilio::build(event, callback, twilio_token(gateway, callback).as_deref(), &facts)
        }
        CallbackFormat::Kannel { mask } => kannel::build(event, callback, mask, &facts),
        CallbackFormat::Jasmin { level, method } => jasmin::build(event, callback, level, method, &facts),
        CallbackFormat::Vonage => vonage::build(event, callback, &facts),
        CallbackFormat::Webhook => Err(NoCall::Impossible("a webhook has no other form".to_owned())),
    };
    let request = match built.and_then(|call| call.into_request(client)) {
        Ok(request) => request,
        Err(NoCall::NotAskedFor) => return CallVerdict::not_asked_for(),
        Err(NoCall::Impossible(reason)) => return CallVerdict::dead(reason),
    };
    let result = client.call(request).await;
    match callback.format {
        CallbackFormat::Jasmin { .. } => jasmin::judge(result),
        CallbackFormat::Twilio
        | CallbackFormat::Kannel { .. }
        | CallbackFormat::Vonage
        | CallbackFormat::Webhook => CallVerdict::from_result(result),
    }
}

/// Returns the auth token that signs Twilio's callbacks of an account.
fn twilio_token(gateway: &Gateway, callback: &Callback) -> Option<String> {
    let key = gateway.api_key(&callback.api_key)?;
    key.account.twilio.as_ref().map(|login| login.token.clone())
}

impl NoCall {
    /// Returns the reason, for people.
    pub(super) fn reason(self) -> String {
        match self {
            Self::NotAskedFor => "the client did not ask for this event".to_owned(),
            Self::Impossible(reason) => reason,
        }
    }
}

impl CallbackCall {
    /// Returns the request, whose URL may be called.
    pub(super) fn into_request(self, client: &WebhookClient) -> Result<Request, NoCall> {
        let url = client.parse_url(&self.url).map_err(NoCall::Impossible)?;
        let mut request = Request::new(self.method, url);
        for (name, text) in self.headers {
            let value = HeaderValue::from_str(&text)
                .map_err(|_| NoCall::Impossible(format!("{name} is not valid in an HTTP header")))?;
            request.headers_mut().insert(HeaderName::from_static(name), value);
        }
        if !self.body.is_empty() {
            *request.body_mut() = Some(self.body.into());
        }
        Ok(request)
    }
}

/// Reads the facts of an event's delivery. A message that was deleted or cannot be read has none: the event is told
/// without them rather than late.
async fn load_facts(gateway: &Gateway, event: &Event) -> DeliveryFacts {
    let message = match gateway.store.find_message(event.message).await {
        Ok(Some(message)) => message,
        Ok(None) => return DeliveryFacts::default(),
        Err(error) => {
            gateway.record_store_error("events: message of a callback could not be read", &error);
            return DeliveryFacts::default();
        }
    };
    let delivery = message.deliveries.iter().find(|delivery| delivery.id == event.key.delivery);
    let last_reference = delivery.and_then(|delivery| {
        let from_attempts = delivery.attempts.iter().rev().find_map(|attempt| attempt.reference.clone());
        delivery.reference.clone().or(from_attempts)
    });
    DeliveryFacts { reference: last_reference, accepted_at: Some(message.created_at), sender: message.sender }
}

/// Returns a UUID that is the same in every attempt to tell an event.
fn event_uuid(event: &Event) -> String {
    let digest: [u8; 32] = Sha256::digest(event.id().to_string()).into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    // Version 4 and the variant of RFC 9562.
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    MessageId::from_bytes(bytes).to_string()
}

/// Returns the validated URL of a callback. With Kannel's form it is a pattern with escapes, which stays as it is.
///
/// # Errors
///
/// Returns a text that says why the URL is not allowed.
pub fn validate_url(gateway: &Gateway, format: CallbackFormat, text: &str) -> Result<String, String> {
    let egress_policy = &gateway.config.events.egress_policy;
    if let CallbackFormat::Kannel { .. } = format {
        return validate_pattern(egress_policy, text);
    }
    let mut url = webhook::parse_url(egress_policy, text)?;
    url.set_fragment(None);
    Ok(url.to_string())
}
