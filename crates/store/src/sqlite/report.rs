//! The report's rollups and snapshots in SQLite.
//!
//! Deliveries up to the rollup position have been counted; those of them that changed since are marked
//! `rollup_pending`. Deliveries above the position were never counted, so a new delivery costs the report nothing until
//! the next call of `apply_changes`.

use std::collections::BTreeMap;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::rollups;
use super::store::SqliteStore;
use super::write_transaction::WriteTransaction;
use crate::report::{ReportSnapshot, ReportStore};
use crate::rollups::report::{RollupEntries, required_rollups};
use crate::rollups::{ReportedDelivery, RollupChanges};
use crate::rows::limit_to_sql;
use crate::rows::report::{
    decode_reported_delivery, decode_rollup_entry, decode_snapshot, decode_top_recipient,
};
use postrider_core::clock::Timestamp;
use postrider_core::error::Result;
use postrider_core::report::Report;

static CHANGED_DELIVERIES: &str = sql!("sqlite/report/select_changed");
static NEW_DELIVERIES: &str = sql!("sqlite/report/select_new");
static SAVE_COUNTED: &str = sql!("sqlite/report/mark_counted");
static SAVE_ROLLUP_POSITION: &str = sql!("sqlite/report/save_rollup_position");
static ADD_ADDRESS: &str = sql!("sqlite/report/add_address_count");
static DELETE_LIVE_ROLLUPS: &str = sql!("sqlite/report/clear_live_rollups");
static DELETE_LIVE_ADDRESSES: &str = sql!("sqlite/report/clear_address_counts");
static ROLLUP_ENTRIES: &str = sql!("sqlite/report/read_rollups");
static TOP_ADDRESSES: &str = sql!("sqlite/report/select_top_addresses");
static SNAPSHOT: &str = sql!("sqlite/report/read_snapshot");
static SAVE_SNAPSHOT: &str = sql!("sqlite/report/save_snapshot");
static DELETE_OLD_SNAPSHOTS: &str = sql!("sqlite/report/delete_old_snapshots");

#[async_trait]
impl ReportStore for SqliteStore {
    async fn apply_changes(&self, limit: usize) -> Result<usize> {
        self.write("cannot update the rollups", move |transaction| apply_changes(transaction, limit)).await
    }

    async fn begin_rebuild(&self) -> Result<()> {
        self.write("cannot clear the rollups", |transaction| {
            transaction.statement(DELETE_LIVE_ROLLUPS)?.execute([])?;
            transaction.statement(DELETE_LIVE_ADDRESSES)?.execute([])?;
            set_rollup_position(transaction, 0)
        })
        .await
    }

    async fn report(&self, as_of: Timestamp) -> Result<Report> {
        self.read("cannot read the report", move |connection| report(connection, as_of)).await
    }

    async fn save_snapshot(&self, snapshot: ReportSnapshot) -> Result<()> {
        self.write("cannot save the report snapshot", move |transaction| {
            transaction.statement(SAVE_SNAPSHOT)?.execute(params![
                snapshot.generation,
                snapshot.as_of.timestamp_millis(),
                snapshot.content
            ])?;
            transaction.statement(DELETE_OLD_SNAPSHOTS)?.execute([])?;
            Ok(())
        })
        .await
    }

    async fn snapshot(&self) -> Result<Option<ReportSnapshot>> {
        self.read("cannot read the report snapshot", |connection| {
            connection.prepare_cached(SNAPSHOT)?.query_row([], |row| decode_snapshot(row)).optional()
        })
        .await
    }
}

fn apply_changes(transaction: &mut WriteTransaction<'_>, limit: usize) -> rusqlite::Result<usize> {
    let mut deliveries = reported_deliveries(transaction, CHANGED_DELIVERIES, limit)?;
    if deliveries.len() < limit {
        let limit_left = limit - deliveries.len();
        deliveries.extend(reported_deliveries(transaction, NEW_DELIVERIES, limit_left)?);
    }
    let mut changes = RollupChanges::default();
    // Sorted, so that neighbours share a page of the table.
    let mut addresses = BTreeMap::<&str, i64>::new();
    for delivery in &deliveries {
        let attempts = rollups::load_counted_attempts(transaction, delivery.id)?;
        let attempts_counted = delivery.apply_to(&attempts, &mut changes);
        transaction.statement(SAVE_COUNTED)?.execute([delivery.id.0, attempts_counted])?;
        if !delivery.is_counted() {
            *addresses.entry(&delivery.address).or_default() += 1;
        }
    }
    rollups::save_changes(&changes, transaction, "live")?;
    for (address, count) in addresses {
        transaction.statement(ADD_ADDRESS)?.execute(params![address, count])?;
    }
    let new = deliveries.iter().filter(|delivery| !delivery.is_counted());
    if let Some(position) = new.map(|delivery| delivery.id.0).max() {
        set_rollup_position(transaction, position)?;
    }
    Ok(deliveries.len())
}

fn reported_deliveries(
    transaction: &mut WriteTransaction<'_>,
    sql: &'static str,
    limit: usize,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let position = transaction.rollup_position()?;
    transaction
        .statement(sql)?
        .query_map(params![position, limit_to_sql(limit)], |row| decode_reported_delivery(row, position))?
        .collect()
}

fn set_rollup_position(transaction: &mut WriteTransaction<'_>, position: i64) -> rusqlite::Result<()> {
    transaction.statement(SAVE_ROLLUP_POSITION)?.execute([position])?;
    transaction.set_rollup_position(position);
    Ok(())
}

fn report(connection: &Connection, as_of: Timestamp) -> rusqlite::Result<Report> {
    let mut rollups = RollupEntries::default();
    for (metric, first_group) in required_rollups(as_of) {
        let entries = connection
            .prepare_cached(ROLLUP_ENTRIES)?
            .query_map([metric, first_group.as_str()], |row| decode_rollup_entry(row))?
            .collect::<rusqlite::Result<_>>()?;
        rollups.insert(metric, entries);
    }
    let top_recipients = connection
        .prepare_cached(TOP_ADDRESSES)?
        .query_map([], |row| decode_top_recipient(row))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rollups.build_report(as_of, top_recipients))
}
