//! Deletes old messages that have ended, and rows that have expired.
//!
//! The counts of deleted deliveries move from the live to the pruned rollups, so that neither an update nor a rebuild of
//! the report changes its numbers.

use std::collections::{BTreeMap, HashSet};

use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::rollups::{self, AttemptsByDelivery, lock_rollup_position};
use super::{errors::PgError, message_hours::find_first_number_of_hour, partitions};
use crate::inbound::first_id_at;
use crate::rollups::{HOUR_MS, ReportedDelivery, RollupChanges};
use crate::rows::report::decode_reported_delivery;
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use postrider_core::{clock::Timestamp, delivery::DeliveryStateKind};

static SELECT_OLD_MESSAGES: &str = sql!("postgres/maintenance/select_old_messages");
static COUNTED_DELIVERIES: &str = sql!("postgres/maintenance/select_counted_deliveries");
static CORRECT_ADDRESSES: &str = sql!("postgres/maintenance/correct_address_count");
static ADD_PRUNED_ADDRESSES: &str = sql!("postgres/maintenance/add_pruned_address_count");
static DELETE_LEASES: &str = sql!("postgres/maintenance/delete_leases");
static DELETE_ATTEMPTS: &str = sql!("postgres/maintenance/delete_attempts");
static DELETE_DELIVERIES: &str = sql!("postgres/maintenance/delete_deliveries");
static DELETE_MESSAGES: &str = sql!("postgres/maintenance/delete_messages");
static DELETE_KEYS: &str = sql!("postgres/maintenance/delete_expired_idempotency_keys");
static DELETE_THROTTLES: &str = sql!("postgres/maintenance/delete_expired_user_throttles");
static DELETE_OPT_MESSAGES: &str = sql!("common/maintenance/delete_old_opt_messages");
static DELETE_EVENTS: &str = sql!("common/maintenance/delete_old_events");
static DELETE_INBOUND: &str = sql!("common/maintenance/delete_old_inbound_messages");
static DELETE_RECEIPTS: &str = sql!("postgres/maintenance/delete_old_unmatched_receipts");
static SELECT_OLD_BROADCASTS: &str = sql!("common/maintenance/select_old_broadcasts");
static DELETE_BROADCAST_USERS: &str = sql!("postgres/maintenance/delete_broadcast_users");
static DELETE_BROADCAST_MESSAGES: &str = sql!("postgres/maintenance/delete_broadcast_messages");
static DELETE_BROADCASTS: &str = sql!("postgres/maintenance/delete_broadcasts");

/// The partitions from which single messages are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PruneScope {
    /// All partitions.
    AllPartitions,
    /// Partitions in which every message is old. They are dropped as a whole unless a delivery of them still waits.
    ExpiredPartitions,
}

/// Deletes at most `limit` messages accepted before `before` of which no delivery waits, and returns their number.
pub async fn prune(
    transaction: &PgTransaction,
    before: Timestamp,
    scope: PruneScope,
    limit: usize,
) -> Result<usize, PgError> {
    let position = lock_rollup_position(transaction).await?;
    let numbers = select_old_messages(transaction, before, scope, limit).await?;
    let (Some(first_number), Some(last_number)) = (numbers.first(), numbers.last()) else {
        return Ok(0);
    };
    let (first_id, last_id) = (delivery_id_range(*first_number).0, delivery_id_range(*last_number).1);
    let values = bind![numbers, first_id, last_id];
    let decode = |row: &Row| decode_reported_delivery(row, position);
    let deliveries: Vec<_> = transaction.query_all(COUNTED_DELIVERIES, values, decode).await?;
    // An operator may have requeued a delivery after the messages were selected.
    let requeued = deliveries
        .iter()
        .filter(|delivery| delivery.counts.current.state == DeliveryStateKind::Waiting)
        .map(|delivery| delivery.id.message_number())
        .collect::<HashSet<_>>();
    delete_messages(transaction, numbers, deliveries, &requeued).await
}

/// Deletes messages with their deliveries, except those in `requeued`.
async fn delete_messages(
    transaction: &PgTransaction,
    mut numbers: Vec<i64>,
    mut deliveries: Vec<ReportedDelivery>,
    requeued: &HashSet<i64>,
) -> Result<usize, PgError> {
    numbers.retain(|number| !requeued.contains(number));
    deliveries.retain(|delivery| !requeued.contains(&delivery.id.message_number()));
    move_counts(transaction, &deliveries).await?;
    let ids = column(&deliveries, |delivery| delivery.id.0);
    for statement in [DELETE_LEASES, DELETE_ATTEMPTS, DELETE_DELIVERIES] {
        transaction.execute(statement, bind![ids]).await?;
    }
    transaction.execute(DELETE_MESSAGES, bind![numbers]).await?;
    Ok(numbers.len())
}

