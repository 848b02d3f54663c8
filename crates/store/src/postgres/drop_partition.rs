//! Drops whole months: detaches a partition from the tables, adds its counts to the pruned rollups, then drops it.
//!
//! The report counts the partition at all times. Detaching needs an exclusive lock; if the tables are in use, the
//! partition stays, because waiting for the lock would block every later transaction.

use tokio_postgres::{Row, error::SqlState};

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::errors::PgError;
use super::partitions::{self, Partition, partition_script};
use super::pool::{PgTransaction, bind};
use super::rollups::{self, lock_rollup_position};
use crate::rollups::{CountedAttempt, DeliveryCounts, RollupChanges};
use crate::rows::SqlRow;
use crate::rows::report::{decode_counted_state, decode_current_state};
use postrider_core::clock::Timestamp;

static SET_LOCK_TIMEOUT: &str = sql!("postgres/maintenance/set_lock_timeout");
static LOCK_TABLES: &str = sql!("postgres/maintenance/lock_partition");
static DETACH: &str = sql!("postgres/maintenance/detach_partition");
static DELIVERY_COUNTS: &str = sql!("postgres/maintenance/count_partition_deliveries");
static ATTEMPT_COUNTS: &str = sql!("postgres/maintenance/count_partition_attempts");
static CORRECT_ADDRESSES: &str = sql!("postgres/maintenance/correct_partition_address_count");
static ADD_PRUNED_ADDRESSES: &str = sql!("postgres/maintenance/add_partition_pruned_address_count");
static DROP: &str = sql!("postgres/maintenance/drop_partition");

/// Detaches one partition that can be dropped. Returns false if there is no such partition, or if the tables are in use.
pub async fn detach_one(transaction: &PgTransaction, before: Timestamp) -> Result<bool, PgError> {
    let droppable = partitions::droppable(transaction, before).await?;
    let Some(partition) = droppable.into_iter().next() else {
        return Ok(false);
    };
    match detach(transaction, &partition).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            // A failed lock request has aborted the transaction, so its end is a rollback in any case.
            log::warn!("cannot drop a partition while its tables are in use; the next prune tries again");
            Ok(false)
        }
        outcome => outcome,
    }
}

async fn detach(transaction: &PgTransaction, partition: &Partition) -> Result<bool, PgError> {
    transaction.batch_execute(SET_LOCK_TIMEOUT).await?;
    lock_exclusive(transaction, AdvisoryLock::MessageNumbers).await?;
    transaction.batch_execute(&partition_script(LOCK_TABLES, partition.index)).await?;
    // Another process may have detached the partition, or an operator may have requeued one of its deliveries.
    let partitions = partitions::list(transaction).await?;
    let is_still_attached = |listed: &Partition| listed.index == partition.index && !listed.is_detached;
    if !partitions.iter().any(is_still_attached) || partitions::has_waiting(transaction, partition).await? {
        return Ok(false);
    }
    transaction.batch_execute(&partition_script(DETACH, partition.index)).await?;
    Ok(true)
}

/// Adds the counts of detached partitions to the pruned rollups, drops the partitions, and returns the number of their
/// messages.
pub async fn drop_detached(transaction: &PgTransaction) -> Result<usize, PgError> {
    let partitions = partitions::list(transaction).await?;
    if !partitions.iter().any(|partition| partition.is_detached) {
        return Ok(0);
    }
    let position = lock_rollup_position(transaction).await?;
    let mut dropped_messages = 0;
    // The partitions are listed again, because another process may have dropped some before this process got the lock.
    for partition in partitions::list(transaction).await? {
        if partition.is_detached {
            dropped_messages += move_counts(transaction, partition.index, position).await?;
            transaction.batch_execute(&partition_script(DROP, partition.index)).await?;
        }
    }
    Ok(usize::try_from(dropped_messages).unwrap_or(usize::MAX))
}

/// Moves the counts of a partition from the live to the pruned rollups, and returns the number of its messages.
async fn move_counts(
    transaction: &PgTransaction,
    partition_index: i64,
    rollup_position: i64,
) -> Result<i64, PgError> {
    let (mut live, mut pruned) = (RollupChanges::default(), RollupChanges::default());
    let mut message_count = 0;
    for row in &transaction
        .query(&partition_script(DELIVERY_COUNTS, partition_index), bind![rollup_position])
        .await?
    {
        let (counts, count) = (decode_delivery_counts(row)?, row.integer("count")?);
        counts.subtract_from(count, &mut live);
        counts.add_to(count, &mut pruned);
        message_count += if counts.is_first { count } else { 0 };
    }
    for row in
        &transaction.query(&partition_script(ATTEMPT_COUNTS, partition_index), bind![rollup_position]).await?
    {
        let (attempt, count) = (decode_attempt(row)?, row.integer("count")?);
        if row.optional_bool("is_counted")? == Some(true) {
            live.add_attempt(&attempt, -count);
        }
        pruned.add_attempt(&attempt, count);
    }
    rollups::save_changes(&live, transaction, "live").await?;
    rollups::save_changes(&pruned, transaction, "pruned").await?;
    transaction.execute(&partition_script(ADD_PRUNED_ADDRESSES, partition_index), &[]).await?;
    transaction
        .execute(&partition_script(CORRECT_ADDRESSES, partition_index), bind![rollup_position])
        .await?;
    Ok(message_count)
}

fn decode_delivery_counts(row: &Row) -> Result<DeliveryCounts, PgError> {
    let is_counted = row.optional_word("counted_state")?.is_some();
    Ok(DeliveryCounts {
        is_first: row.bool("is_first")?,
        hour: row.integer("hour")?,
        current: decode_current_state(row)?,
        counted: is_counted.then(|| decode_counted_state(row)).transpose()?,
    })
}

/// Decodes a group of attempts that differ only in their sequence number.
fn decode_attempt(row: &Row) -> Result<CountedAttempt, PgError> {
    Ok(CountedAttempt {
        sequence: 0,
        provider: row.optional_word("provider")?.unwrap_or_default().to_owned(),
        outcome: row.word("outcome")?.to_owned(),
        duration_ms: row.count("duration_ms")?,
    })
}
