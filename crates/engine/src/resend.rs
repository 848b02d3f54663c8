//! Pushes due deliveries to the queue, and requeues or cancels deliveries for an operator.
//!
//! This module never calls a provider. Running a function twice sends nothing twice.

use postrider_core::{
    capacity::Capacity, clock::Timestamp, delivery::DeliveryStateKind, error::Result, id::DeliveryId,
    job::ScheduledJob,
};
use std::time::Duration;

use crate::{gateway::Gateway, job_lock};
use postrider_store::Backlog;

/// Maximum number of entries pushed in one run.
pub const ENTRIES_PUSHED_MAX: usize = 100_000;

/// Maximum number of deliveries changed in one transaction, so that other writers do not wait long.
const DELIVERIES_PER_TRANSACTION: usize = 500;

/// Returns the maximum number of entries pushed in one run: a queue drops entries beyond `queue.window`. The
/// next run or an idle worker finds the rest.
pub fn entries_pushed_max(gateway: &Gateway) -> usize {
    ENTRIES_PUSHED_MAX.min(gateway.config.queue_window)
}

/// Result of a resend run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ResendResult {
    /// Number of entries pushed to the queue.
    pub enqueued: usize,
    /// Number of waiting deliveries.
    pub backlog: Backlog,
}

/// Pushes all due deliveries to the queue. A second run is harmless: a delivery is in the queue at most once, and only one
/// worker can claim the delivery.
pub async fn enqueue_due(gateway: &Gateway) -> Result<ResendResult> {
    close_lost_rounds(gateway).await?;
    let now = gateway.clock.now();
    let due_entries = gateway.store.due(now, &Capacity::total(entries_pushed_max(gateway))).await?;
    gateway.queue.push(&due_entries);
    Ok(ResendResult { enqueued: due_entries.len(), backlog: gateway.store.backlog(now).await? })
}

/// Adds an attempt `unknown` for each round that a stopped worker never recorded, of deliveries that were settled in the
/// meantime: no worker claims them again. Writes nothing if there are none.
async fn close_lost_rounds(gateway: &Gateway) -> Result<()> {
    loop {
        let closed = gateway.store.close_lost_rounds(gateway.clock.now(), DELIVERIES_PER_TRANSACTION).await?;
        for id in &closed {
            log::warn!(
                "resend: a worker stopped during a call, the message may have arrived twice; delivery={id}"
            );
        }
        if closed.len() < DELIVERIES_PER_TRANSACTION {
            return Ok(());
        }
    }
}

/// Runs [`enqueue_due`] for the built-in schedule. Returns `None` if nothing is due, or if another process runs this job or
/// has run the job within half an interval. Writes nothing while nothing is due.
pub async fn enqueue_if_due(gateway: &Gateway, interval: Duration) -> Result<Option<ResendResult>> {
    close_lost_rounds(gateway).await?;
    if gateway.store.due(gateway.clock.now(), &Capacity::total(1)).await?.is_empty() {
        return Ok(None);
    }
    let same_run_window = job_lock::SAME_RUN_WINDOW.min(interval / 2);
    let run = enqueue_due(gateway);
    match job_lock::run_unless_locked(gateway, ScheduledJob::Resend, same_run_window, run).await? {
        job_lock::JobRun::Ran(resend_result) => Ok(Some(resend_result)),
        job_lock::JobRun::Skipped(_) => Ok(None),
    }
}

/// Returns the longest `retry.max_age` of all channels, which a requeued message gets.
pub fn age_max(gateway: &Gateway) -> Duration {
    let channels = gateway.config.channels.iter();
    channels.map(|channel| channel.retry.age_max).max().unwrap_or_default()
}

/// Cancels waiting deliveries that are not claimed, and returns how many.
pub async fn cancel(gateway: &Gateway, ids: &[DeliveryId]) -> Result<usize> {
    let mut cancelled = 0;
    for batch in ids.chunks(DELIVERIES_PER_TRANSACTION) {
        let cancelled_channels = gateway.store.cancel_deliveries(batch.to_vec(), gateway.clock.now()).await?;
        for channel in &cancelled_channels {
            gateway.count_state_change(channel, DeliveryStateKind::Failed);
        }
        cancelled += cancelled_channels.len();
    }
    Ok(cancelled)
}

/// Makes deliveries due now and pushes them to the queue. Claimed and delivered deliveries are not changed. Returns the
/// number of changed deliveries; calls `progress` after each transaction.
pub async fn requeue(
    gateway: &Gateway,
    ids: &[DeliveryId],
    expires_at: Timestamp,
    progress: impl Fn(usize),
) -> Result<usize> {
    let mut requeued = 0;
    for batch in ids.chunks(DELIVERIES_PER_TRANSACTION) {
        let now = gateway.clock.now();
        let requeued_entries = gateway.store.requeue(batch.to_vec(), now, expires_at).await?;
        gateway.queue.push(&requeued_entries);
        for queue_entry in &requeued_entries {
            gateway.count_state_change(&queue_entry.channel, DeliveryStateKind::Waiting);
        }
        requeued += requeued_entries.len();
        progress(batch.len());
    }
    Ok(requeued)
}

#[cfg(test)]
mod tests;
