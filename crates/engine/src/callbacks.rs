//! Ingests the items of a provider callback: receipts, late answers, inbound messages and opt-outs.
//!
//! A text that reads like a receipt counts only for a message to its sender. An inbound message without
//! a keyword is counted and not kept. Ingesting the same items again changes nothing and answers nothing twice.

use crate::accept::{self, AcceptError, AcceptRequest, RequestIdempotencyKey};
use crate::gateway::{Gateway, ProviderRuntime, Route};
use crate::receipts;
use postrider_core::inbound::{
    CallbackItem, InboundMessage, OptAction, OptChange, OptOutNotice, UnreadableKind,
};
use postrider_core::keywords::{KeywordAction, first_line};
use postrider_core::{address::parse_address, clock::Timestamp, error::Result, name::ConfigName};

mod text_receipts;

/// Result of an item that could not be read, in metrics.
const UNREADABLE: &str = "unreadable";

/// Applies all items of one callback.
pub async fn ingest(gateway: &Gateway, runtime: &ProviderRuntime, items: Vec<CallbackItem>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut text_receipts = Vec::new();
    let mut changes = Vec::new();
    let mut help_requests = Vec::new();
    for item in items {
        match item {
            CallbackItem::Receipt(receipt) => receipts.push(receipt),
            CallbackItem::InboundMessage(message) => {
                match apply_keywords(gateway, runtime, &message, &mut changes) {
                    InboundResult::Ignored => gateway.metrics.count_inbound_message("ignored"),
                    InboundResult::Help { channel, reply } => help_requests.push((channel, reply, message)),
                    InboundResult::StatusChange => {}
                }
            }
            CallbackItem::OptedOut(notice) => {
                let request = ProviderOptRequest::from_notice(notice);
                let routes = gateway.routes_of_provider(&runtime.name);
                changes.extend(routes.flat_map(|route| opt_changes(gateway, runtime, route, &request)));
            }
            CallbackItem::TextReceipt(receipt) => text_receipts.push(receipt),
            CallbackItem::Unreadable(UnreadableKind::Receipt) => gateway.metrics.count_receipt(UNREADABLE),
            CallbackItem::Unreadable(UnreadableKind::InboundMessage) => {
                gateway.metrics.count_inbound_message(UNREADABLE);
            }
            CallbackItem::AccountAccepted => runtime.record_account_accepted(gateway.clock.now()),
            CallbackItem::LateAcceptance(acceptance) => {
                receipts::apply_late_acceptance(gateway, &runtime.name, acceptance).await?;
            }
        }
    }
    let providers = providers_sharing_ids(gateway, runtime);
    for text_receipt in text_receipts {
        let sender = text_receipts::find_sender(gateway, runtime, &text_receipt).await?;
        let is_taken = match sender {
            Some(sender) => {
                receipts::apply_receipt_of_phone(gateway, &providers, &sender, text_receipt.receipt).await?
            }
            None => false,
        };
        if !is_taken {
            gateway.metrics.count_inbound_message("ignored");
        }
    }
    if !receipts.is_empty() {
        receipts::apply_receipts_of(gateway, &providers, receipts).await?;
    }
    apply_opt_changes(gateway, changes).await?;
    for (channel, reply, message) in help_requests {
        gateway.metrics.count_inbound_message("help");
        if let Some(reply) = reply {
            send_help_reply(gateway, runtime, channel, reply, message).await?;
        }
    }
    Ok(())
}

/// The meaning of an inbound message.
enum InboundResult {
    /// No keyword of any channel.
    Ignored,
    /// A help keyword, with the channel and the text of the answer.
    Help { channel: String, reply: Option<String> },
    /// An opt-out or opt-in keyword of at least one channel.
    StatusChange,
}

