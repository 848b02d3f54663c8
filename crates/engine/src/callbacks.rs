//! Ingests the items of a provider callback: receipts, inbound messages and opt-outs.
//!
//! Inbound messages that are no opt-in or opt-out keyword are counted and not kept. Ingesting the same items
//! again changes nothing.

use crate::gateway::{Gateway, ProviderRuntime, Route};
use crate::receipts;
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::inbound::{CallbackItem, InboundMessage, OptAction, OptChange};
use postrider_core::recipient;

/// Applies all items of one callback.
pub async fn ingest(gateway: &Gateway, lane: &ProviderRuntime, incoming: Vec<CallbackItem>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut asked = Vec::new();
    for one in incoming {
        match one {
            CallbackItem::Receipt(receipt) => receipts.push(receipt),
            CallbackItem::InboundMessage(text) => match ProviderOptRequest::from_inbound(text) {
                Some(one) => asked.push(one),
                None => gateway.metrics.count_inbound_message("ignored"),
            },
            CallbackItem::OptedOut(said) => asked.push(ProviderOptRequest {
                action: OptAction::OptOut,
                address: said.address,
                reason: said.reason,
                reference: None,
                at: said.at,
            }),
        }
    }
    if !receipts.is_empty() {
        receipts::apply_receipts(gateway, &lane.name, receipts).await?;
    }
    apply_opt_requests(gateway, lane, &asked).await
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
    fn from_inbound(text: InboundMessage) -> Option<Self> {
        Some(Self {
            action: text.opt_action()?,
            reason: format!("wrote \"{}\"", text.body.trim()),
            address: text.from,
            reference: text.reference,
            at: text.at,
        })
    }
}

/// Applies the requests on every channel that uses the provider.
async fn apply_opt_requests(
    gateway: &Gateway,
    lane: &ProviderRuntime,
    asked: &[ProviderOptRequest],
) -> Result<()> {
    let over = |asked| {
        let routes = gateway.routes_of_provider(&lane.name);
        routes.flat_map(move |route| opt_changes(gateway, lane, route, asked))
    };
    let wishes = asked.iter().flat_map(over).collect::<Vec<_>>();
    if wishes.is_empty() {
        return Ok(());
    }
    let kinds = wishes.iter().map(|opting| opting.action).collect::<Vec<_>>();
    let changed = gateway.store.apply_opt_changes(wishes).await?;
    for (wish, changed) in kinds.into_iter().zip(changed) {
        gateway.metrics.count_inbound_message(match (wish, changed) {
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
    lane: &ProviderRuntime,
    route: &Route,
    asked: &ProviderOptRequest,
) -> Vec<OptChange> {
    let wanted = lane.provider.address_kind();
    let kinds = route
        .address_kinds()
        .iter()
        .filter(|kind| kind.is_usable_by(wanted));
    let mut addresses = kinds
        .filter_map(|kind| recipient::parse_address(*kind, &asked.address, &gateway.config.phone).ok())
        .collect::<Vec<_>>();
    addresses.dedup();
    let opting = |address| OptChange {
        channel: route.channel.name.clone(),
        address,
        action: asked.action,
        reason: asked.reason.clone(),
        provider: lane.name.clone(),
        reference: asked.reference.clone(),
        at: asked.at,
    };
    addresses.into_iter().map(opting).collect()
}
