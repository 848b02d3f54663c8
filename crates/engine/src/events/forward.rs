//! Forwards an inbound message to the target of its route, and accepts the replies in the answer.
//!
//! The event of the message holds the retries; the text is read from the store for each call, so that it exists once. A
//! repeated call replies once, because the id of the inbound message is the idempotency key of its replies.

mod requests;
mod routed_message;
mod twiml;

use postrider_core::error::Error;
use postrider_core::event::Event;
use postrider_core::name::ConfigName;
use postrider_providers::webhook::{WebhookAnswer, WebhookClient, WebhookResult};
use std::time::Duration;

use super::callback::call::CallbackCall;
use super::outcome::{CallVerdict, EventOutcome};
use crate::accept::{self, AcceptError, AcceptRequest};
use crate::config::InboundRouteTarget;
use crate::gateway::Gateway;
use crate::inbound::reply_key;
use routed_message::{Reply, RoutedMessage};

/// Maximum number of replies to one inbound message.
const REPLIES_MAX: usize = 5;

/// The text of an e-mail about an inbound message without a text, such as one with a picture only.
const NO_TEXT: &str = "(no text)";

/// Forwards the inbound message of a claimed event once and returns what follows for the event.
pub async fn forward(
    gateway: &Gateway,
    client: &WebhookClient,
    event: &Event,
    route_name: &str,
) -> CallVerdict {
    let routes = &gateway.config.inbound_routes;
    let Some(route) = routes.iter().find(|route| route.name == route_name) else {
        return CallVerdict::dead(format!("inbound route {route_name} is not configured"));
    };
    let Some(target) = &route.target else {
        return CallVerdict::dead(format!("inbound route {route_name} has no target any more"));
    };
    let record = match gateway.store.find_inbound(event.message).await {
        Ok(Some(record)) => record,
        Ok(None) => return CallVerdict::dead("the inbound message was deleted".to_owned()),
        Err(error) => return store_failed(gateway, &error),
    };
    let message = RoutedMessage { route, record: &record, event };
    let verdict = match target {
        InboundRouteTarget::Webhook(url) => {
            requests::post_webhook(gateway, client, &message, Some(url)).await
        }
        InboundRouteTarget::AccountWebhook => requests::post_webhook(gateway, client, &message, None).await,
        InboundRouteTarget::GetUrl(pattern) => {
            let call = requests::kannel_call(&message, pattern);
            call_and_reply(gateway, client, &message, call, requests::kannel_replies).await
        }
        InboundRouteTarget::TwilioUrl(url) => match requests::twilio_call(gateway, &message, url) {
            Ok(call) => call_and_reply(gateway, client, &message, call, requests::twilio_replies).await,
            Err(reason) => CallVerdict::dead(reason),
        },
        InboundRouteTarget::Email { channel, address } => {
            forward_by_email(gateway, &message, channel, address).await
        }
    };
    if verdict.outcome != EventOutcome::Delivered {
        return verdict;
    }
    match gateway.store.mark_forwarded(vec![record.id], gateway.clock.now()).await {
        Ok(()) => verdict,
        Err(error) => store_failed(gateway, &error),
    }
}

fn store_failed(gateway: &Gateway, error: &Error) -> CallVerdict {
    gateway.record_store_error("events: store error while an inbound message was forwarded", error);
    let description = "the store is not available".to_owned();
    CallVerdict { outcome: EventOutcome::Retry(None), description, is_gone: false }
}

/// Makes a call and accepts the replies in its answer.
async fn call_and_reply(
    gateway: &Gateway,
    client: &WebhookClient,
    message: &RoutedMessage<'_>,
    call: CallbackCall,
    replies_of: impl FnOnce(u16, &WebhookAnswer) -> Result<Vec<Reply>, String>,
) -> CallVerdict {
    let request = match call.into_request(client) {
        Ok(request) => request,
        Err(no_call) => return CallVerdict::dead(no_call.reason()),
    };
    let (result, answer) = client.call_for_answer(request).await;
    let status = match &result {
        WebhookResult::Response { status, .. } => *status,
        _ => 0,
    };
    let mut verdict = CallVerdict::from_result(result);
    if verdict.outcome != EventOutcome::Delivered {
        return verdict;
    }
    match replies_of(status, &answer) {
        Ok(replies) => accept_replies(gateway, message, replies, verdict).await,
        Err(problem) => {
            verdict.description = format!("{}; no reply: {problem}", verdict.description);
            verdict
        }
    }
}

