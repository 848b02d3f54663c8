//! Deletes old messages that have ended, and expired rows, from SQLite.
//!
//! The counts of deleted messages move from the live rollups to the pruned ones, so that the report stays the same, also
//! after a rebuild.

use std::collections::BTreeMap;

use rusqlite::params;

use super::rollups;
use super::write_transaction::WriteTransaction;
use crate::rollups::{HOUR_MS, ReportedDelivery, RollupChanges};
use crate::rows::report::decode_reported_delivery;
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use postrider_core::clock::Timestamp;

static LAST_NUMBER: &str = sql!("sqlite/read/find_last_number");
static ENDED_MESSAGES: &str = sql!("sqlite/maintenance/select_old_messages");
static REPORTED_DELIVERIES: &str = sql!("sqlite/maintenance/select_counted_deliveries");
static CORRECT_ADDRESS_COUNT: &str = sql!("sqlite/maintenance/correct_address_count");
static ADD_PRUNED_ADDRESS: &str = sql!("sqlite/maintenance/add_pruned_address_count");
static DELETE_ATTEMPTS: &str = sql!("sqlite/maintenance/delete_attempts");
static DELETE_DELIVERIES: &str = sql!("sqlite/maintenance/delete_deliveries");
static DELETE_MESSAGE: &str = sql!("sqlite/maintenance/delete_messages");
static RAISE_PRUNED_NUMBER: &str = sql!("sqlite/maintenance/raise_pruned_number");
static DELETE_KEYS: &str = sql!("sqlite/maintenance/delete_expired_idempotency_keys");
static DELETE_THROTTLES: &str = sql!("sqlite/maintenance/delete_expired_user_throttles");
static DELETE_OPT_MESSAGES: &str = sql!("sqlite/maintenance/delete_old_opt_messages");
static DELETE_EVENTS: &str = sql!("sqlite/maintenance/delete_old_events");
static EXPIRED_BROADCASTS: &str = sql!("sqlite/maintenance/select_old_broadcasts");
static DELETE_BROADCAST_USERS: &str = sql!("sqlite/maintenance/delete_broadcast_users");
static DELETE_BROADCAST_MESSAGES: &str = sql!("sqlite/maintenance/delete_broadcast_messages");
static DELETE_BROADCAST: &str = sql!("sqlite/maintenance/delete_broadcasts");
static DELETE_RECEIPTS: &str = sql!("sqlite/maintenance/delete_old_unmatched_receipts");

/// Number of pruned deliveries to one address.
#[derive(Default)]
struct PrunedDeliveries {
    all: i64,
    /// Those that the rollups had not counted.
    uncounted: i64,
}

/// Deletes old messages; see [`MaintenanceStore::prune`](crate::MaintenanceStore::prune).
pub fn prune(
    transaction: &mut WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let numbers = ended_messages(transaction, before, limit)?;
    let (mut live, mut pruned) = (RollupChanges::default(), RollupChanges::default());
    let mut addresses = BTreeMap::<String, PrunedDeliveries>::new();
    for number in &numbers {
        for delivery in reported_deliveries(transaction, *number)? {
            let attempts = rollups::load_counted_attempts(transaction, delivery.id)?;
            delivery.move_to_pruned(&attempts, &mut live, &mut pruned);
            let uncounted = i64::from(!delivery.is_counted());
            let counts = addresses.entry(delivery.address).or_default();
            counts.all += 1;
            counts.uncounted += uncounted;
        }
        delete_message(transaction, *number)?;
    }
    rollups::save_changes(&live, transaction, "live")?;
    rollups::save_changes(&pruned, transaction, "pruned")?;
    for (address, counts) in addresses {
        transaction.statement(ADD_PRUNED_ADDRESS)?.execute(params![address, counts.all])?;
        transaction.statement(CORRECT_ADDRESS_COUNT)?.execute(params![address, counts.uncounted])?;
    }
    if let Some(number) = numbers.last() {
        transaction.statement(RAISE_PRUNED_NUMBER)?.execute([number])?;
    }
    Ok(numbers.len())
}

/// Returns the numbers of messages accepted before `before` that have no waiting delivery, oldest first.
fn ended_messages(
    transaction: &mut WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let before = before.timestamp_millis();
    let last = transaction
        .statement(LAST_NUMBER)?
        .query_row([before.div_euclid(HOUR_MS)], |row| row.optional_integer("last_number"))?;
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    transaction
        .statement(ENDED_MESSAGES)?
        .query_map([last, before, limit_to_sql(limit)], |row| row.integer("number"))?
        .collect()
}

fn reported_deliveries(
    transaction: &mut WriteTransaction<'_>,
    number: i64,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let position = transaction.rollup_position()?;
    transaction
        .statement(REPORTED_DELIVERIES)?
        .query_map(delivery_id_range(number), |row| decode_reported_delivery(row, position))?
        .collect()
}

fn delete_message(transaction: &mut WriteTransaction<'_>, number: i64) -> rusqlite::Result<()> {
    let range = delivery_id_range(number);
    transaction.statement(DELETE_ATTEMPTS)?.execute(range)?;
    transaction.statement(DELETE_DELIVERIES)?.execute(range)?;
    transaction.statement(DELETE_MESSAGE)?.execute([number])?;
    Ok(())
}

/// Deletes expired rows; see [`MaintenanceStore::delete_expired`](crate::MaintenanceStore::delete_expired).
pub fn delete_expired(
    transaction: &mut WriteTransaction<'_>,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    let mut deleted = 0;
    for (sql, bound) in [
        (DELETE_KEYS, now),
        (DELETE_THROTTLES, now.div_euclid(HOUR_MS)),
        (DELETE_RECEIPTS, before),
        (DELETE_OPT_MESSAGES, before),
        (DELETE_EVENTS, before),
    ] {
        deleted += transaction.statement(sql)?.execute([bound, limit_to_sql(limit)])?;
    }
    Ok(deleted + delete_expired_broadcasts(transaction, before, limit)?)
}

/// Deletes old broadcasts after all their messages were pruned.
fn delete_expired_broadcasts(
    transaction: &mut WriteTransaction<'_>,
    before: i64,
    limit: usize,
) -> rusqlite::Result<usize> {
    let numbers = transaction
        .statement(EXPIRED_BROADCASTS)?
        .query_map([before, limit_to_sql(limit)], |row| row.integer("number"))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for number in &numbers {
        for sql in [DELETE_BROADCAST_USERS, DELETE_BROADCAST_MESSAGES, DELETE_BROADCAST] {
            transaction.statement(sql)?.execute([number])?;
        }
    }
    Ok(numbers.len())
}
