//! The months the growing tables are kept by: which there are, the next ones, where a new one begins.
//!
//! A partition covers a fixed range of message numbers. At the beginning of a month the numbers jump to the next
//! range, so that a partition holds a month and can go as a whole. A jump that was forgotten only means that two
//! months go together; it is never an error.

use std::collections::BTreeSet;

use chrono::Datelike;

use super::accept::NUMBERS_LOCK;
use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::read;
use super::rows;
use crate::rollups::HOUR_MS;
use postrider_core::clock::Timestamp;
use postrider_core::id::DeliveryId;

static LIST_PARTITIONS: &str = sql!("postgres/maintenance/list_partitions");
static LOCK_PARTITIONS: &str = sql!("postgres/maintenance/lock_partitions");
static CREATE_PARTITION: &str = sql!("postgres/maintenance/create_partition");
static LAST_MESSAGE_NUMBER: &str = sql!("postgres/maintenance/read_next_number");
static SKIP_NUMBERS: &str = sql!("postgres/maintenance/skip_numbers");
static SAVE_MONTH: &str = sql!("postgres/maintenance/save_partition_month");
static LOCK_NUMBERS_EXCLUSIVE: &str = sql!("postgres/accept/lock_numbers_exclusive");
static HAS_WAITING: &str = sql!("postgres/maintenance/check_partition_waiting");

/// How many message numbers a partition covers: more than anybody sends in a month, and few enough that the numbers of
/// deliveries stay whole numbers in JavaScript for a hundred years.
const NUMBERS_PER_PARTITION: i64 = 1 << 36;

/// How many partitions stand ready behind the one that is filled.
const PARTITIONS_AHEAD: i64 = 2;

/// A partition of the tables.
pub struct Partition {
    /// Which one, from 0.
    pub index: i64,
    /// The month it was begun in; none while it stands ready.
    partition: Option<i64>,
    /// Whether it is no part of the tables any more.
    pub is_detached: bool,
}

impl Partition {
    /// The first message number it covers.
    pub fn first_number(&self) -> i64 {
        self.index * NUMBERS_PER_PARTITION
    }

    /// The first message number after it.
    pub fn next_first_number(&self) -> i64 {
        self.first_number() + NUMBERS_PER_PARTITION
    }
}

/// A script that speaks of a partition.
pub fn partition_script(template: &str, index: i64) -> String {
    let template = template.replace("{partition}", &index.to_string());
    let template = template.replace("{first}", &(index * NUMBERS_PER_PARTITION).to_string());
    template.replace("{next}", &((index + 1) * NUMBERS_PER_PARTITION).to_string())
}