/// Looks for a keyword on every channel that uses the provider, and adds the changes of status.
fn apply_keywords(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    message: &InboundMessage,
    changes: &mut Vec<OptChange>,
) -> InboundResult {
    let mut result = InboundResult::Ignored;
    for route in gateway.routes_of_provider(&runtime.name) {
        let channel = &route.channel.name;
        let keywords = gateway.config.keywords.find(channel, &message.to);
        let action = match keywords.action_of(&message.body) {
            Some(KeywordAction::OptOut) => OptAction::OptOut,
            Some(KeywordAction::OptIn) => OptAction::OptIn,
            Some(KeywordAction::Help) => {
                // The person gets one answer, over the first channel that has one.
                if matches!(result, InboundResult::Ignored | InboundResult::Help { reply: None, .. }) {
                    let reply = keywords.help_reply.clone();
                    result = InboundResult::Help { channel: channel.to_string(), reply };
                }
                continue;
            }
            None => continue,
        };
        let request = ProviderOptRequest::from_inbound(message, action);
        changes.extend(opt_changes(gateway, runtime, route, &request));
        result = InboundResult::StatusChange;
    }
    result
}

/// Accepts the answer to a help keyword. A repeated callback with the provider's reference answers once.
async fn send_help_reply(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    channel: String,
    reply: String,
    message: InboundMessage,
) -> Result<()> {
    let idempotency_key = message.reference.map(|key| RequestIdempotencyKey {
        scope: format!("help/{}", runtime.name),
        key,
        fingerprint: String::new(),
    });
    let request = AcceptRequest {
        body: reply,
        addresses: vec![(channel, message.from)],
        // Counts for the throttle of the user, so that two programs that answer each other stop.
        expects_reply: Some(true),
        idempotency_key,
        ..AcceptRequest::default()
    };
    match accept::accept(gateway, request).await {
        Err(AcceptError::Store(error)) => Err(error),
        // The reasons are the person's: a short code without a number, an opt-out, the throttle.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Returns the provider and those at the same system, whose messages it may report: `shares_ids_with` of either.
fn providers_sharing_ids(gateway: &Gateway, runtime: &ProviderRuntime) -> Vec<ConfigName> {
    let adapter = runtime.adapter();
    let shares = |other: &ProviderRuntime| {
        adapter.shares_ids_with() == Some(other.name.as_str())
            || other.adapter().shares_ids_with() == Some(runtime.name.as_str())
    };
    let others = gateway.providers().iter().filter(|other| other.name != runtime.name && shares(other));
    std::iter::once(runtime.name.clone()).chain(others.map(|other| other.name.clone())).collect()
}

/// A request of a person to receive no more messages, or to receive them again.
struct ProviderOptRequest {
    action: OptAction,
    address: String,
    reason: String,
    reference: Option<String>,
    at: Timestamp,
}

impl ProviderOptRequest {
    fn from_inbound(message: &InboundMessage, action: OptAction) -> Self {
        Self {
            action,
            reason: format!("sent \"{}\"", first_line(&message.body)),
            address: message.from.clone(),
            reference: message.reference.clone(),
            at: message.at,
        }
    }

    fn from_notice(notice: OptOutNotice) -> Self {
        Self {
            action: OptAction::OptOut,
            address: notice.address,
            reason: notice.reason,
            reference: None,
            at: notice.at,
        }
    }
}

async fn apply_opt_changes(gateway: &Gateway, changes: Vec<OptChange>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let actions = changes.iter().map(|change| change.action).collect::<Vec<_>>();
    let are_applied = gateway.store.apply_opt_changes(changes).await?;
    for (action, is_applied) in actions.into_iter().zip(are_applied) {
        gateway.metrics.count_inbound_message(match (action, is_applied) {
            (OptAction::OptOut, true) => "opted_out",
            (OptAction::OptIn, true) => "opted_in",
            (OptAction::OptOut | OptAction::OptIn, false) => "unchanged",
        });
    }
    Ok(())
}

/// Returns one change for each address kind of the channel that the sender's address can be parsed as.
fn opt_changes(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    route: &Route,
    request: &ProviderOptRequest,
) -> Vec<OptChange> {
    let provider_kind = runtime.adapter().address_kind();
    let usable_kinds = route.address_kinds().iter().filter(|kind| kind.is_usable_by(provider_kind));
    let mut addresses = usable_kinds
        .filter_map(|kind| parse_address(*kind, &request.address, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    let opt_change_of = |address| OptChange {
        channel: route.channel.name.clone(),
        address,
        action: request.action,
        reason: request.reason.clone(),
        provider: runtime.name.clone(),
        reference: request.reference.clone(),
        at: request.at,
    };
    addresses.into_iter().map(opt_change_of).collect()
}

#[cfg(test)]
mod tests;
