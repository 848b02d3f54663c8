//! Applies receipts: a receipt changes the state of its delivery, or waits in the store until the delivery is recorded.
//!
//! Applying the same receipt again changes nothing.

use crate::gateway::Gateway;
use postrider_core::address::{AddressKind, parse_address};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::Delivery;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::recipient::{Recipient, RecipientStatus};
use postrider_core::{error::Result, id::DeliveryId, name::ConfigName, queue_entry::QueueEntry};
use postrider_providers::CallbackMode;
use postrider_store::{
    MatchedDelivery, MessageQuery, ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX,
};

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
        })
        .collect();
    apply(gateway, received).await
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
    };
    Ok(apply(gateway, vec![received]).await?.into_iter().next())
}

async fn apply(gateway: &Gateway, received: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
    let results = gateway.store.apply_receipts(received.clone()).await?;
    for (received, result) in received.iter().zip(&results) {
        gateway.metrics.count_receipt(metric_label(result));
        if let ReceiptResult::Applied(delivery) = result {
            follow_up(gateway, delivery, &received.receipt.status);
            if matches!(received.receipt.status, ReceiptStatus::Bounced { .. }) {
                deactivate_after_soft_bounces(gateway, delivery).await?;
            }
        }
    }
    let dropped = results.iter().filter(|result| **result == ReceiptResult::Dropped);
    log_dropped(gateway, dropped.count());
    Ok(results)
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

/// Number of an address's newest messages that are examined for bounces.
const EXAMINED_MESSAGES_MAX: usize = 50;

/// Makes an email address inactive when its last `limits.soft_bounces_max` reports were bounces without a delivery
/// between them: such a mailbox is full or abandoned, and mail servers rate senders by their bounces.
async fn deactivate_after_soft_bounces(gateway: &Gateway, bounced: &MatchedDelivery) -> Result<()> {
    let bounces_max = gateway.config.limits.soft_bounces_max;
    let address = parse_address(AddressKind::Email, &bounced.spelling, &gateway.config.phone);
    let Some(address) = address.ok().filter(|_| bounces_max > 0) else {
        return Ok(());
    };
    let query =
        MessageQuery { to: Some(address.clone()), limit: EXAMINED_MESSAGES_MAX, ..MessageQuery::default() };
    let messages = gateway.store.search(query).await?.messages;
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    let is_same = |delivery: &&Delivery| delivery.channel == bounced.channel && delivery.address == address;
    let bounce_count = deliveries
        .filter(is_same)
        .take_while(|delivery| !matches!(delivery.state, DeliveryState::Delivered { .. }))
        .filter(|delivery| matches!(delivery.state, DeliveryState::Failed { failure: Failure::Bounced, .. }))
        .count();
    if bounce_count < bounces_max {
        return Ok(());
    }
    let known = gateway.store.recipient(&bounced.channel, &address).await?;
    if known.is_some_and(|recipient| recipient.status != RecipientStatus::Active) {
        return Ok(());
    }
    let recipient = Recipient {
        channel: bounced.channel.clone(),
        address,
        status: RecipientStatus::Inactive,
        reason: format!("{bounce_count} bounces without a delivery"),
        changed_by: bounced.provider.to_string(),
        changed_at: gateway.clock.now(),
    };
    gateway.store.set_recipient(recipient).await
}

/// Enqueues a delivery that is to be sent again, and counts a bounce as a failure of its provider; an invalid
/// address is no such failure.
fn follow_up(gateway: &Gateway, delivery: &MatchedDelivery, status: &ReceiptStatus) {
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
    if matches!(status, ReceiptStatus::Bounced { .. })
        && let Some(runtime) = gateway.provider(&delivery.provider)
    {
        runtime.record_bounce(gateway.clock.now());
    }
}

#[cfg(test)]
mod tests;
