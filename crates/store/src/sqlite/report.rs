//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::rollups;
use super::rows;
use super::write_transaction::WriteTransaction;
use crate::ReportSnapshot;
use crate::rollups::report::{self, RollupEntries, RollupEntry};
use crate::rollups::{ReportedDelivery, RollupChanges};
use postrider_core::clock::Timestamp;
use postrider_core::report::{Report, TopRecipientRow};

static CHANGED_DELIVERIES: &str = include_str!("../../../../sql/sqlite/report/select_changed.sql");
static NEW_DELIVERIES: &str = include_str!("../../../../sql/sqlite/report/select_new.sql");
static SAVE_COUNTED: &str = include_str!("../../../../sql/sqlite/report/mark_counted.sql");
static SAVE_ROLLUP_POSITION: &str = include_str!("../../../../sql/sqlite/report/save_rollup_position.sql");
static ADD_ADDRESS: &str = include_str!("../../../../sql/sqlite/report/add_address_count.sql");
static DELETE_LIVE_ROLLUPS: &str = include_str!("../../../../sql/sqlite/report/clear_live_rollups.sql");
static DELETE_LIVE_ADDRESSES: &str = include_str!("../../../../sql/sqlite/report/clear_address_counts.sql");
static ROLLUP_ENTRIES: &str = include_str!("../../../../sql/sqlite/report/read_rollups.sql");
static TOP_ADDRESSES: &str = include_str!("../../../../sql/sqlite/report/select_top_addresses.sql");
static SNAPSHOT: &str = include_str!("../../../../sql/sqlite/report/read_snapshot.sql");
static SAVE_SNAPSHOT: &str = include_str!("../../../../sql/sqlite/report/save_snapshot.sql");
static DELETE_OLD_SNAPSHOTS: &str = include_str!("../../../../sql/sqlite/report/delete_old_snapshots.sql");

/// See [`crate::Store::fold`].
pub fn apply_changes(desk: &mut WriteTransaction<'_>, limit: usize) -> rusqlite::Result<usize> {
    let mut lines = reported_deliveries(desk, CHANGED_DELIVERIES, limit)?;
    if lines.len() < limit {
        let left = limit - lines.len();
        lines.extend(self::reported_deliveries(desk, NEW_DELIVERIES, left)?);
    }
    let mut sums = RollupChanges::default();
    // In the order of the table, so that neighbours share a page.
    let mut addresses = BTreeMap::<&str, i64>::new();
    for line in &lines {
        let calls = rollups::load_counted_attempts(desk, line.id)?;
        let attempts = line.apply_to(&calls, &mut sums);
        desk.statement(SAVE_COUNTED)?.execute([line.id.0, attempts])?;
        if !line.is_counted() {
            *addresses.entry(&line.address).or_default() += 1;
        }
    }
    rollups::save_changes(&sums, desk, "live")?;
    for (address, count) in addresses {
        desk.statement(ADD_ADDRESS)?.execute(params![address, count])?;
    }
    let counted = lines.iter().filter(|line| !line.is_counted());
    if let Some(mark) = counted.map(|line| line.id.0).max() {
        set_rollup_position(desk, mark)?;
    }
    Ok(lines.len())
}

fn reported_deliveries(
    desk: &mut WriteTransaction<'_>,
    sql: &'static str,
    limit: usize,
) -> rusqlite::Result<Vec<ReportedDelivery>> {
    let folded = desk.rollup_position()?;
    desk.statement(sql)?
        .query_map(params![folded, rows::limit_to_sql(limit)], |row| {
            rollups::decode_reported_delivery(row, folded)
        })?
        .collect()
}

fn set_rollup_position(desk: &mut WriteTransaction<'_>, folded: i64) -> rusqlite::Result<()> {
    desk.statement(SAVE_ROLLUP_POSITION)?.execute([folded])?;
    desk.set_rollup_position(folded);
    Ok(())
}

/// See [`crate::Store::unfold`].
pub fn begin_rebuild(desk: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
    desk.statement(DELETE_LIVE_ROLLUPS)?.execute([])?;
    desk.statement(DELETE_LIVE_ADDRESSES)?.execute([])?;
    set_rollup_position(desk, 0)
}

/// See [`crate::Store::report`].
pub fn report(connection: &Connection, as_of: Timestamp) -> rusqlite::Result<Report> {
    let mut ledgers = RollupEntries::default();
    for (ledger, from_line) in report::required_rollups(as_of) {
        ledgers.insert(ledger, rollup_entries(connection, ledger, &from_line)?);
    }
    Ok(ledgers.build_report(as_of, top_addresses(connection)?))
}

fn rollup_entries(
    connection: &Connection,
    ledger: &str,
    from_line: &str,
) -> rusqlite::Result<Vec<RollupEntry>> {
    connection
        .prepare_cached(ROLLUP_ENTRIES)?
        .query_map([ledger, from_line], |row| {
            Ok(RollupEntry {
                group: row.get(0)?,
                key: row.get(1)?,
                count: rows::decode_count(row, 2)?,
            })
        })?
        .collect()
}

fn top_addresses(connection: &Connection) -> rusqlite::Result<Vec<TopRecipientRow>> {
    connection
        .prepare_cached(TOP_ADDRESSES)?
        .query_map([], |row| {
            Ok(TopRecipientRow {
                address: row.get(0)?,
                count: rows::decode_count(row, 1)?,
            })
        })?
        .collect()
}

/// See [`crate::Store::keep_snapshot`].
pub fn save_snapshot(desk: &mut WriteTransaction<'_>, snapshot: &ReportSnapshot) -> rusqlite::Result<()> {
    desk.statement(SAVE_SNAPSHOT)?.execute(params![
        snapshot.generation,
        snapshot.as_of.timestamp_millis(),
        snapshot.content
    ])?;
    desk.statement(DELETE_OLD_SNAPSHOTS)?.execute([])?;
    Ok(())
}

/// See [`crate::Store::snapshot`].
pub fn snapshot(connection: &Connection) -> rusqlite::Result<Option<ReportSnapshot>> {
    connection
        .prepare_cached(SNAPSHOT)?
        .query_row([], |row| {
            Ok(ReportSnapshot {
                generation: row.get(0)?,
                as_of: rows::decode_time(row, 1)?,
                content: row.get(2)?,
            })
        })
        .optional()
}
