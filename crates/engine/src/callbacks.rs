//! Ingests the items of a provider callback: receipts, late answers, inbound messages and opt-outs.
//!
//! A text that has the form of a receipt counts as a receipt only if its sender is the recipient of the message. An
//! inbound message without an opt-in or opt-out keyword is counted and not kept. Ingesting the same items again changes
//! nothing.

use crate::gateway::{Gateway, ProviderRuntime, Route};
use crate::receipts;
use postrider_core::inbound::{CallbackItem, InboundMessage, OptAction, OptChange, UnreadableKind};
use postrider_core::{address::parse_address, clock::Timestamp, error::Result, name::ConfigName};

mod text_receipts;

/// Result of an item that could not be read, in metrics.
const UNREADABLE: &str = "unreadable";

/// Applies all items of one callback.
pub async fn ingest(gateway: &Gateway, runtime: &ProviderRuntime, items: Vec<CallbackItem>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut text_receipts = Vec::new();
    let mut opt_requests = Vec::new();
    for item in items {
        match item {
            CallbackItem::Receipt(receipt) => receipts.push(receipt),
            CallbackItem::InboundMessage(message) => match ProviderOptRequest::from_inbound(message) {
                Some(request) => opt_requests.push(request),
                None => gateway.metrics.count_inbound_message("ignored"),
            },
            CallbackItem::TextReceipt(receipt) => text_receipts.push(receipt),
            CallbackItem::Unreadable(UnreadableKind::Receipt) => gateway.metrics.count_receipt(UNREADABLE),
            CallbackItem::Unreadable(UnreadableKind::InboundMessage) => {
                gateway.metrics.count_inbound_message(UNREADABLE);
            }
            CallbackItem::AccountAccepted => runtime.record_account_accepted(gateway.clock.now()),
            CallbackItem::OptedOut(opt_out) => opt_requests.push(ProviderOptRequest {
                action: OptAction::OptOut,
                address: opt_out.address,
                reason: opt_out.reason,
                reference: None,
                at: opt_out.at,
            }),
            CallbackItem::LateAcceptance(acceptance) => {
                receipts::apply_late_acceptance(gateway, &runtime.name, acceptance).await?;
            }
        }
    }
    for text_receipt in text_receipts {
        if text_receipts::is_from_recipient(gateway, runtime, &text_receipt).await? {
            receipts.push(text_receipt.receipt);
        } else {
            gateway.metrics.count_inbound_message("ignored");
        }
    }
    if !receipts.is_empty() {
        receipts::apply_receipts_of(gateway, &providers_sharing_ids(gateway, runtime), receipts).await?;
    }
    apply_opt_requests(gateway, runtime, &opt_requests).await
}

/// Returns the provider and all providers whose messages it may report, because one of the two names the other in
/// `shares_ids_with`.
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
    fn from_inbound(message: InboundMessage) -> Option<Self> {
        Some(Self {
            action: message.opt_action()?,
            reason: format!("sent \"{}\"", message.body.trim()),
            address: message.from,
            reference: message.reference,
            at: message.at,
        })
    }
}

/// Applies the requests on every channel that uses the provider.
async fn apply_opt_requests(
    gateway: &Gateway,
    runtime: &ProviderRuntime,
    opt_requests: &[ProviderOptRequest],
) -> Result<()> {
    let changes_of = |request| {
        let routes = gateway.routes_of_provider(&runtime.name);
        routes.flat_map(move |route| opt_changes(gateway, runtime, route, request))
    };
    let changes = opt_requests.iter().flat_map(changes_of).collect::<Vec<_>>();
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
