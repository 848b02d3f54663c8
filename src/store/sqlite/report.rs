//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::desk::Desk;
use super::rows;
use super::tally;
use crate::clock::Timestamp;
use crate::domain::report::{Report, TopLine};
use crate::store::Snapshot;
use crate::store::rollups::{self, Entry, Ledgers};
use crate::store::tally::{Line, Sums};

static CHANGED: &str = include_str!("../../../sql/sqlite/fold_changed.sql");
static NEW: &str = include_str!("../../../sql/sqlite/fold_new.sql");
static COUNTED: &str = include_str!("../../../sql/sqlite/fold_counted.sql");
static MARK: &str = include_str!("../../../sql/sqlite/fold_mark_set.sql");
static ADDRESS: &str = include_str!("../../../sql/sqlite/fold_address.sql");
static UNFOLD_TALLIES: &str = include_str!("../../../sql/sqlite/unfold_tallies.sql");
static UNFOLD_ADDRESSES: &str = include_str!("../../../sql/sqlite/unfold_addresses.sql");
static LEDGER: &str = include_str!("../../../sql/sqlite/report_ledger.sql");
static TOP: &str = include_str!("../../../sql/sqlite/report_top.sql");
static SNAPSHOT: &str = include_str!("../../../sql/sqlite/snapshot.sql");
static SNAPSHOT_KEEP: &str = include_str!("../../../sql/sqlite/snapshot_keep.sql");
static SNAPSHOT_DROP: &str = include_str!("../../../sql/sqlite/snapshot_drop.sql");

/// See [`crate::store::Store::fold`].
pub fn fold(desk: &mut Desk<'_>, limit: usize) -> rusqlite::Result<usize> {
    let mut lines = lines(desk, CHANGED, limit)?;
    if lines.len() < limit {
        let left = limit - lines.len();
        lines.extend(self::lines(desk, NEW, left)?);
    }
    let mut sums = Sums::default();
    // In the order of the table, so that neighbours share a page.
    let mut addresses = BTreeMap::<&str, i64>::new();
    for line in &lines {
        let calls = tally::calls(desk, line.id)?;
        let attempts = line.recount(&calls, &mut sums);
        desk.statement(COUNTED)?.execute([line.id.0, attempts])?;
        if !line.is_counted() {
            *addresses.entry(&line.address).or_default() += 1;
        }
    }
    tally::write(&sums, desk, "live")?;
    for (address, count) in addresses {
        desk.statement(ADDRESS)?.execute(params![address, count])?;
    }
    let counted = lines.iter().filter(|line| !line.is_counted());
    if let Some(mark) = counted.map(|line| line.id.0).max() {
        set_mark(desk, mark)?;
    }
    Ok(lines.len())
}

fn lines(desk: &mut Desk<'_>, sql: &'static str, limit: usize) -> rusqlite::Result<Vec<Line>> {
    let folded = desk.folded()?;
    desk.statement(sql)?
        .query_map(params![folded, rows::limit(limit)], |row| {
            tally::line(row, folded)
        })?
        .collect()
}

fn set_mark(desk: &mut Desk<'_>, folded: i64) -> rusqlite::Result<()> {
    desk.statement(MARK)?.execute([folded])?;
    desk.set_folded(folded);
    Ok(())
}

/// See [`crate::store::Store::unfold`].
pub fn unfold(desk: &mut Desk<'_>) -> rusqlite::Result<()> {
    desk.statement(UNFOLD_TALLIES)?.execute([])?;
    desk.statement(UNFOLD_ADDRESSES)?.execute([])?;
    set_mark(desk, 0)
}

/// See [`crate::store::Store::report`].
pub fn report(connection: &Connection, as_of: Timestamp) -> rusqlite::Result<Report> {
    let mut ledgers = Ledgers::default();
    for (ledger, from_line) in rollups::wanted(as_of) {
        ledgers.keep(ledger, entries(connection, ledger, &from_line)?);
    }
    Ok(ledgers.report(as_of, top(connection)?))
}

fn entries(connection: &Connection, ledger: &str, from_line: &str) -> rusqlite::Result<Vec<Entry>> {
    connection
        .prepare_cached(LEDGER)?
        .query_map([ledger, from_line], |row| {
            Ok(Entry {
                line: row.get(0)?,
                entry: row.get(1)?,
                count: rows::count(row, 2)?,
            })
        })?
        .collect()
}

fn top(connection: &Connection) -> rusqlite::Result<Vec<TopLine>> {
    connection
        .prepare_cached(TOP)?
        .query_map([], |row| {
            Ok(TopLine {
                address: row.get(0)?,
                count: rows::count(row, 1)?,
            })
        })?
        .collect()
}

/// See [`crate::store::Store::keep_snapshot`].
pub fn keep_snapshot(desk: &mut Desk<'_>, snapshot: &Snapshot) -> rusqlite::Result<()> {
    desk.statement(SNAPSHOT_KEEP)?.execute(params![
        snapshot.generation,
        snapshot.as_of.timestamp_millis(),
        snapshot.content
    ])?;
    desk.statement(SNAPSHOT_DROP)?.execute([])?;
    Ok(())
}

/// See [`crate::store::Store::snapshot`].
pub fn snapshot(connection: &Connection) -> rusqlite::Result<Option<Snapshot>> {
    connection
        .prepare_cached(SNAPSHOT)?
        .query_row([], |row| {
            Ok(Snapshot {
                generation: row.get(0)?,
                as_of: rows::time(row, 1)?,
                content: row.get(2)?,
            })
        })
        .optional()
}
