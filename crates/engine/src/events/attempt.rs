//! One attempt to send an event: endpoint, payload, and the state that follows from the response.
//!
//! Makes one call; the caller writes to the store.

use postrider_core::clock::{Timestamp, saturating_add};
use postrider_core::delivery::Failure;
use postrider_core::event::{ClaimedEvent, Event, EventAttemptResult, EventStatus, EventTarget};

use reqwest::Url;
use serde_json::json;

use super::callback;
use super::endpoints::EndpointResult;
use super::forward::forward;
use super::outcome::{CallVerdict, EventOutcome};
use super::signing::signing_secrets;
use crate::config::EventsConfig;
use crate::{gateway::Gateway, usage::rfc3339};
use postrider_providers::webhook::{SigningSecrets, WebhookClient, WebhookRequest};

/// Result of an attempt.
pub struct EventAttempt {
    /// Result for the store.
    pub result: EventAttemptResult,
    /// Result for the backoff of the endpoint.
    pub endpoint_result: EndpointResult,
    /// True if the endpoint answered 410 Gone.
    pub is_gone: bool,
}

/// Sends a claimed event once.
pub async fn send_event(gateway: &Gateway, client: &WebhookClient, claimed: &ClaimedEvent) -> EventAttempt {
    let event = &claimed.event;
    let CallVerdict { outcome, description, is_gone } = match &event.target {
        EventTarget::Callback(callback) => callback::tell(gateway, client, event, callback).await,
        EventTarget::InboundRoute(name) => forward(gateway, client, event, name).await,
        EventTarget::Url { .. } | EventTarget::ApiKey(_) => post_webhook(gateway, client, event).await,
    };
    let endpoint_result = match outcome {
        EventOutcome::Retry(retry_after) => EndpointResult::Failure(retry_after),
        // A final error does not count against the endpoint's host, because it concerns one URL.
        EventOutcome::Delivered | EventOutcome::Dead => EndpointResult::Success,
    };
    let (now, fraction) = (gateway.clock.now(), gateway.random.fraction());
    let attempt_result =
        next_event_state(&gateway.config.events, claimed, outcome, description, now, fraction);
    EventAttempt { result: attempt_result, endpoint_result, is_gone }
}

async fn post_webhook(gateway: &Gateway, client: &WebhookClient, event: &Event) -> CallVerdict {
    let (url, secrets) = match resolve_endpoint(gateway, client, event) {
        Ok(endpoint) => endpoint,
        Err(reason) => return CallVerdict::dead(reason),
    };
    let request = WebhookRequest {
        url: &url,
        secrets: &secrets,
        id: &event.id().to_string(),
        body: render_payload(event).into_bytes(),
        now: gateway.clock.now(),
    };
    CallVerdict::from_result(client.post(request).await)
}

/// Returns the URL and the signing secrets of an event, according to the current configuration.
fn resolve_endpoint(
    gateway: &Gateway,
    client: &WebhookClient,
    event: &Event,
) -> Result<(Url, SigningSecrets), String> {
    let (url, api_key) = match &event.target {
        EventTarget::Url { url, api_key } => (url.clone(), gateway.api_key(api_key)),
        EventTarget::InboundRoute(_) => return Err("an inbound route has its own form".to_owned()),
        EventTarget::Callback(_) => return Err("a callback has its own form".to_owned()),
        EventTarget::ApiKey(name) => {
            let api_key = gateway.api_key(name).ok_or_else(|| format!("API key {name} is not configured"))?;
            let events_url = api_key.events.url.clone();
            (events_url.ok_or_else(|| format!("API key {name} has no events_url"))?, Some(api_key))
        }
    };
    let secrets = signing_secrets(&gateway.config.events, api_key.as_deref())
        .ok_or("no signing secrets for events are configured")?;
    Ok((client.parse_url(&url)?, secrets.clone()))
}

/// Returns the next state of an event. After the last delay or at the maximum age the event is a dead letter.
fn next_event_state(
    events: &EventsConfig,
    claimed: &ClaimedEvent,
    outcome: EventOutcome,
    description: String,
    now: Timestamp,
    fraction: f64,
) -> EventAttemptResult {
    let event = &claimed.event;
    let mut tries = event.tries;
    let http_status = match outcome {
        EventOutcome::Delivered => EventStatus::Delivered { at: now },
        EventOutcome::Dead => EventStatus::Dead { at: now },
        EventOutcome::Retry(retry_after) => {
            tries = tries.saturating_add(1);
            let delay_index = usize::try_from(tries).unwrap_or(usize::MAX) - 1;
            let next_attempt_at = events.retry_schedule.get(delay_index).map(|delay| {
                let jittered_delay = delay.mul_f64(0.9 + 0.2 * fraction.clamp(0.0, 1.0));
                saturating_add(now, jittered_delay.max(retry_after.unwrap_or_default()))
            });
            match next_attempt_at {
                Some(due_at) if due_at <= saturating_add(event.at, events.age_max) => {
                    EventStatus::Waiting { due_at }
                }
                _ => EventStatus::Dead { at: now },
            }
        }
    };
    EventAttemptResult {
        key: event.key,
        claims: claimed.claims,
        status: http_status,
        tries,
        result: description,
    }
}

/// Returns the JSON payload of an event; the same bytes for each attempt. Events never contain the message
/// body.
pub fn render_payload(event: &Event) -> String {
    json!({
        "type": format!("message.{}", event.event_type.as_str()),
        "timestamp": rfc3339(event.at),
        "data": {
            "message_id": event.message.to_string(),
            "channel": event.channel.to_string(),
            "to": event.spelling,
            "status": event.event_type.as_str(),
            "failure": event.failure.map(Failure::as_str),
            "reason": event.reason,
            "provider": event.provider.as_ref().map(ToString::to_string),
            "sequence": event.key.sequence,
        },
    })
    .to_string()
}

#[cfg(test)]
mod tests;
