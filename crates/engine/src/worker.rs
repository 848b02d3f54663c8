//! The worker loop: claims as many deliveries as it has free slots, until the stop signal.
//!
//! A worker claims no more deliveries than it has slots, so that a crash leaves few rounds with outcome `unknown`. It
//! claims no more deliveries of a channel than the channel's share, so that a slow channel cannot block the others.

use std::{sync::Arc, time::Duration};

use crate::due::{DueDeliveries, MoreDue, find_due, find_more_due};
use crate::gateway::{Gateway, ProviderRuntime, STORE_RETRY_DELAY};
use crate::{callbacks, deliver, slots::WorkerSlots, stop::StopSignal};

/// Maximum time to wait for the queue before the store is polled.
const QUEUE_POLL_TIMEOUT: Duration = Duration::from_millis(1_000);

/// Delivers until the stop signal, then waits for calls in flight, at most `work.grace`. Returns the number
/// of calls that did not end in time.
pub async fn run(gateway: Arc<Gateway>, mut stop: StopSignal) -> u32 {
    let slots = WorkerSlots::new(Arc::clone(&gateway));
    let mut more = MoreDue::default();
    while let Some(due) = wait_for_due(&gateway, &slots, more, &mut stop).await {
        let requested_count = due.ids.len();
        let stopwatch = gateway.clock.stopwatch();
        let claims = deliver::claim(&gateway, due.ids).await;
        slots.record_claim_duration(stopwatch.elapsed());
        more = due.more.after_claim(claims.len(), requested_count);
        for delivery in claims {
            let slot = slots.acquire(&delivery.claimed.channel);
            let gateway = Arc::clone(&gateway);
            tokio::spawn(async move {
                deliver::run_round(&gateway, delivery).await;
                drop(slot);
            });
        }
    }
    match tokio::time::timeout(gateway.config.work.grace, slots.wait_until_all_free()).await {
        Ok(()) => 0,
        Err(_) => u32::try_from(slots.in_use()).unwrap_or(u32::MAX),
    }
}

/// Waits for a free slot and returns ids of at most as many deliveries as there are free slots; `None` at the stop signal.
/// While the store has `more`, the function does not wait for the queue.
async fn wait_for_due(
    gateway: &Gateway,
    slots: &WorkerSlots,
    more: MoreDue,
    stop: &mut StopSignal,
) -> Option<DueDeliveries> {
    let due_deliveries = async {
        slots.wait_for_free_slots().await;
        match more {
            MoreDue::NoneKnown => find_due(gateway, slots, QUEUE_POLL_TIMEOUT).await,
            more => find_more_due(gateway, slots, more).await,
        }
    };
    tokio::select! {
        biased;
        _ = stop.wait_for(|stop| *stop) => None,
        due = due_deliveries => Some(due),
    }
}

/// Ingests receipts and inbound messages that a provider sends over its own connection, until the stop signal.
pub async fn receive_incoming(gateway: Arc<Gateway>, runtime: Arc<ProviderRuntime>, mut stop: StopSignal) {
    // A reload never replaces an adapter that receives messages.
    let adapter = runtime.adapter();
    loop {
        let callback_items = tokio::select! {
            callback_items = adapter.receive() => callback_items,
            _ = stop.changed() => return,
        };
        while let Err(error) = callbacks::ingest(&gateway, &runtime, callback_items.clone()).await {
            let message = format!("callbacks: store error, retrying; provider={}", runtime.name);
            gateway.record_store_error(&message, &error);
            if *stop.borrow() {
                return;
            }
            gateway.clock.sleep(STORE_RETRY_DELAY).await;
        }
    }
}

#[cfg(test)]
mod tests;
