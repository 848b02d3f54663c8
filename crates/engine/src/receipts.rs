//! Applies receipts: a receipt changes the state of its delivery, or waits in the store until the delivery is recorded.
//!
//! Applying the same receipt again changes nothing.

mod soft_bounces;

use self::soft_bounces::deactivate_after_soft_bounces;
use crate::gateway::Gateway;
use postrider_core::inbound::LateAcceptance;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::{
    delivery::DeliveryState, error::Result, id::DeliveryId, name::ConfigName, queue_entry::QueueEntry,
};
use postrider_providers::CallbackMode;
use postrider_store::{MatchedDelivery, ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};
use std::time::Duration;

/// Number of times that a late answer looks for the record of its round, and the delay between two. A round is recorded
/// within milliseconds after the end of its call.
const LATE_ACCEPTANCE_TRIES: u32 = 5;
const LATE_ACCEPTANCE_DELAY: Duration = Duration::from_millis(200);

/// Minimum time between two log lines about dropped receipts, in seconds.
const DROPPED_LOG_SECONDS: i64 = 60;

/// Applies receipts of one provider, which can only concern its own deliveries.
///
/// Repeated receipts and receipts for ended deliveries change nothing. A receipt for an unknown reference is kept
/// until the send is recorded, unless the provider's receipts are unauthenticated. Returns the results in the
/// order of the receipts.
pub async fn apply_receipts(
    gateway: &Gateway,
    provider: &ConfigName,
    receipts: Vec<Receipt>,
) -> Result<Vec<ReceiptResult>> {
    let received_at = gateway.clock.now();
    let runtime = gateway.provider(provider);
    let can_wait = runtime.is_some_and(|runtime| runtime.adapter().callback_mode() != CallbackMode::Unsigned);
    let received = receipts
        .into_iter()
        .map(|receipt| ReceivedReceipt {
            provider: Some(provider.clone()),
            receipt,
            delivery: None,
            received_at,
            can_wait,
            sender: None,
        })
        .collect();
    apply(gateway, received).await
}

/// Applies an answer "accepted" that came after its call had ended, so that no further copy is sent. Waits a moment for the
/// record of the call's round, which may still be in progress. Repeating it changes nothing.
pub async fn apply_late_acceptance(
    gateway: &Gateway,
    provider: &ConfigName,
    acceptance: LateAcceptance,
) -> Result<()> {
    let mut receipt_result = ReceiptResult::Unmatched;
    for attempt in 0..LATE_ACCEPTANCE_TRIES {
        if attempt > 0 {
            gateway.clock.sleep(LATE_ACCEPTANCE_DELAY).await;
        }
        let received_at = gateway.clock.now();
        receipt_result =
            gateway.store.apply_late_acceptance(provider.clone(), acceptance.clone(), received_at).await?;
        if receipt_result != ReceiptResult::Unmatched {
            break;
        }
    }
    gateway.metrics.count_receipt(metric_label(&receipt_result));
    if let ReceiptResult::Applied(delivery) = &receipt_result {
        log::info!("late answer: the message was accepted; delivery={} provider={provider}", delivery.id);
        follow_up(gateway, delivery);
    }
    Ok(())
}

/// Applies receipts that may concern deliveries of any of these providers, because the providers share message ids. The
/// first provider sent the receipts.
pub async fn apply_receipts_of(
    gateway: &Gateway,
    providers: &[ConfigName],
    receipts: Vec<Receipt>,
) -> Result<()> {
    let [provider] = providers else {
        return apply_shared_receipts(gateway, providers, None, receipts).await.map(drop);
    };
    apply_receipts(gateway, provider, receipts).await.map(|_| ())
}

/// Applies a receipt that a phone may have written, to a message to this `sender` only. Returns whether the receipt was
/// applied, or waits for the record of a send.
pub async fn apply_receipt_of_phone(
    gateway: &Gateway,
    providers: &[ConfigName],
    sender: &PhoneSender,
    receipt: Receipt,
) -> Result<bool> {
    let is_matched = apply_shared_receipts(gateway, providers, Some(sender), vec![receipt]).await?;
    Ok(is_matched || sender.has_waiting_delivery)
}

/// The phone that may have written a receipt.
pub struct PhoneSender {
    /// The normalised address.
    pub address: String,
    /// True if a message to it may be in the middle of a call, so that the receipt may be early.
    pub has_waiting_delivery: bool,
}

