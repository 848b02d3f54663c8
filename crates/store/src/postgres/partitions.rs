//! The monthly partitions of messages, deliveries and attempts.
//!
//! A partition covers a fixed range of message numbers. At the beginning of a month the numbers skip to the next range,
//! so that a partition holds one month and can be dropped as a whole. If no process skips in time, two months share a
//! partition and are dropped together.

use std::collections::BTreeSet;

use chrono::Datelike;
use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgTransaction, bind};
use super::{errors::PgError, message_hours::find_first_number_of_hour};
use crate::{rollups::HOUR_MS, rows::SqlRow};
use postrider_core::{clock::Timestamp, id::DeliveryId};

static LIST_PARTITIONS: &str = sql!("postgres/maintenance/list_partitions");
static LOCK_PARTITIONS: &str = sql!("postgres/maintenance/lock_partitions");
static CREATE_PARTITION: &str = sql!("postgres/maintenance/create_partition");
static NEXT_NUMBER: &str = sql!("postgres/maintenance/read_next_number");
static SKIP_NUMBERS: &str = sql!("postgres/maintenance/skip_numbers");
static SAVE_MONTH: &str = sql!("postgres/maintenance/save_partition_month");
static HAS_WAITING: &str = sql!("postgres/maintenance/check_partition_waiting");

/// Message numbers per partition: more than any installation sends in a month, and few enough that delivery ids stay
/// exact in JavaScript (below 2^53) for a hundred years.
pub const NUMBERS_PER_PARTITION: i64 = 1 << 36;

/// Number of empty partitions after the current one.
const PARTITIONS_AHEAD: i64 = 2;

/// A partition of the tables `messages`, `deliveries` and `attempts`.
pub struct Partition {
    /// Number of the partition, from 0.
    pub index: i64,
    /// The month in which the partition became the current one, counted from January of the year 0; none before that.
    month: Option<i64>,
    /// True if the partition is detached from the tables.
    pub is_detached: bool,
}

impl Partition {
    /// Returns the first message number of the partition.
    pub fn first_number(&self) -> i64 {
        self.index * NUMBERS_PER_PARTITION
    }

    /// Returns the first message number after the partition.
    pub fn next_first_number(&self) -> i64 {
        self.first_number() + NUMBERS_PER_PARTITION
    }
}

/// Returns a statement template with the numbers of a partition.
pub fn partition_script(template: &str, partition_index: i64) -> String {
    let first_number = partition_index * NUMBERS_PER_PARTITION;
    template
        .replace("{partition}", &partition_index.to_string())
        .replace("{first}", &first_number.to_string())
        .replace("{next}", &(first_number + NUMBERS_PER_PARTITION).to_string())
}

/// Returns all partitions, the oldest first.
pub async fn list(transaction: &PgTransaction) -> Result<Vec<Partition>, PgError> {
    let decode_partition = |row: &Row| {
        Ok(Partition {
            index: row.integer("partition_number")?,
            month: row.optional_integer("month")?,
            is_detached: row.bool("is_detached")?,
        })
    };
    transaction.query_all(LIST_PARTITIONS, &[], decode_partition).await
}

/// Returns the index of the partition of the next message.
async fn current_index(transaction: &PgTransaction) -> Result<i64, PgError> {
    let number = transaction.query_one(NEXT_NUMBER, &[]).await?.integer("number")?;
    Ok(number.div_euclid(NUMBERS_PER_PARTITION))
}

/// Creates the missing partitions ahead. Runs in a transaction before [`begin_month`]: a created partition can be
/// rolled back, but skipped numbers cannot.
pub async fn create_ahead(transaction: &PgTransaction) -> Result<(), PgError> {
    if missing_ahead(transaction).await?.is_empty() {
        return Ok(());
    }
    transaction.batch_execute(LOCK_PARTITIONS).await?;
    let missing = missing_ahead(transaction).await?;
    create(transaction, missing).await
}

