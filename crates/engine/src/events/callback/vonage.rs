//! Delivery receipts of Vonage: JSON for each final state.

use postrider_core::callback::Callback;
use postrider_core::delivery::Failure;
use postrider_core::event::{Event, EventType};
use reqwest::Method;
use serde_json::{Map, Value};

use super::call::{CallbackCall, DeliveryFacts, NoCall};
use super::receipt_words::receipt_time;

/// Builds the request for a final state.
pub fn build(event: &Event, callback: &Callback, facts: &DeliveryFacts) -> Result<CallbackCall, NoCall> {
    let (status, error_code) = status_and_error(event).ok_or(NoCall::NotAskedFor)?;
    let field = |name| callback.field(name).unwrap_or_default().to_owned();
    let recipient = event.spelling.trim_start_matches('+').to_owned();
    let mut receipt = Map::new();
    for (name, text) in [
        ("msisdn", recipient),
        ("to", callback.field("to").or(facts.sender.as_deref()).unwrap_or_default().to_owned()),
        ("network-code", field("network-code")),
        (
            "messageId",
            callback.field("messageId").map_or_else(|| event.message.to_vonage_id(), str::to_owned),
        ),
        ("price", callback.field("price").unwrap_or("0.00000000").to_owned()),
        ("status", status.to_owned()),
        ("scts", receipt_time(event.at)),
        ("err-code", error_code.to_owned()),
        ("api-key", field("api-key")),
        ("message-timestamp", event.at.format("%Y-%m-%d %H:%M:%S").to_string()),
    ] {
        receipt.insert(name.to_owned(), Value::String(text));
    }
    if let Some(client_ref) = callback.field("client-ref") {
        receipt.insert("client-ref".to_owned(), Value::String(client_ref.to_owned()));
    }
    let headers = vec![("content-type", "application/json".to_owned())];
    let body = Value::Object(receipt).to_string();
    Ok(CallbackCall { method: Method::POST, url: callback.url.clone(), headers, body })
}

/// Returns `status` and `err-code`; none for a state that is not final.
pub fn status_and_error(event: &Event) -> Option<(&'static str, &'static str)> {
    match event.event_type {
        EventType::Waiting | EventType::Sent | EventType::Opened | EventType::Received => None,
        EventType::Delivered => Some(("delivered", "0")),
        EventType::Failed => Some(match event.failure {
            Some(Failure::InvalidRecipient) => ("failed", "3"),
            Some(Failure::Rejected) => ("rejected", "10"),
            // The recipient has sent STOP.
            Some(Failure::Suppressed) => ("rejected", "9"),
            Some(Failure::Expired) => ("expired", "1"),
            Some(Failure::Unknown) => ("unknown", "1"),
            Some(Failure::Bounced | Failure::Exhausted | Failure::Cancelled) | None => ("failed", "1"),
        }),
    }
}

#[cfg(test)]
mod tests;
