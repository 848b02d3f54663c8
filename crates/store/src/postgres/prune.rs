//! Deleting what is old and has ended. What the report counts of it moves from the live roll-ups to the kept
//! ones, so that neither `fold` nor a rebuild from nothing comes to other numbers afterwards.

use std::collections::{BTreeMap, HashSet};

use super::errors::PgError;
use super::partitions;
use super::pool::{PgTransaction, bind};
use super::read;
use super::report;
use super::rollups::{self, AttemptsByDelivery};
use super::rows;
use crate::rollups::{HOUR_MS, RollupChanges};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;

static ENDED_MESSAGES: &str = sql!("postgres/maintenance/select_old_messages");
static REPORTED_DELIVERIES: &str = sql!("postgres/maintenance/select_counted_deliveries");
static SUBTRACT_ADDRESSES: &str = sql!("postgres/maintenance/correct_address_count");
static ADD_KEPT_ADDRESSES: &str = sql!("postgres/maintenance/add_pruned_address_count");
static LEASES_DELETE: &str = sql!("postgres/maintenance/delete_leases");
static ATTEMPTS_DELETE: &str = sql!("postgres/maintenance/delete_attempts");
static DELIVERIES_DELETE: &str = sql!("postgres/maintenance/delete_deliveries");
static MESSAGE_DELETE: &str = sql!("postgres/maintenance/delete_messages");
static DELETE_KEYS: &str = sql!("postgres/maintenance/delete_expired_idempotency_keys");
static DELETE_THROTTLES: &str = sql!("postgres/maintenance/delete_expired_user_throttles");
static DELETE_SEEN_TEXTS: &str = sql!("postgres/maintenance/delete_old_opt_messages");
static DELETE_EVENTS: &str = sql!("postgres/maintenance/delete_old_events");
static EXPIRED_BROADCASTS: &str = sql!("postgres/maintenance/select_old_broadcasts");
static DELETE_BROADCAST_USERS: &str = sql!("postgres/maintenance/delete_broadcast_users");
static DELETE_BROADCAST_MESSAGES: &str = sql!("postgres/maintenance/delete_broadcast_messages");
static DELETE_BROADCAST: &str = sql!("postgres/maintenance/delete_broadcasts");
static DELETE_RECEIPTS: &str = sql!("postgres/maintenance/delete_old_unmatched_receipts");

/// What the report counts of an address, by whether it has been counted.
#[derive(Default)]
struct AddressCounts {
    all: i64,
    uncounted: i64,
}

/// Out of which months single messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneScope {
    /// Every one.
    AllPartitions,
    /// Those that are old to the last message, and could go as a whole if nothing of them waited.
    ExpiredPartitions,
}

/// See [`crate::Store::prune`].
pub async fn prune(
    transaction: &PgTransaction,
    before: Timestamp,
    scope: PruneScope,
    limit: usize,
) -> Result<usize, PgError> {
    let position = report::lock_rollup_position(transaction).await?;
    let numbers = ended_messages(transaction, before, scope, limit).await?;
    if numbers.is_empty() {
        return Ok(0);
    }
    delete_messages(transaction, position, numbers).await
}

