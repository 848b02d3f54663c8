//! Deleting what is old and has ended. What the report counts of it moves from the live roll-ups to the kept
//! ones, so that neither `fold` nor a rebuild from nothing comes to other numbers afterwards.

use std::collections::BTreeMap;

use rusqlite::params;

use super::rollups;
use super::rows;
use super::write_transaction::WriteTransaction;
use crate::rollups::{HOUR_MS, ReportedDelivery, RollupChanges};
use postrider_core::clock::Timestamp;

static HOUR_LAST: &str = include_str!("../../../../sql/sqlite/read/find_last_number.sql");
static ENDED_MESSAGES: &str = include_str!("../../../../sql/sqlite/maintenance/select_old_messages.sql");
static REPORTED_DELIVERIES: &str =
    include_str!("../../../../sql/sqlite/maintenance/select_counted_deliveries.sql");
static SUBTRACT_ADDRESS: &str = include_str!("../../../../sql/sqlite/maintenance/correct_address_count.sql");
static ADD_KEPT_ADDRESS: &str =
    include_str!("../../../../sql/sqlite/maintenance/add_pruned_address_count.sql");
static ATTEMPTS_DELETE: &str = include_str!("../../../../sql/sqlite/maintenance/delete_attempts.sql");
static DELIVERIES_DELETE: &str = include_str!("../../../../sql/sqlite/maintenance/delete_deliveries.sql");
static MESSAGE_DELETE: &str = include_str!("../../../../sql/sqlite/maintenance/delete_messages.sql");
static SAVE_PRUNED_NUMBER: &str = include_str!("../../../../sql/sqlite/maintenance/raise_pruned_number.sql");
static DELETE_KEYS: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_expired_idempotency_keys.sql");
static DELETE_THROTTLES: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_expired_user_throttles.sql");
static DELETE_SEEN_TEXTS: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_old_opt_messages.sql");
static DELETE_EVENTS: &str = include_str!("../../../../sql/sqlite/maintenance/delete_old_events.sql");
static EXPIRED_BROADCASTS: &str =
    include_str!("../../../../sql/sqlite/maintenance/select_old_broadcasts.sql");
static DELETE_BROADCAST_USERS: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_broadcast_users.sql");
static DELETE_BROADCAST_MESSAGES: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_broadcast_messages.sql");
static DELETE_BROADCAST: &str = include_str!("../../../../sql/sqlite/maintenance/delete_broadcasts.sql");
static DELETE_RECEIPTS: &str =
    include_str!("../../../../sql/sqlite/maintenance/delete_old_unmatched_receipts.sql");

/// What the report counts of an address, by whether it has been counted.
#[derive(Default)]
struct AddressCounts {
    all: i64,
    uncounted: i64,
}

/// See [`crate::Store::prune`].
pub fn prune(desk: &mut WriteTransaction<'_>, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let numbers = ended_messages(desk, before, limit)?;
    let (mut live, mut kept) = (RollupChanges::default(), RollupChanges::default());
    let mut addresses = BTreeMap::<String, AddressCounts>::new();
    for number in &numbers {
        for line in reported_deliveries(desk, *number)? {
            let calls = rollups::load_counted_attempts(desk, line.id)?;
            line.move_to_kept(&calls, &mut live, &mut kept);
            let not_counted = i64::from(!line.is_counted());
            let share = addresses.entry(line.address).or_default();
            share.all += 1;
            share.uncounted += not_counted;
        }
        delete_message(desk, *number)?;
    }
    rollups::save_changes(&live, desk, "live")?;
    rollups::save_changes(&kept, desk, "pruned")?;
    for (address, share) in addresses {
        desk.statement(ADD_KEPT_ADDRESS)?
            .execute(params![address, share.all])?;
        desk.statement(SUBTRACT_ADDRESS)?
            .execute(params![address, share.uncounted])?;
    }
    if let Some(number) = numbers.last() {
        desk.statement(SAVE_PRUNED_NUMBER)?.execute([number])?;
    }
    Ok(numbers.len())
}

/// See [`crate::Store::forget`].
pub fn delete_expired(
    desk: &mut WriteTransaction<'_>,
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
        (DELETE_SEEN_TEXTS, before),
        (DELETE_EVENTS, before),
    ] {
        deleted += desk.statement(sql)?.execute([bound, rows::limit_to_sql(limit)])?;
    }
    Ok(deleted + delete_expired_broadcasts(desk, before, limit)?)
}

/// Broadcasts go after the last of their messages.
fn delete_expired_broadcasts(
    desk: &mut WriteTransaction<'_>,
    before: i64,
    limit: usize,
) -> rusqlite::Result<usize> {
    let numbers = desk
        .statement(EXPIRED_BROADCASTS)?
        .query_map([before, rows::limit_to_sql(limit)], |row| row.get::<_, i64>(0))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for number in &numbers {
        for sql in [
            DELETE_BROADCAST_USERS,
            DELETE_BROADCAST_MESSAGES,
            DELETE_BROADCAST,
        ] {
            desk.statement(sql)?.execute([number])?;
        }
    }
    Ok(numbers.len())
}

/// Messages that were accepted before then and of which nothing waits any more, oldest first.
fn ended_messages(
    desk: &mut WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let before = before.timestamp_millis();
    let last = desk
        .statement(HOUR_LAST)?
        .query_row([before.div_euclid(HOUR_MS)], |row| row.get::<_, Option<i64>>(0))?;
    let Some(last) = last else {
        return Ok(Vec::new());
    };
    desk.statement(ENDED_MESSAGES)?
        .query_map([last, before, rows::limit_to_sql(limit)], |row| row.get(0))?
        .collect()
}

fn reported_deliveries(
    desk: &mut WriteTransaction<'_>,
    number: i64,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let folded = desk.rollup_position()?;
    desk.statement(REPORTED_DELIVERIES)?
        .query_map(rows::delivery_id_range(number), |row| {
            rollups::decode_reported_delivery(row, folded)
        })?
        .collect()
}

fn delete_message(desk: &mut WriteTransaction<'_>, number: i64) -> rusqlite::Result<()> {
    let range = rows::delivery_id_range(number);
    desk.statement(ATTEMPTS_DELETE)?.execute(range)?;
    desk.statement(DELIVERIES_DELETE)?.execute(range)?;
    desk.statement(MESSAGE_DELETE)?.execute([number])?;
    Ok(())
}
