//! Maintenance in SQLite: deleting old messages and expired rows, backup, health check.
//!
//! The counts of deleted messages move from the live rollups to the pruned rollups, so that the report stays the same,
//! also after a rebuild.

use std::{collections::BTreeMap, path::PathBuf};

use async_trait::async_trait;
use rusqlite::params;

use super::report::{load_counted_attempts, save_rollup_changes};
use super::{backup, store::SqliteStore, write_transaction::WriteTransaction};
use crate::inbound::first_id_at;
use crate::maintenance::{MaintenanceStore, Progress, ProviderEndpoint};
use crate::rollups::{HOUR_MS, ReportedDelivery, RollupChanges};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{commit_stats::CommitStats, rows::report::decode_reported_delivery};
use postrider_core::clock::Timestamp;
use postrider_core::error::{Error, ErrorKind, Result};

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
static DELETE_OPT_MESSAGES: &str = sql!("common/maintenance/delete_old_opt_messages");
static DELETE_EVENTS: &str = sql!("common/maintenance/delete_old_events");
static DELETE_INBOUND: &str = sql!("common/maintenance/delete_old_inbound_messages");
static EXPIRED_BROADCASTS: &str = sql!("common/maintenance/select_old_broadcasts");
static DELETE_BROADCAST_USERS: &str = sql!("sqlite/maintenance/delete_broadcast_users");
static DELETE_BROADCAST_MESSAGES: &str = sql!("sqlite/maintenance/delete_broadcast_messages");
static DELETE_BROADCAST: &str = sql!("sqlite/maintenance/delete_broadcasts");
static DELETE_RECEIPTS: &str = sql!("sqlite/maintenance/delete_old_unmatched_receipts");
static SAVE_PROVIDER: &str = sql!("sqlite/maintenance/save_provider");
static PING: &str = sql!("sqlite/maintenance/ping_store");

#[async_trait]
impl MaintenanceStore for SqliteStore {
    async fn prune(&self, before: Timestamp, _now: Timestamp, limit: usize) -> Result<usize> {
        self.write("cannot delete old messages", move |transaction| prune(transaction, before, limit)).await
    }

    async fn prune_by_month(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.prune(before, now, limit).await
    }

    async fn delete_expired(&self, before: Timestamp, now: Timestamp, limit: usize) -> Result<usize> {
        self.write("cannot delete expired rows", move |transaction| {
            delete_expired(transaction, before, now, limit)
        })
        .await
    }

    async fn save_provider_endpoints(&self, providers: Vec<ProviderEndpoint>) -> Result<()> {
        self.write("cannot save provider endpoints", move |transaction| {
            for provider in &providers {
                let endpoint_values = params![provider.name.as_str(), provider.host, provider.port];
                transaction.execute(SAVE_PROVIDER, endpoint_values)?;
            }
            Ok(())
        })
        .await
    }

    async fn backup(&self, file: PathBuf, progress: Progress) -> Result<()> {
        let (from, lock_timeout) = (self.file.clone(), self.lock_timeout);
        tokio::task::spawn_blocking(move || backup::backup_database(&from, &file, lock_timeout, &progress))
            .await
            .map_err(|error| Error::with_source(ErrorKind::Internal, "the backup was aborted", error))?
    }

    async fn ping(&self) -> Result<()> {
        self.write("cannot write to the store", |transaction| {
            transaction.query_one(PING, [], |row| row.integer("value")).map(drop)
        })
        .await
    }

    fn wal_bytes(&self) -> Option<u64> {
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        // There is no log file if nothing was written since the store was last closed.
        Some(std::fs::metadata(log).map_or(0, |metadata| metadata.len()))
    }

    fn commit_stats(&self) -> Option<&CommitStats> {
        Some(self.write_thread.stats())
    }
}

/// Numbers of pruned deliveries to one address.
#[derive(Default)]
struct PrunedDeliveries {
    all: i64,
    /// Deliveries that the rollups had not counted.
    uncounted: i64,
}