/// Tries one provider after the other. A receipt that matches none waits for the record of a send by each of them, except
/// that of a phone without a waiting delivery. Returns whether all receipts matched.
async fn apply_shared_receipts(
    gateway: &Gateway,
    providers: &[ConfigName],
    sender: Option<&PhoneSender>,
    mut receipts: Vec<Receipt>,
) -> Result<bool> {
    let received_at = gateway.clock.now();
    let may_wait = sender.is_none_or(|sender| sender.has_waiting_delivery);
    for can_wait in [false, true].into_iter().filter(|can_wait| may_wait || !can_wait) {
        for provider in providers {
            let received_from = |receipt: &Receipt| ReceivedReceipt {
                provider: Some(provider.clone()),
                receipt: receipt.clone(),
                delivery: None,
                received_at,
                can_wait,
                sender: sender.map(|sender| sender.address.clone()),
            };
            let received: Vec<_> = receipts.iter().map(received_from).collect();
            let receipt_results = gateway.store.apply_receipts(received.clone()).await?;
            let is_unmatched =
                |result: &ReceiptResult| matches!(result, ReceiptResult::Unmatched | ReceiptResult::Dropped);
            let (waiting, matched): (Vec<_>, Vec<_>) =
                received.into_iter().zip(receipt_results).partition(|(_, result)| is_unmatched(result));
            receipts = waiting.iter().map(|(received, _)| received.receipt.clone()).collect();
            finish(gateway, &matched).await?;
            if can_wait && provider == &providers[0] {
                finish(gateway, &waiting).await?;
            }
        }
    }
    Ok(receipts.is_empty())
}

/// Records that the recipient opened a delivery, which implies that the delivery arrived. Repeating it changes nothing.
pub async fn mark_opened(gateway: &Gateway, delivery: DeliveryId) -> Result<Option<ReceiptResult>> {
    let now = gateway.clock.now();
    let received = ReceivedReceipt {
        provider: None,
        receipt: Receipt { reference: String::new(), status: ReceiptStatus::Opened, at: now },
        delivery: Some(delivery),
        received_at: now,
        can_wait: false,
        sender: None,
    };
    Ok(apply(gateway, vec![received]).await?.into_iter().next())
}

async fn apply(gateway: &Gateway, received: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
    let results = gateway.store.apply_receipts(received.clone()).await?;
    let applied: Vec<_> = received.into_iter().zip(results).collect();
    finish(gateway, &applied).await?;
    Ok(applied.into_iter().map(|(_, result)| result).collect())
}

/// Counts the results and performs the follow-up of each.
async fn finish(gateway: &Gateway, applied: &[(ReceivedReceipt, ReceiptResult)]) -> Result<()> {
    for (received, result) in applied {
        gateway.metrics.count_receipt(metric_label(result));
        if let ReceiptResult::Applied(delivery) = result {
            follow_up(gateway, delivery);
            if matches!(received.receipt.status, ReceiptStatus::Bounced { .. }) {
                deactivate_after_soft_bounces(gateway, delivery).await?;
            }
        }
    }
    let dropped = applied.iter().filter(|(_, result)| *result == ReceiptResult::Dropped);
    log_dropped(gateway, dropped.count());
    Ok(())
}

/// Logs dropped receipts at most once a minute, because a caller can repeat them without limit.
fn log_dropped(gateway: &Gateway, dropped_count: usize) {
    let now = gateway.clock.now().timestamp();
    if dropped_count == 0 || !gateway.may_log_dropped_receipts(now, DROPPED_LOG_SECONDS) {
        return;
    }
    log::warn!(
        "receipts: dropped, unknown reference (unauthenticated provider, or more than {UNMATCHED_RECEIPTS_MAX} \
         waiting); dropped={dropped_count}"
    );
}

fn metric_label(result: &ReceiptResult) -> &'static str {
    match result {
        ReceiptResult::Applied(_) => "applied",
        ReceiptResult::Unchanged(_) => "unchanged",
        ReceiptResult::Unmatched => "unmatched",
        ReceiptResult::Dropped => "dropped",
    }
}

/// Counts the new state of a delivery and enqueues it if it is to be sent again. A bounce does not count as a failure
/// of the provider: it concerns one recipient, and many bounces at once are normal after a broadcast.
fn follow_up(gateway: &Gateway, delivery: &MatchedDelivery) {
    let new_kind = delivery.state.kind();
    if new_kind != delivery.previous_kind {
        gateway.count_state_change(&delivery.channel, new_kind);
    }
    if let DeliveryState::Waiting { due_at, .. } = &delivery.state {
        gateway.queue.push(&[QueueEntry {
            id: delivery.id,
            channel: delivery.channel.clone(),
            due_at: *due_at,
            priority: delivery.priority,
        }]);
    }
}

#[cfg(test)]
mod tests;
