//! Applies receipts: a receipt changes the state of its delivery, or is kept until the delivery is recorded.
//!
//! Applying the same receipt again changes nothing.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::gateway::Gateway;
use postrider_core::channel::ConfigName;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::Result;
use postrider_core::id::DeliveryId;
use postrider_core::message::QueueEntry;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_providers::CallbackMode;
use postrider_store::{ReceiptResult, ReceivedReceipt, UNMATCHED_RECEIPTS_MAX};

/// Minimum time between two log lines about dropped receipts, in seconds.
const DROPPED_LOG_SECONDS: i64 = 60;

/// Time of the last such log line, in Unix seconds.
static DROPPED_LOGGED_AT: AtomicI64 = AtomicI64::new(0);

/// Applies receipts of one provider, which can only concern its own deliveries. Repeated receipts and
/// receipts for ended deliveries change nothing. A receipt for an unknown reference is kept until the send is
/// recorded, unless the provider's receipts are unauthenticated. Returns the results in the order of the
/// receipts.
pub async fn apply_receipts(
    gateway: &Gateway,
    provider: &ConfigName,
    receipts: Vec<Receipt>,
) -> Result<Vec<ReceiptResult>> {
    let now = gateway.clock.now();
    let runtime = gateway.provider(provider);
    let can_wait = runtime.is_some_and(|runtime| runtime.provider.callback_mode() != CallbackMode::Unsigned);
    let verdicts: Vec<ReceiptStatus> = receipts.iter().map(|receipt| receipt.status.clone()).collect();
    let received = receipts
        .into_iter()
        .map(|receipt| ReceivedReceipt {
            provider: Some(provider.clone()),
            receipt,
            delivery: None,
            received_at: now,
            can_wait,
        })
        .collect();
    store_and_follow_up(gateway, received, &verdicts).await
}

/// Records that the recipient opened a delivery, which implies that it was delivered. Repeating it changes
/// nothing.
pub async fn mark_opened(gateway: &Gateway, delivery: DeliveryId) -> Result<Option<ReceiptResult>> {
    let now = gateway.clock.now();
    let receipt = Receipt {
        reference: String::new(),
        status: ReceiptStatus::Opened,
        at: now,
    };
    let received = ReceivedReceipt {
        provider: None,
        receipt,
        delivery: Some(delivery),
        received_at: now,
        can_wait: false,
    };
    let results = store_and_follow_up(gateway, vec![received], &[ReceiptStatus::Opened]).await?;
    Ok(results.into_iter().next())
}

async fn store_and_follow_up(
    gateway: &Gateway,
    received: Vec<ReceivedReceipt>,
    verdicts: &[ReceiptStatus],
) -> Result<Vec<ReceiptResult>> {
    let results = gateway.store.apply_receipts(received).await?;
    for (result, verdict) in results.iter().zip(verdicts) {
        count_result(gateway, result);
        follow_up(gateway, result, verdict);
    }
    let dropped = results
        .iter()
        .filter(|result| **result == ReceiptResult::Dropped)
        .count();
    log_dropped(gateway, dropped);
    Ok(results)
}

/// Logs dropped receipts at most once a minute, because a caller can repeat them without limit.
fn log_dropped(gateway: &Gateway, dropped: usize) {
    if dropped == 0 {
        return;
    }
    let now = gateway.clock.now().timestamp();
    let logged_at = DROPPED_LOGGED_AT.load(Ordering::Relaxed);
    if now.saturating_sub(logged_at) < DROPPED_LOG_SECONDS && now >= logged_at {
        return;
    }
    DROPPED_LOGGED_AT.store(now, Ordering::Relaxed);
    log::warn!(
        "receipts with an unknown reference are dropped: unauthenticated callers' are not kept, and at most \
         {UNMATCHED_RECEIPTS_MAX} wait; see postrider_receipts_total{{fate=\"dropped\"}}; dropped_now={dropped}"
    );
}

fn count_result(gateway: &Gateway, results: &ReceiptResult) {
    gateway.metrics.count_receipt(match results {
        ReceiptResult::Applied(_) => "applied",
        ReceiptResult::Unchanged(_) => "unchanged",
        ReceiptResult::Unmatched => "unmatched",
        ReceiptResult::Dropped => "dropped",
    });
}

/// Enqueues a delivery that is to be sent again, and counts a bounce as a failure of its provider; an invalid
/// address is no such failure.
fn follow_up(gateway: &Gateway, results: &ReceiptResult, verdict: &ReceiptStatus) {
    let ReceiptResult::Applied(applied) = results else {
        return;
    };
    let now = applied.state.kind();
    if now != applied.previous_kind {
        gateway.count_state_change(&applied.channel, now);
    }
    if let DeliveryState::Waiting { due_at, .. } = &applied.state {
        let entry = QueueEntry {
            id: applied.id,
            channel: applied.channel.clone(),
            due_at: *due_at,
            priority: applied.priority,
        };
        gateway.queue.push(&[entry]);
    }
    if matches!(verdict, ReceiptStatus::Bounced { .. })
        && let Some(runtime) = gateway.provider(&applied.provider)
    {
        runtime.record_bounce(gateway.clock.now());
    }
}