/// Accepts replies as messages of the account. A reply that is refused is not tried again.
async fn accept_replies(
    gateway: &Gateway,
    message: &RoutedMessage<'_>,
    replies: Vec<Reply>,
    mut verdict: CallVerdict,
) -> CallVerdict {
    let mut refusals = Vec::new();
    if replies.len() > REPLIES_MAX {
        refusals.push("too many replies");
    }
    for (index, reply) in replies.into_iter().take(REPLIES_MAX).enumerate() {
        match accept_reply(gateway, message, index, reply).await {
            Ok(()) => {}
            Err(AcceptError::Store(error)) => return store_failed(gateway, &error),
            Err(refusal) => refusals.push(refusal.metric_label()),
        }
    }
    if !refusals.is_empty() {
        verdict.description = format!("{}; reply refused: {}", verdict.description, refusals.join(", "));
    }
    verdict
}

async fn accept_reply(
    gateway: &Gateway,
    message: &RoutedMessage<'_>,
    index: usize,
    reply: Reply,
) -> Result<(), AcceptError> {
    let record = message.record;
    let channel = record.channel.as_ref().ok_or(AcceptError::NoRecipient)?;
    // A reply to another person is a message that the account has to send itself.
    if reply.to.is_some_and(|to| !is_sender(gateway, channel, &to, &record.from)) {
        return Err(AcceptError::NoRecipient);
    }
    let request = AcceptRequest {
        body: reply.body,
        addresses: vec![(channel.to_string(), record.from.clone())],
        api_key_name: message.route.account.clone(),
        // Counts for the throttle of the user, so that two programs that answer each other stop.
        expects_reply: Some(true),
        idempotency_key: Some(reply_key(record.id, &format!("reply {index}"))),
        ..AcceptRequest::default()
    };
    accept::accept(gateway, request).await.map(drop)
}

/// Returns whether a spelling is the address of the sender.
fn is_sender(gateway: &Gateway, channel: &ConfigName, spelling: &str, sender: &str) -> bool {
    let phone_rules = &gateway.config.phone;
    let kinds = gateway.route(channel.as_str()).map(|route| route.address_kinds()).unwrap_or_default();
    let mut addresses = kinds
        .iter()
        .filter_map(|kind| postrider_core::address::parse_address(*kind, spelling, phone_rules).ok());
    spelling == sender || addresses.any(|address| address == sender)
}

/// Accepts a message to the e-mail address of the route.
async fn forward_by_email(
    gateway: &Gateway,
    message: &RoutedMessage<'_>,
    channel: &ConfigName,
    address: &str,
) -> CallVerdict {
    let record = message.record;
    let text = if record.body.is_empty() { NO_TEXT } else { &record.body };
    let request = AcceptRequest {
        // No provider can send U+0000.
        body: text.replace('\0', ""),
        subject: Some(format!("Text from {} to {}", one_line(&record.from), one_line(&record.to))),
        addresses: vec![(channel.to_string(), address.to_owned())],
        api_key_name: message.route.account.clone(),
        idempotency_key: Some(reply_key(record.id, "email")),
        ..AcceptRequest::default()
    };
    let retry = |retry_after: Option<Duration>, description: &str| CallVerdict {
        outcome: EventOutcome::Retry(retry_after),
        description: description.to_owned(),
        is_gone: false,
    };
    match accept::accept(gateway, request).await {
        Ok(accepted) => {
            let description = format!("accepted as message {}", accepted.id);
            CallVerdict { outcome: EventOutcome::Delivered, description, is_gone: false }
        }
        Err(AcceptError::Store(error)) => store_failed(gateway, &error),
        Err(AcceptError::Throttled { retry_after } | AcceptError::SpendingLimit { retry_after }) => {
            retry(Some(retry_after), "not accepted: a limit is reached")
        }
        Err(refusal) => CallVerdict::dead(format!("not accepted: {}", refusal.metric_label())),
    }
}

/// Returns a text without control characters, for a subject.
fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests;
