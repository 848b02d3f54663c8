//! Delivery receipts of Jasmin: the provider's answer (level 1), the final state (level 2), or both.
//!
//! The receiver confirms with a status below 400 and the body `ACK/Jasmin`.

use form_urlencoded::Serializer;
use postrider_core::callback::{Callback, CallbackMethod, JasminLevel};
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventType};
use postrider_providers::webhook::WebhookResult;
use reqwest::Method;

use super::call::{CallbackCall, DeliveryFacts, NoCall};
use super::receipt_words::{delivered_count, error_code, failed_before_it_was_sent, receipt_time, stat};
use crate::events::outcome::{CallVerdict, EventOutcome, describe};

/// The body with which a receiver confirms a callback.
const ACKNOWLEDGEMENT: &str = "ACK/Jasmin";

/// The value of a field that is not known.
const NOT_KNOWN: &str = "ND";

/// Builds the request for an event that the level asks for.
pub fn build(
    event: &Event,
    callback: &Callback,
    level: JasminLevel,
    method: CallbackMethod,
    facts: &DeliveryFacts,
) -> Result<CallbackCall, NoCall> {
    let (event_level, status) = level_and_status(event, level).ok_or(NoCall::NotAskedFor)?;
    let pairs = form_pairs(event, event_level, status, facts);
    let fields = Serializer::new(String::new()).extend_pairs(pairs).finish();
    let (method, url, body) = match method {
        CallbackMethod::Post => (Method::POST, callback.url.clone(), fields),
        CallbackMethod::Get => {
            let separator = if callback.url.contains('?') { '&' } else { '?' };
            (Method::GET, format!("{}{separator}{fields}", callback.url), String::new())
        }
    };
    let headers = vec![
        ("user-agent", "Jasmin gateway/1.0 DLRThrower".to_owned()),
        ("accept", "text/plain".to_owned()),
        ("content-type", "application/x-www-form-urlencoded".to_owned()),
    ];
    Ok(CallbackCall { method, url, headers, body })
}

/// Returns the level and the status of an event; none for an event that is not told. A failure before the message was sent
/// is a negative answer of level 1 when that level was asked for, and no event of level 2 follows.
pub fn level_and_status(event: &Event, level: JasminLevel) -> Option<(&'static str, &'static str)> {
    let asks_for_answer = level != JasminLevel::Terminal;
    let asks_for_final = level != JasminLevel::Provider;
    match event.event_type {
        EventType::Waiting | EventType::Opened | EventType::Received => None,
        EventType::Sent => asks_for_answer.then_some(("1", "ESME_ROK")),
        EventType::Delivered => asks_for_final.then_some(("2", stat(event))),
        EventType::Failed => {
            let negative_answer = match event.failure {
                Some(Failure::InvalidRecipient) => Some("ESME_RINVDSTADR"),
                Some(Failure::Rejected | Failure::Suppressed) => Some("ESME_RSUBMITFAIL"),
                _ if asks_for_final => None,
                _ => Some("ESME_RSUBMITFAIL"),
            };
            let answer = negative_answer.filter(|_| asks_for_answer && failed_before_it_was_sent(event));
            answer.map(|status| ("1", status)).or_else(|| asks_for_final.then_some(("2", stat(event))))
        }
    }
}

fn form_pairs(
    event: &Event,
    event_level: &str,
    status: &str,
    facts: &DeliveryFacts,
) -> Vec<(&'static str, String)> {
    let reference = facts.reference.as_deref().unwrap_or(NOT_KNOWN);
    let provider = event.provider.as_ref().map_or(NOT_KNOWN, |provider| provider.as_str());
    let is_final = event_level == "2";
    let mut pairs = vec![
        ("id", event.message.to_string()),
        ("level", event_level.to_owned()),
        ("message_status", status.to_owned()),
        // Jasmin names the connector in level 1 and, by an oversight that clients know, the provider's id in level 2.
        ("connector", if is_final { reference } else { provider }.to_owned()),
    ];
    if is_final {
        let submitted_at = facts.accepted_at.map_or_else(|| NOT_KNOWN.to_owned(), receipt_time);
        pairs.extend([
            ("id_smsc", reference.to_owned()),
            ("sub", "001".to_owned()),
            ("dlvrd", delivered_count(event).to_owned()),
            ("subdate", submitted_at),
            ("donedate", receipt_time(event.at)),
            ("err", error_code(event).to_owned()),
            ("text", NOT_KNOWN.to_owned()),
        ]);
    }
    pairs
}

/// Judges the answer of the receiver. 404 and 410 end the event at once.
pub fn judge(result: WebhookResult) -> CallVerdict {
    match result {
        WebhookResult::Response { status, body_excerpt, .. }
            if status < 400 && body_excerpt.trim() == ACKNOWLEDGEMENT =>
        {
            let description = format!("HTTP {status}");
            CallVerdict { outcome: EventOutcome::Delivered, description, is_gone: false }
        }
        WebhookResult::Response { status: 404, body_excerpt, .. } => {
            CallVerdict::dead(describe(404, &body_excerpt))
        }
        WebhookResult::Response { status, retry_after, body_excerpt } if status < 400 => CallVerdict {
            outcome: EventOutcome::Retry(retry_after),
            description: format!("the body is not {ACKNOWLEDGEMENT}: {}", describe(status, &body_excerpt)),
            is_gone: false,
        },
        other => CallVerdict::from_result(other),
    }
}

#[cfg(test)]
mod tests;
