//! Forgets old messages that have ended, a few at a time, so that no writer waits long for it.
//!
//! What waits is never forgotten, and what the report counted stays counted.

use std::time::Duration;

use crate::error::Result;
use crate::gateway::Gateway;

/// How many messages one transaction deletes at most: SQLite's writers wait about 5 ms for it among 1,000,000.
const PRUNED_AT_ONCE: usize = 100;

/// Deletes what was accepted longer ago than `older_than` and has ended. The report keeps counting it.
/// Returns how many messages went; `progress` is told after each batch.
pub async fn prune(gateway: &Gateway, older_than: Duration, progress: impl Fn(usize)) -> Result<usize> {
    let now = gateway.clock.now();
    let before = now - older_than;
    let mut pruned = 0;
    loop {
        let some = gateway.store.prune(before, now, PRUNED_AT_ONCE).await?;
        if some == 0 {
            return Ok(pruned);
        }
        pruned += some;
        progress(some);
    }
}
