//! Deleting a month as a whole: out of the tables first, which takes an instant, then its counts to the kept roll-ups,
//! then its files. What the report counts of it stays counted at every moment.
//!
//! Never deletes row by row, and never waits long for the tables: whoever comes later would wait behind it.

use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use super::accept::NUMBERS_LOCK;
use super::errors::PgError;
use super::partitions::{self, Partition, partition_script};
use super::pool::{PgTransaction, bind};
use super::report;
use super::rollups;
use super::rows;
use crate::rollups::{CountedAttempt, DeliveryCounts, RollupChanges};
use postrider_core::clock::Timestamp;

static SET_LOCK_TIMEOUT: &str = sql!("postgres/maintenance/set_lock_timeout");
static LOCK_NUMBERS_EXCLUSIVE: &str = sql!("postgres/accept/lock_numbers_exclusive");
static LOCK_TABLES: &str = sql!("postgres/maintenance/lock_partition");
static DETACH_PARTITION: &str = sql!("postgres/maintenance/detach_partition");
static DELIVERY_COUNTS: &str = sql!("postgres/maintenance/count_partition_deliveries");
static ATTEMPT_COUNTS: &str = sql!("postgres/maintenance/count_partition_attempts");
static SUBTRACT_ADDRESSES: &str = sql!("postgres/maintenance/correct_partition_address_count");
static ADD_KEPT_ADDRESSES: &str = sql!("postgres/maintenance/add_partition_pruned_address_count");
static DROP_PARTITION: &str = sql!("postgres/maintenance/drop_partition");

/// Takes one month that is spent out of the tables; whether there was one and it could be had. When the tables are in
/// use all the time, it stays for the next prune.
pub async fn detach_one(transaction: &PgTransaction, before: Timestamp) -> Result<bool, PgError> {
    let Some(partition) = partitions::droppable(transaction, before)
        .await?
        .into_iter()
        .next()
    else {
        return Ok(false);
    };
    match detach(transaction, &partition).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            // The server has given the transaction up: what follows undoes it, whatever it is called.
            log::warn!("a month that could be deleted stays for now: its tables are in use");
            Ok(false)
        }
        detached => detached,
    }
}

async fn detach(transaction: &PgTransaction, partition: &Partition) -> Result<bool, PgError> {
    transaction.batch_execute(SET_LOCK_TIMEOUT).await?;
    transaction
        .query(LOCK_NUMBERS_EXCLUSIVE, bind![NUMBERS_LOCK])
        .await?;
    transaction
        .batch_execute(&partition_script(LOCK_TABLES, partition.index))
        .await?;
    // Another host may have taken it, or an operator sent something of it again, since the look.
    let all = partitions::list(transaction).await?;
    let is_there = |other: &Partition| other.index == partition.index && !other.is_detached;
    if !all.iter().any(is_there) || partitions::has_waiting(transaction, partition).await? {
        return Ok(false);
    }
    transaction
        .batch_execute(&partition_script(DETACH_PARTITION, partition.index))
        .await?;
    Ok(true)
}

/// Counts the months that were taken out among what is kept, and deletes them; how many messages they held.
pub async fn drop_detached(transaction: &PgTransaction) -> Result<usize, PgError> {
    if !partitions::list(transaction)
        .await?
        .iter()
        .any(|partition| partition.is_detached)
    {
        return Ok(0);
    }
    let position = report::lock_rollup_position(transaction).await?;
    let mut messages = 0;
    for partition in partitions::list(transaction).await? {
        if partition.is_detached {
            messages += move_counts_to_kept(transaction, partition.index, position).await?;
            transaction
                .batch_execute(&partition_script(DROP_PARTITION, partition.index))
                .await?;
        }
    }
    Ok(usize::try_from(messages).unwrap_or(usize::MAX))
}

async fn move_counts_to_kept(transaction: &PgTransaction, index: i64, position: i64) -> Result<i64, PgError> {
    let (mut live, mut pruned) = (RollupChanges::default(), RollupChanges::default());
    let mut messages = 0;
    for row in &transaction
        .query(&partition_script(DELIVERY_COUNTS, index), bind![position])
        .await?
    {
        let (counts, count) = (decode_delivery_counts(row)?, rows::get::<i64>(row, 2)?);
        counts.subtract_from(count, &mut live);
        counts.add_to(count, &mut pruned);
        messages += if counts.is_first { count } else { 0 };
    }
    for row in &transaction
        .query(&partition_script(ATTEMPT_COUNTS, index), bind![position])
        .await?
    {
        let count = rows::get::<i64>(row, 1)?;
        let attempt = decode_counted_attempt(row)?;
        if rows::get::<Option<bool>>(row, 0)?.unwrap_or_default() {
            live.add_attempt(&attempt, -count);
        }
        pruned.add_attempt(&attempt, count);
    }
    rollups::save_changes(&live, transaction, "live").await?;
    rollups::save_changes(&pruned, transaction, "pruned").await?;
    transaction
        .execute(&partition_script(ADD_KEPT_ADDRESSES, index), &[])
        .await?;
    transaction
        .execute(&partition_script(SUBTRACT_ADDRESSES, index), bind![position])
        .await?;
    Ok(messages)
}

fn decode_delivery_counts(row: &Row) -> Result<DeliveryCounts, PgError> {
    let was_counted = rows::get::<Option<&str>>(row, 7)?.is_some();
    Ok(DeliveryCounts {
        is_first: rows::get(row, 0)?,
        hour: rows::get(row, 1)?,
        current: rollups::decode_counted_state(row, 3)?,
        counted: was_counted
            .then(|| rollups::decode_counted_state(row, 7))
            .transpose()?,
    })
}

fn decode_counted_attempt(row: &Row) -> Result<CountedAttempt, PgError> {
    Ok(CountedAttempt {
        sequence: 0,
        provider: rows::get::<Option<String>>(row, 2)?.unwrap_or_default(),
        outcome: rows::get(row, 3)?,
        duration_ms: rows::decode_count(row, 4)?,
    })
}
