//! The report's rollups and snapshots in SQLite.
//!
//! Deliveries up to the rollup position have been counted; a counted delivery that changed later is marked
//! `rollup_pending`. Deliveries above the position were never counted, so a new delivery costs the report nothing until
//! the next call of `apply_changes`. The arithmetic of the counts is in [`crate::rollups`].

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::query::{query_all, query_optional};
use super::{store::SqliteStore, write_transaction::WriteTransaction};
use crate::report::{ReportSnapshot, ReportStore};
use crate::rollups::report::{RollupEntries, required_rollups};
use crate::rollups::{CountedAttempt, ReportedDelivery, RollupChanges};
use crate::rows::limit_to_sql;
use crate::rows::report::{
    decode_counted_attempt, decode_reported_delivery, decode_rollup_entry, decode_snapshot,
    decode_top_recipient,
};
use postrider_core::{clock::Timestamp, error::Result, id::DeliveryId, report::Report};

static CHANGED_DELIVERIES: &str = sql!("sqlite/report/select_changed");
static NEW_DELIVERIES: &str = sql!("sqlite/report/select_new");
static SAVE_COUNTED: &str = sql!("sqlite/report/mark_counted");
static SAVE_ROLLUP_POSITION: &str = sql!("sqlite/report/save_rollup_position");
static ADD_ADDRESS: &str = sql!("sqlite/report/add_address_count");
static DELETE_LIVE_ROLLUPS: &str = sql!("common/report/clear_live_rollups");
static DELETE_LIVE_ADDRESSES: &str = sql!("sqlite/report/clear_address_counts");
static ADD_TO_ROLLUP: &str = sql!("sqlite/report/add_rollup");
static ATTEMPTS: &str = sql!("sqlite/report/select_attempts");
static ROLLUP_ENTRIES: &str = sql!("sqlite/report/read_rollups");
static TOP_ADDRESSES: &str = sql!("sqlite/report/select_top_addresses");
static SNAPSHOT: &str = sql!("common/report/read_snapshot");
static SAVE_SNAPSHOT: &str = sql!("common/report/save_snapshot");
static DELETE_OLD_SNAPSHOTS: &str = sql!("common/report/delete_old_snapshots");

#[async_trait]
impl ReportStore for SqliteStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        self.write("cannot update the rollups", move |transaction| apply_changes(transaction, limit)).await
    }

    async fn begin_rebuild(&self) -> Result<()> {
        self.write("cannot clear the rollups", |transaction| {
            transaction.execute(DELETE_LIVE_ROLLUPS, [])?;
            transaction.execute(DELETE_LIVE_ADDRESSES, [])?;
            set_rollup_position(transaction, 0)
        })
        .await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        self.read("cannot read the report", move |connection| build_report(connection, as_of)).await
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        self.write("cannot save the report snapshot", move |transaction| {
            let as_of = snapshot.as_of.timestamp_millis();
            transaction.execute(SAVE_SNAPSHOT, params![snapshot.generation, as_of, snapshot.content])?;
            transaction.execute(DELETE_OLD_SNAPSHOTS, []).map(drop)
        })
        .await
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.read("cannot read the report snapshot", |connection| {
            query_optional(connection, SNAPSHOT, [], |row| decode_snapshot(row))
        })
        .await
    }
}

fn apply_changes(transaction: &mut WriteTransaction<'_>, changes_max: usize) -> rusqlite::Result<usize> {
    let mut deliveries = load_reported_deliveries(transaction, CHANGED_DELIVERIES, changes_max)?;
    if deliveries.len() < changes_max {
        let limit_left = changes_max - deliveries.len();
        deliveries.extend(load_reported_deliveries(transaction, NEW_DELIVERIES, limit_left)?);
    }
    let mut changes = RollupChanges::default();
    // Sorted by address, so that neighbouring rows share a page of the table.
    let mut address_counts = BTreeMap::<&str, i64>::new();
    let mut new_position = None;
    for delivery in &deliveries {
        let attempts = load_counted_attempts(transaction, delivery.id)?;
        let attempts_counted = delivery.apply_to(&attempts, &mut changes);
        transaction.execute(SAVE_COUNTED, [delivery.id.0, attempts_counted])?;
        if !delivery.is_counted() {
            *address_counts.entry(&delivery.address).or_default() += 1;
            new_position = new_position.max(Some(delivery.id.0));
        }
    }
    save_rollup_changes(&changes, transaction, "live")?;
    for (address, count) in address_counts {
        transaction.execute(ADD_ADDRESS, params![address, count])?;
    }
    if let Some(position) = new_position {
        set_rollup_position(transaction, position)?;
    }
    Ok(deliveries.len())
}

fn load_reported_deliveries(
    transaction: &mut WriteTransaction<'_>,
    sql: &'static str,
    limit: usize,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let rollup_position = transaction.rollup_position()?;
    let position_and_limit = [rollup_position, limit_to_sql(limit)];
    transaction.query_all(sql, position_and_limit, |row| decode_reported_delivery(row, rollup_position))
}

/// Loads the attempts of a delivery.
pub fn load_counted_attempts(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
) -> rusqlite::Result<Vec<CountedAttempt>> {
    transaction.query_all(ATTEMPTS, [id.0], |row| decode_counted_attempt(row))
}

/// Adds changes to the rollups of an origin: `live` or `pruned`.
pub fn save_rollup_changes(
    changes: &RollupChanges,
    transaction: &mut WriteTransaction<'_>,
    origin: &str,
) -> rusqlite::Result<()> {
    for (metric, group, entry, count) in changes.changes() {
        transaction.execute(ADD_TO_ROLLUP, params![metric, group, entry, origin, count])?;
    }
    Ok(())
}

fn set_rollup_position(transaction: &mut WriteTransaction<'_>, position: i64) -> rusqlite::Result<()> {
    transaction.execute(SAVE_ROLLUP_POSITION, [position])?;
    transaction.set_rollup_position(position);
    Ok(())
}

fn build_report(connection: &Connection, as_of: Timestamp) -> rusqlite::Result<Report> {
    let mut rollups = RollupEntries::default();
    for (metric, first_group) in required_rollups(as_of) {
        let metric_and_group = [metric, first_group.as_str()];
        rollups.insert(
            metric,
            query_all(connection, ROLLUP_ENTRIES, metric_and_group, |row| decode_rollup_entry(row))?,
        );
    }
    let top_recipients = query_all(connection, TOP_ADDRESSES, [], |row| decode_top_recipient(row))?;
    Ok(rollups.build_report(as_of, top_recipients))
}
