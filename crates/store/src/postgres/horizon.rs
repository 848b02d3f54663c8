//! The horizon of lists: the greatest message number for which all smaller numbers are final (committed, or rolled back
//! and never used).
//!
//! Transactions that accept messages commit in any order, so a message can become visible after a message with a
//! greater number. Up to the horizon no message becomes visible later. A reader that continues after the newest message
//! it has seen therefore misses none. Reading the horizon blocks no transaction; it waits for the transactions that
//! were accepting messages when the read began.

use std::time::{Duration, Instant};

use super::advisory_locks::AdvisoryLock;
use super::pool::{PgTransaction, bind};
use super::{errors::PgError, pool::PgPool};
use crate::rows::SqlRow;
use postrider_core::clock;

static LAST_NUMBER: &str = sql!("postgres/report/read_last_committed_number");
static LIST_HOLDERS: &str = sql!("postgres/coordination/list_lock_holders");
static COUNT_HOLDERS: &str = sql!("postgres/coordination/count_lock_holders");

/// Interval at which the transactions that accept messages are looked at again: about the time of a commit.
const HORIZON_POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Maximum time to wait for them. A commit takes milliseconds; a longer transaction belongs to a host that hangs.
const HORIZON_WAIT_MAX: Duration = Duration::from_secs(5);

/// Returns the horizon. Every message up to it is visible to transactions that begin later.
///
/// # Errors
///
/// Returns [`PgError::Timeout`] if a transaction does not end within [`HORIZON_WAIT_MAX`].
pub async fn read_horizon(pool: &PgPool) -> Result<i64, PgError> {
    let transaction = pool.begin_read().await?;
    let horizon = wait_for_horizon(&transaction).await;
    transaction.finish(horizon).await
}

async fn wait_for_horizon(transaction: &PgTransaction) -> Result<i64, PgError> {
    let lock = AdvisoryLock::MessageNumbers as i64;
    let lock_value = bind![lock];
    // The number is read before the locks, because a transaction takes its lock before its numbers.
    let (last_message_number, holders) = tokio::join!(
        async { transaction.query_one(LAST_NUMBER, &[]).await?.integer("number") },
        transaction.query_all(LIST_HOLDERS, lock_value, |row| Ok(row.word("holder")?.to_owned())),
    );
    let (last_message_number, holders): (i64, Vec<String>) = (last_message_number?, holders?);
    if holders.is_empty() {
        return Ok(last_message_number);
    }
    let started_at = Instant::now();
    loop {
        clock::sleep(HORIZON_POLL_INTERVAL).await;
        if transaction.query_one(COUNT_HOLDERS, bind![lock, holders.clone()]).await?.integer("count")? == 0 {
            return Ok(last_message_number);
        }
        if started_at.elapsed() > HORIZON_WAIT_MAX {
            return Err(PgError::Timeout);
        }
    }
}
