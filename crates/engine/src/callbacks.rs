//! Ingests the items of a provider callback: receipts, late answers, inbound messages and opt-outs.
//!
//! A text that reads like a receipt counts only for a message to its sender. Inbound messages are stored by
//! [`crate::inbound`]. Ingesting the same items again changes nothing and answers nothing twice.

use crate::gateway::{Gateway, ProviderRuntime};
use crate::inbound::{self, ProviderOptRequest, count_opt_changes, opt_changes};
use crate::receipts;
use postrider_core::inbound::{CallbackItem, OptAction, OptChange, OptOutNotice, UnreadableKind};
use postrider_core::{error::Result, name::ConfigName};

mod text_receipts;

/// Result of an item that could not be read, in metrics.
const UNREADABLE_CALLBACK: &str = "unreadable";

/// Applies all items of one callback.
pub async fn ingest(gateway: &Gateway, runtime: &ProviderRuntime, items: Vec<CallbackItem>) -> Result<()> {
    let mut receipts = Vec::new();
    let mut text_receipts = Vec::new();
    let mut changes = Vec::new();
    let mut inbound_messages = Vec::new();
    for item in items {
        match item {
            CallbackItem::Receipt(receipt) => receipts.push(receipt),
            CallbackItem::InboundMessage(message) => inbound_messages.push(message),
            CallbackItem::OptedOut(notice) => {
                let request = opt_request(notice);
                let routes = gateway.routes_of_provider(&runtime.name);
                changes.extend(routes.flat_map(|route| opt_changes(gateway, runtime, route, &request)));
            }
            CallbackItem::TextReceipt(receipt) => text_receipts.push(receipt),
            CallbackItem::Unreadable(UnreadableKind::Receipt) => {
                gateway.metrics.count_receipt(UNREADABLE_CALLBACK);
            }
            CallbackItem::Unreadable(UnreadableKind::InboundMessage) => {
                gateway.metrics.count_inbound_message(UNREADABLE_CALLBACK);
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
    inbound::store(gateway, runtime, inbound_messages).await
}

fn opt_request(notice: OptOutNotice) -> ProviderOptRequest {
    ProviderOptRequest {
        action: OptAction::OptOut,
        address: notice.address,
        reason: notice.reason,
        reference: None,
        at: notice.at,
    }
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

async fn apply_opt_changes(gateway: &Gateway, changes: Vec<OptChange>) -> Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let is_applied = gateway.store.apply_opt_changes(changes.clone()).await?;
    count_opt_changes(gateway, &changes, &is_applied);
    Ok(())
}

#[cfg(test)]
mod tests;