/// All partitions, the oldest first.
pub async fn list(transaction: &PgTransaction) -> Result<Vec<Partition>, PgError> {
    let found = transaction.query(LIST_PARTITIONS, &[]).await?;
    let read = |row| {
        Ok(Partition {
            index: rows::get(row, 0)?,
            partition: rows::get(row, 1)?,
            is_detached: rows::get(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

/// The partition that is filled now.
async fn current_index(transaction: &PgTransaction) -> Result<i64, PgError> {
    let number = rows::get::<i64>(&transaction.query_one(LAST_MESSAGE_NUMBER, &[]).await?, 0)?;
    Ok(number.div_euclid(NUMBERS_PER_PARTITION))
}

/// Makes the partitions that should stand ready. Ends before [`begin`] moves the numbers there: a number that is given
/// out is never taken back, a partition that was only begun is.
pub async fn create_ahead(transaction: &PgTransaction) -> Result<(), PgError> {
    if missing_indexes(transaction).await?.is_empty() {
        return Ok(());
    }
    transaction.batch_execute(LOCK_PARTITIONS).await?;
    for index in missing_indexes(transaction).await? {
        transaction
            .batch_execute(&partition_script(CREATE_PARTITION, index))
            .await?;
    }
    Ok(())
}

/// Makes the partitions that messages with these numbers need, where they are missing.
pub async fn create_for_numbers(
    transaction: &PgTransaction,
    numbers: impl Iterator<Item = i64>,
) -> Result<(), PgError> {
    let mut indexes = numbers
        .map(|number| number.div_euclid(NUMBERS_PER_PARTITION))
        .collect::<BTreeSet<_>>();
    remove_existing(transaction, &mut indexes).await?;
    if indexes.is_empty() {
        return Ok(());
    }
    // Somebody may have made them while we waited for the lock.
    transaction.batch_execute(LOCK_PARTITIONS).await?;
    remove_existing(transaction, &mut indexes).await?;
    for index in indexes {
        transaction
            .batch_execute(&partition_script(CREATE_PARTITION, index))
            .await?;
    }
    Ok(())
}

async fn remove_existing(transaction: &PgTransaction, indexes: &mut BTreeSet<i64>) -> Result<(), PgError> {
    for partition in list(transaction).await? {
        indexes.remove(&partition.index);
    }
    Ok(())
}

async fn missing_indexes(transaction: &PgTransaction) -> Result<Vec<i64>, PgError> {
    let current = current_index(transaction).await?;
    let all = list(transaction).await?;
    let wanted = current..=current + PARTITIONS_AHEAD;
    Ok(wanted
        .filter(|index| !all.iter().any(|partition| partition.index == *index))
        .collect())
}

/// Lets the numbers jump to the next partition when the month has changed since the last jump.
pub async fn begin_month(transaction: &PgTransaction, now: Timestamp) -> Result<(), PgError> {
    let this_month = i64::from(now.year()) * 12 + i64::from(now.month0());
    if !is_month_over(transaction, this_month).await? {
        return Ok(());
    }
    // Nobody is in the middle of an accept, so nobody holds a number of the old range any more.
    transaction
        .query(LOCK_NUMBERS_EXCLUSIVE, bind![NUMBERS_LOCK])
        .await?;
    if !is_month_over(transaction, this_month).await? {
        return Ok(());
    }
    let index = current_index(transaction).await?;
    let all = list(transaction).await?;
    let has_begun = |partition: &Partition| partition.index == index && partition.partition.is_some();
    let next = Partition {
        index: index + 1,
        partition: None,
        is_detached: false,
    };
    let filled = if all.iter().any(has_begun) {
        transaction
            .query(SKIP_NUMBERS, bind![next.first_number() - 1])
            .await?;
        next.index
    } else {
        index
    };
    transaction.execute(SAVE_MONTH, bind![filled, this_month]).await?;
    Ok(())
}

/// Whether the partition that is filled was begun in an earlier month, or nobody knows when.
async fn is_month_over(transaction: &PgTransaction, this_month: i64) -> Result<bool, PgError> {
    let index = current_index(transaction).await?;
    let all = list(transaction).await?;
    let filled = all.iter().find(|partition| partition.index == index);
    Ok(filled.is_some_and(|filled| filled.partition.is_none_or(|month| month < this_month)))
}

/// The months of which all was accepted before then.
pub async fn fully_expired(
    transaction: &PgTransaction,
    before: Timestamp,
) -> Result<Vec<Partition>, PgError> {
    let current = current_index(transaction).await?;
    // Whatever has a smaller number was accepted in an earlier hour.
    let first =
        read::first_number_of_hour(transaction, before.timestamp_millis().div_euclid(HOUR_MS)).await?;
    let bound = first.unwrap_or(i64::MAX);
    let mut expired = list(transaction).await?;
    expired.retain(|partition| {
        partition.index < current && partition.next_first_number() <= bound && !partition.is_detached
    });
    Ok(expired)
}

/// The old months of which nothing waits: they can go at once.
pub async fn droppable(transaction: &PgTransaction, before: Timestamp) -> Result<Vec<Partition>, PgError> {
    let mut droppable = Vec::new();
    for partition in fully_expired(transaction, before).await? {
        if !has_waiting(transaction, &partition).await? {
            droppable.push(partition);
        }
    }
    Ok(droppable)
}

/// Whether anything waits in a month.
pub async fn has_waiting(transaction: &PgTransaction, partition: &Partition) -> Result<bool, PgError> {
    let (first, next) = (
        DeliveryId::from_position(partition.first_number(), 0),
        DeliveryId::from_position(partition.next_first_number(), 0),
    );
    rows::get(
        &transaction.query_one(HAS_WAITING, bind![first.0, next.0]).await?,
        0,
    )
}
