//! `/secure/sendbatch`: many messages in one request, stored in one transaction.
//!
//! Jasmin reports each message of a batch to `callback_url` or `errback_url`; this gateway does not. A message that cannot be
//! accepted is counted in the metric of refused messages and named in the log without its number.

#[cfg(test)]
mod tests;

use axum::body::Body;
use axum::http::{Extensions, Response, StatusCode};
use chrono::{NaiveDateTime, TimeDelta};
use serde_json::{Map, Value};

use super::answers::{self, json_text};
use super::credentials::{Credentials, fields_of};
use super::{arguments, send};
use crate::compat::account::{self, CompatCaller};
use postrider_core::clock::Timestamp;
use postrider_core::id::MessageId;
use postrider_engine::accept::AcceptBatch;
use postrider_engine::config::Scope;
use postrider_engine::gateway::Gateway;

/// Accepts the messages of a batch. Messages without a number or a content are left out silently, as in Jasmin.
pub(super) async fn send_batch(
    gateway: &Gateway,
    extensions: &Extensions,
    credentials: &Credentials,
    object: &Map<String, Value>,
) -> Response<Body> {
    let Credentials { user, password } = credentials;
    let caller = match account::authorize(gateway, extensions, user, password, Scope::Send) {
        Ok(caller) => caller,
        Err(error) => {
            let (status, title) = (StatusCode::PRECONDITION_FAILED, "Authentication failed");
            let description = format!("Authentication failed for user {user}");
            return answers::titled_response(status, title, &description, Some(error.denial()));
        }
    };
    let now = gateway.clock.now();
    let schedule = object.get("batch_config").and_then(|config| config.get("schedule_at"));
    let send_at = match schedule.and_then(Value::as_str).map(|text| parse_schedule(text, now)).transpose() {
        Ok(send_at) => send_at,
        Err(title) => {
            return answers::titled_response(StatusCode::PRECONDITION_FAILED, title, title, None);
        }
    };
    let messages = batch_messages(object);
    let message_count = messages.len();
    if let Err(response) = store(gateway, &caller, credentials, messages, send_at).await {
        return *response;
    }
    let batch_id = MessageId::new(now, gateway.random.bytes());
    let scheduled = send_at.map_or_else(String::new, |send_at| {
        format!(", \"scheduled\": {}", json_text(&format!("{}s", (send_at - now).num_seconds())))
    });
    answers::success_document(&format!(
        "{{\"batchId\": \"{batch_id}\", \"messageCount\": {message_count}{scheduled}}}"
    ))
}

/// Stores all valid messages or none; they are on disk when this returns.
async fn store(
    gateway: &Gateway,
    caller: &CompatCaller,
    credentials: &Credentials,
    messages: Vec<Map<String, Value>>,
    send_at: Option<Timestamp>,
) -> Result<(), Box<Response<Body>>> {
    let mut batch = AcceptBatch::default();
    let mut refused_count = 0;
    for message in messages {
        let fields = fields_of(credentials, &message);
        let request = arguments::check_send(&fields)
            .and_then(|()| send::decode_content(&fields))
            .and_then(|content| send::accept_request(gateway, caller, &fields, content));
        let is_added = request.is_ok_and(|mut request| {
            request.send_at = request.send_at.or(send_at);
            batch.add(gateway, request).is_ok()
        });
        refused_count += u64::from(!is_added);
    }
    if refused_count > 0 {
        log::warn!(
            "jasmin batch: messages not accepted; count={refused_count} account={}",
            caller.api_key_name
        );
    }
    match batch.store(gateway).await {
        Ok(_) => Ok(()),
        Err(error) => {
            gateway.record_store_error("jasmin batch: store error", &error);
            let text = "Cannot send submit_sm, check SMPPClientManagerPB log file for details";
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(Box::new(answers::titled_response(status, text, text, None)))
        }
    }
}

/// Returns the messages with the global arguments, one for each number, without those that have no number or no content.
fn batch_messages(object: &Map<String, Value>) -> Vec<Map<String, Value>> {
    let globals = object.get("globals").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut messages = Vec::new();
    for message in object.get("messages").and_then(Value::as_array).into_iter().flatten() {
        let mut arguments = globals.clone();
        arguments.extend(message.as_object().cloned().unwrap_or_default());
        let has_content =
            ["content", "hex-content", "hex_content"].iter().any(|name| arguments.contains_key(*name));
        let numbers = match arguments.remove("to") {
            Some(Value::Array(numbers)) => numbers,
            Some(number) => vec![number],
            None => Vec::new(),
        };
        for number in numbers.into_iter().filter(|_| has_content) {
            let mut message = arguments.clone();
            message.insert("to".to_owned(), number);
            messages.push(message);
        }
    }
    messages
}

/// Parses `schedule_at`: a date in UTC, or seconds from now such as `86400s`. The error is the text of Jasmin.
fn parse_schedule(text: &str, now: Timestamp) -> Result<Timestamp, &'static str> {
    const UNREADABLE: &str = "Cannot parse scheduled_at value";
    if let Some(seconds) = text.strip_suffix('s') {
        let delay =
            seconds.parse().ok().and_then(TimeDelta::try_seconds).filter(|delay| *delay >= TimeDelta::zero());
        return delay.and_then(|delay| now.checked_add_signed(delay)).ok_or(UNREADABLE);
    }
    let date = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").map_err(|_| UNREADABLE)?.and_utc();
    if date < now { Err("Cannot schedule batch in past date") } else { Ok(date) }
}
