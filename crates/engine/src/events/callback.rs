//! Tells an event in the form of another gateway: builds the request, calls the client's URL, and judges the answer.
//!
//! Each form has its own file with the states that it tells, the bytes of its request and its rule for success. Retries,
//! dead letters and the egress policy are those of webhooks. A callback never contains the body of the message.

pub(super) mod call;
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
use postrider_core::event::Event;
use postrider_providers::webhook::{self, WebhookClient};

use super::outcome::CallVerdict;
use crate::gateway::Gateway;
use call::{DeliveryFacts, NoCall};
pub use kannel_pattern::ADDED_PLUS;
use kannel_pattern::validate_pattern;

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