/// Creates the partitions of these message numbers that are missing.
pub async fn create_for_numbers(
    transaction: &PgTransaction,
    numbers: impl Iterator<Item = i64>,
) -> Result<(), PgError> {
    let mut missing = numbers.map(|number| number.div_euclid(NUMBERS_PER_PARTITION)).collect::<BTreeSet<_>>();
    remove_existing(transaction, &mut missing).await?;
    if missing.is_empty() {
        return Ok(());
    }
    transaction.batch_execute(LOCK_PARTITIONS).await?;
    // Another process may have created them before this one got the lock.
    remove_existing(transaction, &mut missing).await?;
    create(transaction, missing).await
}

async fn create(transaction: &PgTransaction, indexes: impl IntoIterator<Item = i64>) -> Result<(), PgError> {
    for partition_index in indexes {
        transaction.batch_execute(&partition_script(CREATE_PARTITION, partition_index)).await?;
    }
    Ok(())
}

async fn remove_existing(transaction: &PgTransaction, indexes: &mut BTreeSet<i64>) -> Result<(), PgError> {
    for partition in list(transaction).await? {
        indexes.remove(&partition.index);
    }
    Ok(())
}

async fn missing_ahead(transaction: &PgTransaction) -> Result<BTreeSet<i64>, PgError> {
    let current = current_index(transaction).await?;
    let mut missing = (current..=current + PARTITIONS_AHEAD).collect();
    remove_existing(transaction, &mut missing).await?;
    Ok(missing)
}

/// Skips the message numbers to the next partition if the month has changed since the last skip.
pub async fn begin_month(transaction: &PgTransaction, now: Timestamp) -> Result<(), PgError> {
    let month = i64::from(now.year()) * 12 + i64::from(now.month0());
    if !is_month_over(transaction, month).await? {
        return Ok(());
    }
    // Waits until no transaction has an uncommitted number of the old range.
    lock_exclusive(transaction, AdvisoryLock::MessageNumbers).await?;
    if !is_month_over(transaction, month).await? {
        return Ok(());
    }
    let mut partition_index = current_index(transaction).await?;
    let partitions = list(transaction).await?;
    let is_current_and_begun =
        |partition: &Partition| partition.index == partition_index && partition.month.is_some();
    if partitions.iter().any(is_current_and_begun) {
        partition_index += 1;
        let last_skipped = partition_index * NUMBERS_PER_PARTITION - 1;
        transaction.execute(SKIP_NUMBERS, bind![last_skipped]).await?;
    }
    transaction.execute(SAVE_MONTH, bind![partition_index, month]).await
}

/// Returns whether the current partition was begun in an earlier month, or its month is unknown.
async fn is_month_over(transaction: &PgTransaction, month: i64) -> Result<bool, PgError> {
    let index = current_index(transaction).await?;
    let partitions = list(transaction).await?;
    let current = partitions.iter().find(|partition| partition.index == index);
    Ok(current.is_some_and(|current| current.month.is_none_or(|begun| begun < month)))
}

/// Returns the partitions before the current one in which every message was accepted before `before`.
pub async fn fully_expired(
    transaction: &PgTransaction,
    before: Timestamp,
) -> Result<Vec<Partition>, PgError> {
    let current = current_index(transaction).await?;
    // All messages of the partition were accepted before this hour, because numbers increase.
    let hour = before.timestamp_millis().div_euclid(HOUR_MS);
    let end_number = find_first_number_of_hour(transaction, hour).await?.unwrap_or(i64::MAX);
    let mut expired = list(transaction).await?;
    expired.retain(|partition| {
        partition.index < current && partition.next_first_number() <= end_number && !partition.is_detached
    });
    Ok(expired)
}

/// Returns the expired partitions in which no delivery waits.
pub async fn droppable(transaction: &PgTransaction, before: Timestamp) -> Result<Vec<Partition>, PgError> {
    let mut droppable = Vec::new();
    for partition in fully_expired(transaction, before).await? {
        if !has_waiting(transaction, &partition).await? {
            droppable.push(partition);
        }
    }
    Ok(droppable)
}

/// Returns whether a delivery of the partition waits.
pub async fn has_waiting(transaction: &PgTransaction, partition: &Partition) -> Result<bool, PgError> {
    let first_id = DeliveryId::from_position(partition.first_number(), 0).0;
    let end_id = DeliveryId::from_position(partition.next_first_number(), 0).0;
    transaction.query_one(HAS_WAITING, bind![first_id, end_id]).await?.bool("has_waiting")
}
