//! Forgets old messages that have ended, a few at a time, so that no writer waits long for it.
//!
//! What waits is never forgotten, and what the report counted stays counted.

use std::time::Duration;

use crate::gateway::Gateway;
use postrider_core::error::Result;

/// How many messages one transaction deletes at most. On SQLite, among 1,000,000, 500 at once took 23 ms, for which
/// every writer waits.
const MESSAGES_PER_TRANSACTION: usize = 100;

/// How many outdated keys, throttles and receipts one transaction deletes at most, of each kind.
const EXPIRED_ROWS_PER_TRANSACTION: usize = 200;

/// What is deleted.
#[derive(Clone, Copy, Debug)]
pub struct PruneOptions {
    /// What was accepted longer ago than this and has ended.
    pub older_than: Duration,
    /// Nothing of a month before all of it is that old, where the store is kept by month.
    pub is_by_month: bool,
}

/// Deletes what is old and has ended, and whatever is outdated beside it. The report keeps counting it.
/// Returns how many messages went; `progress` is told after each batch.
pub async fn prune(gateway: &Gateway, age: PruneOptions, progress: impl Fn(usize)) -> Result<usize> {
    let now = gateway.clock.now();
    let before = now - age.older_than;
    let mut pruned = 0;
    loop {
        let some = if age.is_by_month {
            gateway
                .store
                .prune_by_month(before, now, MESSAGES_PER_TRANSACTION)
                .await?
        } else {
            gateway.store.prune(before, now, MESSAGES_PER_TRANSACTION).await?
        };
        if some == 0 {
            break;
        }
        pruned += some;
        progress(some);
    }
    while gateway
        .store
        .delete_expired(before, now, EXPIRED_ROWS_PER_TRANSACTION)
        .await?
        > 0
    {}
    Ok(pruned)
}
