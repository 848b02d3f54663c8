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
    month: Option<i64>,
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
pub fn partition_script(template: &str, place: i64) -> String {
    let template = template.replace("{partition}", &place.to_string());
    let template = template.replace("{first}", &(place * NUMBERS_PER_PARTITION).to_string());
    template.replace("{next}", &((place + 1) * NUMBERS_PER_PARTITION).to_string())
}

/// All partitions, the oldest first.
pub async fn list(desk: &PgTransaction) -> Result<Vec<Partition>, PgError> {
    let found = desk.query(LIST_PARTITIONS, &[]).await?;
    let read = |row| {
        Ok(Partition {
            index: rows::get(row, 0)?,
            month: rows::get(row, 1)?,
            is_detached: rows::get(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

/// The partition that is filled now.
async fn current_index(desk: &PgTransaction) -> Result<i64, PgError> {
    let number = rows::get::<i64>(&desk.query_one(LAST_MESSAGE_NUMBER, &[]).await?, 0)?;
    Ok(number.div_euclid(NUMBERS_PER_PARTITION))
}

/// Makes the partitions that should stand ready. Ends before [`begin`] moves the numbers there: a number that is given
/// out is never taken back, a partition that was only begun is.
pub async fn create_ahead(desk: &PgTransaction) -> Result<(), PgError> {
    if missing_indexes(desk).await?.is_empty() {
        return Ok(());
    }
    desk.batch_execute(LOCK_PARTITIONS).await?;
    for place in missing_indexes(desk).await? {
        desk.batch_execute(&partition_script(CREATE_PARTITION, place))
            .await?;
    }
    Ok(())
}

/// Makes the partitions that messages with these numbers need, where they are missing.
pub async fn create_for_numbers(
    desk: &PgTransaction,
    numbers: impl Iterator<Item = i64>,
) -> Result<(), PgError> {
    let mut places = numbers
        .map(|number| number.div_euclid(NUMBERS_PER_PARTITION))
        .collect::<BTreeSet<_>>();
    remove_existing(desk, &mut places).await?;
    if places.is_empty() {
        return Ok(());
    }
    // Somebody may have made them while we waited for the lock.
    desk.batch_execute(LOCK_PARTITIONS).await?;
    remove_existing(desk, &mut places).await?;
    for place in places {
        desk.batch_execute(&partition_script(CREATE_PARTITION, place))
            .await?;
    }
    Ok(())
}

async fn remove_existing(desk: &PgTransaction, places: &mut BTreeSet<i64>) -> Result<(), PgError> {
    for month in list(desk).await? {
        places.remove(&month.index);
    }
    Ok(())
}

async fn missing_indexes(desk: &PgTransaction) -> Result<Vec<i64>, PgError> {
    let current = current_index(desk).await?;
    let all = list(desk).await?;
    let wanted = current..=current + PARTITIONS_AHEAD;
    Ok(wanted
        .filter(|place| !all.iter().any(|month| month.index == *place))
        .collect())
}

/// Lets the numbers jump to the next partition when the month has changed since the last jump.
pub async fn begin_month(desk: &PgTransaction, now: Timestamp) -> Result<(), PgError> {
    let this_month = i64::from(now.year()) * 12 + i64::from(now.month0());
    if !is_month_over(desk, this_month).await? {
        return Ok(());
    }
    // Nobody is in the middle of an accept, so nobody holds a number of the old range any more.
    desk.query(LOCK_NUMBERS_EXCLUSIVE, bind![NUMBERS_LOCK]).await?;
    if !is_month_over(desk, this_month).await? {
        return Ok(());
    }
    let place = current_index(desk).await?;
    let all = list(desk).await?;
    let has_begun = |month: &Partition| month.index == place && month.month.is_some();
    let next = Partition {
        index: place + 1,
        month: None,
        is_detached: false,
    };
    let filled = if all.iter().any(has_begun) {
        desk.query(SKIP_NUMBERS, bind![next.first_number() - 1]).await?;
        next.index
    } else {
        place
    };
    desk.execute(SAVE_MONTH, bind![filled, this_month]).await?;
    Ok(())
}

/// Whether the partition that is filled was begun in an earlier month, or nobody knows when.
async fn is_month_over(desk: &PgTransaction, this_month: i64) -> Result<bool, PgError> {
    let place = current_index(desk).await?;
    let all = list(desk).await?;
    let filled = all.iter().find(|month| month.index == place);
    Ok(filled.is_some_and(|filled| filled.month.is_none_or(|begun| begun < this_month)))
}

/// The months of which all was accepted before then.
pub async fn fully_expired(desk: &PgTransaction, before: Timestamp) -> Result<Vec<Partition>, PgError> {
    let current = current_index(desk).await?;
    // Whatever has a smaller number was accepted in an earlier hour.
    let first = read::first_number_of_hour(desk, before.timestamp_millis().div_euclid(HOUR_MS)).await?;
    let bound = first.unwrap_or(i64::MAX);
    let mut old = list(desk).await?;
    old.retain(|month| month.index < current && month.next_first_number() <= bound && !month.is_detached);
    Ok(old)
}

/// The old months of which nothing waits: they can go at once.
pub async fn droppable(desk: &PgTransaction, before: Timestamp) -> Result<Vec<Partition>, PgError> {
    let mut spent = Vec::new();
    for month in fully_expired(desk, before).await? {
        if !has_waiting(desk, &month).await? {
            spent.push(month);
        }
    }
    Ok(spent)
}

/// Whether anything waits in a month.
pub async fn has_waiting(desk: &PgTransaction, month: &Partition) -> Result<bool, PgError> {
    let (first, next) = (
        DeliveryId::from_position(month.first_number(), 0),
        DeliveryId::from_position(month.next_first_number(), 0),
    );
    rows::get(&desk.query_one(HAS_WAITING, bind![first.0, next.0]).await?, 0)
}