/// See [`crate::Store::forget`].
pub async fn delete_expired(
    transaction: &PgTransaction,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize, PgError> {
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    let mut deleted = 0;
    for (sql, bound) in [
        (DELETE_KEYS, now),
        (DELETE_THROTTLES, now.div_euclid(HOUR_MS)),
        (DELETE_RECEIPTS, before),
        (DELETE_SEEN_TEXTS, before),
        (DELETE_EVENTS, before),
    ] {
        deleted += transaction
            .execute(sql, bind![bound, rows::limit_to_sql(limit)])
            .await?;
    }
    deleted += delete_expired_broadcasts(transaction, before, limit).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

/// Broadcasts go after the last of their messages.
async fn delete_expired_broadcasts(
    transaction: &PgTransaction,
    before: i64,
    limit: usize,
) -> Result<u64, PgError> {
    let numbers = transaction
        .query(EXPIRED_BROADCASTS, bind![before, rows::limit_to_sql(limit)])
        .await?;
    let numbers = numbers.iter().map(|row| rows::get::<i64>(row, 0));
    let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    if numbers.is_empty() {
        return Ok(0);
    }
    transaction
        .execute(DELETE_BROADCAST_USERS, bind![numbers])
        .await?;
    transaction
        .execute(DELETE_BROADCAST_MESSAGES, bind![numbers])
        .await?;
    transaction.execute(DELETE_BROADCAST, bind![numbers]).await
}

/// Deletes these messages, which are in order, but for those of which something waits again; how many.
async fn delete_messages(
    transaction: &PgTransaction,
    position: i64,
    mut numbers: Vec<i64>,
) -> Result<usize, PgError> {
    let first = numbers
        .first()
        .map_or(0, |number| rows::delivery_id_range(*number).0);
    let last = numbers
        .last()
        .map_or(0, |number| rows::delivery_id_range(*number).1);
    let deliveries = transaction
        .query(REPORTED_DELIVERIES, bind![numbers, first, last])
        .await?;
    let deliveries = deliveries
        .iter()
        .map(|row| rollups::decode_reported_delivery(row, position));
    let mut deliveries = deliveries.collect::<Result<Vec<_>, _>>()?;
    // Somebody may have sent it again between the two looks.
    let requeued = deliveries
        .iter()
        .filter(|delivery| delivery.counts.current.state == DeliveryStateKind::Waiting);
    let requeued = requeued
        .map(|delivery| delivery.id.message_number())
        .collect::<HashSet<_>>();
    numbers.retain(|number| !requeued.contains(number));
    deliveries.retain(|delivery| !requeued.contains(&delivery.id.message_number()));
    let attempts = AttemptsByDelivery::load(transaction, &deliveries).await?;
    let (mut live, mut pruned) = (RollupChanges::default(), RollupChanges::default());
    let mut addresses = BTreeMap::<&str, AddressCounts>::new();
    for delivery in &deliveries {
        delivery.move_to_kept(attempts.of_delivery(delivery.id), &mut live, &mut pruned);
        let counts = addresses.entry(&delivery.address).or_default();
        counts.all += 1;
        counts.uncounted += i64::from(!delivery.is_counted());
    }
    rollups::save_changes(&live, transaction, "live").await?;
    rollups::save_changes(&pruned, transaction, "pruned").await?;
    let names = addresses.keys().copied().collect::<Vec<_>>();
    let all = addresses.values().map(|counts| counts.all).collect::<Vec<_>>();
    let not_counted = addresses.values().map(|counts| counts.uncounted);
    let not_counted = not_counted.collect::<Vec<_>>();
    transaction.execute(ADD_KEPT_ADDRESSES, bind![names, all]).await?;
    transaction
        .execute(SUBTRACT_ADDRESSES, bind![names, not_counted])
        .await?;
    let ids = deliveries
        .iter()
        .map(|delivery| delivery.id.0)
        .collect::<Vec<_>>();
    transaction.execute(LEASES_DELETE, bind![ids]).await?;
    transaction.execute(ATTEMPTS_DELETE, bind![ids]).await?;
    transaction.execute(DELIVERIES_DELETE, bind![ids]).await?;
    transaction.execute(MESSAGE_DELETE, bind![numbers]).await?;
    Ok(numbers.len())
}

/// Messages that were accepted before then and of which nothing waits any more, oldest first and out of one month.
/// Months that can go as a whole are left out.
async fn ended_messages(
    transaction: &PgTransaction,
    before: Timestamp,
    scope: PruneScope,
    limit: usize,
) -> Result<Vec<i64>, PgError> {
    let droppable = partitions::droppable(transaction, before).await?;
    let candidates = match scope {
        PruneScope::AllPartitions => partitions::list(transaction).await?,
        PruneScope::ExpiredPartitions => partitions::fully_expired(transaction, before).await?,
    };
    let before = before.timestamp_millis();
    // Numbers and times of hosts may differ a little in their order: what is late goes with the next hour.
    let later = read::first_number_of_hour(transaction, before.div_euclid(HOUR_MS) + 2).await?;
    let bound = later.unwrap_or(i64::MAX);
    for partition in candidates {
        let goes_whole = droppable.iter().any(|one| one.index == partition.index);
        if partition.is_detached || goes_whole || partition.first_number() >= bound {
            continue;
        }
        let last = bound.min(partition.next_first_number());
        let found = transaction
            .query(
                ENDED_MESSAGES,
                bind![partition.first_number(), last, before, rows::limit_to_sql(limit)],
            )
            .await?;
        if !found.is_empty() {
            return found.iter().map(|row| rows::get(row, 0)).collect();
        }
    }
    Ok(Vec::new())
}
