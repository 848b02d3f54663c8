//! Deletes old messages that have ended, 100 in a transaction, so that other writers do not wait long.
//!
//! Waiting messages are never deleted, and the report keeps its counts.

use postrider_core::error::Result;
use std::time::Duration;

use crate::gateway::Gateway;

/// Maximum number of messages deleted in one transaction. On SQLite with 1,000,000 messages, 500 at once took
/// 23 ms, during which every writer waits.
const MESSAGES_PER_TRANSACTION: usize = 100;

/// Maximum number of expired idempotency keys, throttles and receipts deleted in one transaction, of each
/// kind.
const EXPIRED_ROWS_PER_TRANSACTION: usize = 200;

/// Selection of messages to delete.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// Deletes ended messages that were accepted longer ago than this.
    pub older_than: Duration,
    /// Deletes a month only when all of it is old enough, if the store is partitioned by month.
    pub is_by_month: bool,
}

/// Deletes old messages that have ended, and expired data. Returns the number of deleted messages; calls
/// `progress` with the number after each batch.
pub async fn prune(gateway: &Gateway, options: PruneOptions, progress: impl Fn(usize)) -> Result<usize> {
    let now = gateway.clock.now();
    let accepted_before = now - options.older_than;
    let mut pruned = 0;
    loop {
        let batch_count = if options.is_by_month {
            gateway.store.prune_by_month(accepted_before, now, MESSAGES_PER_TRANSACTION).await?
        } else {
            gateway.store.prune(accepted_before, now, MESSAGES_PER_TRANSACTION).await?
        };
        if batch_count == 0 {
            break;
        }
        pruned += batch_count;
        progress(batch_count);
    }
    while gateway.store.delete_expired(accepted_before, now, EXPIRED_ROWS_PER_TRANSACTION).await? > 0 {}
    Ok(pruned)
}
