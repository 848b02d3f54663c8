//! Forgets old messages that have ended, a few at a time, so that no writer waits long for it.
//!
//! What waits is never forgotten, and what the report counted stays counted.

use std::time::Duration;

use crate::error::Result;
use crate::gateway::Gateway;

/// How many messages one transaction deletes at most. On SQLite, among 1,000,000, 500 at once took 23 ms, for which
/// every writer waits.
const PRUNED_AT_ONCE: usize = 100;

/// How many outdated keys, throttles and receipts one transaction deletes at most, of each kind.
const FORGOTTEN_AT_ONCE: usize = 200;

/// What is deleted.
#[derive(Clone, Copy, Debug)]
pub struct Age {
    /// What was accepted longer ago than this and has ended.
    pub older_than: Duration,
    /// Nothing of a month before all of it is that old, where the store is kept by month.
    pub whole_months: bool,
}

/// Deletes what is old and has ended, and whatever is outdated beside it. The report keeps counting it.
/// Returns how many messages went; `progress` is told after each batch.
pub async fn prune(gateway: &Gateway, age: Age, progress: impl Fn(usize)) -> Result<usize> {
    let now = gateway.clock.now();
    let before = now - age.older_than;
    let mut pruned = 0;
    loop {
        let some = if age.whole_months {
            gateway.store.prune_by_month(before, now, PRUNED_AT_ONCE).await?
        } else {
            gateway.store.prune(before, now, PRUNED_AT_ONCE).await?
        };
        if some == 0 {
            break;
        }
        pruned += some;
        progress(some);
    }
    while gateway.store.forget(before, now, FORGOTTEN_AT_ONCE).await? > 0 {}
    Ok(pruned)
}