/// Numbers of deliveries to one address: all of them, and those that the rollups have not counted yet.
#[derive(Default)]
struct AddressCounts {
    all: i64,
    uncounted: i64,
}

/// Moves the counts of deliveries from the live to the pruned rollups.
async fn move_counts(transaction: &PgTransaction, deliveries: &[ReportedDelivery]) -> Result<(), PgError> {
    let attempts = AttemptsByDelivery::load(transaction, deliveries).await?;
    let (mut live, mut pruned) = (RollupChanges::default(), RollupChanges::default());
    let mut addresses = BTreeMap::<&str, AddressCounts>::new();
    for delivery in deliveries {
        delivery.move_to_pruned(attempts.of_delivery(delivery.id), &mut live, &mut pruned);
        let counts = addresses.entry(&delivery.address).or_default();
        counts.all += 1;
        counts.uncounted += i64::from(!delivery.is_counted());
    }
    rollups::save_changes(&live, transaction, "live").await?;
    rollups::save_changes(&pruned, transaction, "pruned").await?;
    let (addresses, counts): (Vec<&str>, Vec<AddressCounts>) = addresses.into_iter().unzip();
    let all_counts = column(&counts, |counts| counts.all);
    transaction.execute(ADD_PRUNED_ADDRESSES, bind![addresses, all_counts]).await?;
    let uncounted = column(&counts, |counts| counts.uncounted);
    transaction.execute(CORRECT_ADDRESSES, bind![addresses, uncounted]).await
}

/// Returns old messages of one partition of which no delivery waits, oldest first. Skips partitions that can be dropped
/// as a whole.
async fn select_old_messages(
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
    // The order of numbers and the order of times may differ slightly. A message that is missed here is deleted an hour
    // later.
    let end_number = find_first_number_of_hour(transaction, before.div_euclid(HOUR_MS) + 2).await?;
    let end_number = end_number.unwrap_or(i64::MAX);
    for partition in candidates {
        let is_droppable = droppable.iter().any(|other| other.index == partition.index);
        if partition.is_detached || is_droppable || partition.first_number() >= end_number {
            continue;
        }
        let end_number = end_number.min(partition.next_first_number());
        let values = bind![partition.first_number(), end_number, before, limit_to_sql(limit)];
        let numbers: Vec<i64> =
            transaction.query_all(SELECT_OLD_MESSAGES, values, |row| row.integer("number")).await?;
        if !numbers.is_empty() {
            return Ok(numbers);
        }
    }
    Ok(Vec::new())
}

/// Deletes at most `limit` rows of each kind that expired at `now` or are older than `before`, and returns their number.
pub async fn delete_expired(
    transaction: &PgTransaction,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> Result<usize, PgError> {
    let inbound_bounds = bind![first_id_at(before), limit_to_sql(limit)];
    let mut deleted = transaction.execute_and_count(DELETE_INBOUND, inbound_bounds).await?;
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    for (statement, expiry) in [
        (DELETE_KEYS, now),
        (DELETE_THROTTLES, now.div_euclid(HOUR_MS)),
        (DELETE_RECEIPTS, before),
        (DELETE_OPT_MESSAGES, before),
        (DELETE_EVENTS, before),
    ] {
        deleted += transaction.execute_and_count(statement, bind![expiry, limit_to_sql(limit)]).await?;
    }
    deleted += delete_old_broadcasts(transaction, before, limit).await?;
    Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
}

/// Deletes old broadcasts whose messages were all pruned.
async fn delete_old_broadcasts(
    transaction: &PgTransaction,
    before: i64,
    limit: usize,
) -> Result<u64, PgError> {
    let values = bind![before, limit_to_sql(limit)];
    let numbers: Vec<i64> =
        transaction.query_all(SELECT_OLD_BROADCASTS, values, |row| row.integer("number")).await?;
    if numbers.is_empty() {
        return Ok(0);
    }
    transaction.execute(DELETE_BROADCAST_USERS, bind![numbers]).await?;
    transaction.execute(DELETE_BROADCAST_MESSAGES, bind![numbers]).await?;
    transaction.execute_and_count(DELETE_BROADCASTS, bind![numbers]).await
}
