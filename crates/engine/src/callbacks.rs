//! Ingests the items of a provider callback: receipts, inbound messages and opt-outs.
//!
//! Inbound messages that are no opt-in or opt-out keyword are counted and not kept. Ingesting the same items
//! again changes nothing.

use crate::gateway::{Gateway, ProviderRuntime, Route};
use crate::receipts;
use postrider_core::address::parse_address;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage, OptAction, OptChange};

/// Applies all items of one callback.
pub async fn ingest(gateway: &Gateway, runtime: &ProviderRuntime, items: Vec<CallbackItem>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut requests = Vec::new();
    for request in items {
        match request {
            CallbackItem::Receipt(receipt) => receipts.push(receipt),
            CallbackItem::InboundMessage(message) => match ProviderOptRequest::from_inbound(message) {
                Some(request) => requests.push(request),
                None => gateway.metrics.count_inbound_message("ignored"),
            },
            CallbackItem::OptedOut(opt_out) => requests.push(ProviderOptRequest {
                action: OptAction::OptOut,
                address: opt_out.address,
                reason: opt_out.reason,
                reference: None,
                at: opt_out.at,
            }),
        }
    }
    if !receipts.is_empty() {
        receipts::apply_receipts(gateway, &runtime.name, receipts).await?;
    }
    apply_opt_requests(gateway, runtime, &requests).await
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
    requests: &[ProviderOptRequest],
) -> Result<()> {
    let changes_for = |request| {
        let routes = gateway.routes_of_provider(&runtime.name);
        routes.flat_map(move |route| opt_changes(gateway, runtime, route, request))
    };
    let changes = requests.iter().flat_map(changes_for).collect::<Vec<_>>();
    if changes.is_empty() {
        return Ok(());
    }
    let actions = changes.iter().map(|change| change.action).collect::<Vec<_>>();
    let changed = gateway.store.apply_opt_changes(changes).await?;
    for (action, changed) in actions.into_iter().zip(changed) {
        gateway.metrics.count_inbound_message(match (action, changed) {
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
    let usable_kind = runtime.adapter().address_kind();
    let kinds = route.address_kinds().iter().filter(|kind| kind.is_usable_by(usable_kind));
    let mut addresses = kinds
        .filter_map(|kind| parse_address(*kind, &request.address, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    let to_change = |address| OptChange {
        channel: route.channel.name.clone(),
        address,
        action: request.action,
        reason: request.reason.clone(),
        provider: runtime.name.clone(),
        reference: request.reference.clone(),
        at: request.at,
    };
    addresses.into_iter().map(to_change).collect()
}