fn prune(transaction: &mut WriteTransaction<'_>, before: Timestamp, limit: usize) -> rusqlite::Result<usize> {
    let message_numbers = select_ended_messages(transaction, before, limit)?;
    let (mut live_changes, mut pruned_changes) = (RollupChanges::default(), RollupChanges::default());
    let mut pruned_by_address = BTreeMap::<String, PrunedDeliveries>::new();
    for number in &message_numbers {
        for delivery in load_reported_deliveries(transaction, *number)? {
            let attempts = load_counted_attempts(transaction, delivery.id)?;
            delivery.move_to_pruned(&attempts, &mut live_changes, &mut pruned_changes);
            let uncounted = i64::from(!delivery.is_counted());
            let pruned_deliveries = pruned_by_address.entry(delivery.address).or_default();
            pruned_deliveries.all += 1;
            pruned_deliveries.uncounted += uncounted;
        }
        delete_message(transaction, *number)?;
    }
    save_rollup_changes(&live_changes, transaction, "live")?;
    save_rollup_changes(&pruned_changes, transaction, "pruned")?;
    for (address, pruned_deliveries) in pruned_by_address {
        transaction.execute(ADD_PRUNED_ADDRESS, params![address, pruned_deliveries.all])?;
        transaction.execute(CORRECT_ADDRESS_COUNT, params![address, pruned_deliveries.uncounted])?;
    }
    if let Some(last_number) = message_numbers.last() {
        transaction.execute(RAISE_PRUNED_NUMBER, [last_number])?;
    }
    Ok(message_numbers.len())
}

/// Returns the numbers of messages accepted before `before` that have no waiting delivery, oldest first.
fn select_ended_messages(
    transaction: &mut WriteTransaction<'_>,
    before: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    let before = before.timestamp_millis();
    let before_hour = before.div_euclid(HOUR_MS);
    let last_number =
        transaction.query_one(LAST_NUMBER, [before_hour], |row| row.optional_integer("last_number"))?;
    let Some(last_number) = last_number else {
        return Ok(Vec::new());
    };
    let prune_bounds = [last_number, before, limit_to_sql(limit)];
    transaction.query_all(ENDED_MESSAGES, prune_bounds, |row| row.integer("number"))
}

fn load_reported_deliveries(
    transaction: &mut WriteTransaction<'_>,
    message_number: i64,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let position = transaction.rollup_position()?;
    let id_range = delivery_id_range(message_number);
    transaction.query_all(REPORTED_DELIVERIES, id_range, |row| decode_reported_delivery(row, position))
}

fn delete_message(transaction: &mut WriteTransaction<'_>, number: i64) -> rusqlite::Result<()> {
    let id_range = delivery_id_range(number);
    transaction.execute(DELETE_ATTEMPTS, id_range)?;
    transaction.execute(DELETE_DELIVERIES, id_range)?;
    transaction.execute(DELETE_MESSAGE, [number]).map(drop)
}

fn delete_expired(
    transaction: &mut WriteTransaction<'_>,
    before: Timestamp,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<usize> {
    let inbound_bounds = params![first_id_at(before), limit_to_sql(limit)];
    let mut deleted_rows = transaction.execute(DELETE_INBOUND, inbound_bounds)?;
    let (now, before) = (now.timestamp_millis(), before.timestamp_millis());
    for (sql, bound) in [
        (DELETE_KEYS, now),
        (DELETE_THROTTLES, now.div_euclid(HOUR_MS)),
        (DELETE_RECEIPTS, before),
        (DELETE_OPT_MESSAGES, before),
        (DELETE_EVENTS, before),
    ] {
        deleted_rows += transaction.execute(sql, [bound, limit_to_sql(limit)])?;
    }
    Ok(deleted_rows + delete_expired_broadcasts(transaction, before, limit)?)
}

/// Deletes old broadcasts after all their messages were pruned.
fn delete_expired_broadcasts(
    transaction: &mut WriteTransaction<'_>,
    before: i64,
    limit: usize,
) -> rusqlite::Result<usize> {
    let expiry_and_limit = [before, limit_to_sql(limit)];
    let broadcast_numbers =
        transaction.query_all(EXPIRED_BROADCASTS, expiry_and_limit, |row| row.integer("number"))?;
    for number in &broadcast_numbers {
        for sql in [DELETE_BROADCAST_USERS, DELETE_BROADCAST_MESSAGES, DELETE_BROADCAST] {
            transaction.execute(sql, [number])?;
        }
    }
    Ok(broadcast_numbers.len())
}
