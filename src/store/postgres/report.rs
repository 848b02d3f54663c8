//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use super::accept::NUMBERS_LOCK;
use super::fault::Trouble;
use super::link::{Desk, Link, bind};
use super::retire;
use super::rows;
use super::tally::{self, Calls};
use crate::clock::Timestamp;
use crate::domain::report::{Report, TopLine};
use crate::store::Snapshot;
use crate::store::rollups::{self, Entry, Ledgers};
use crate::store::tally::Sums;

static CHANGED: &str = include_str!("../../../sql/postgres/fold_changed.sql");
static NEW: &str = include_str!("../../../sql/postgres/fold_new.sql");
static COUNTED: &str = include_str!("../../../sql/postgres/fold_counted.sql");
static LOCK: &str = include_str!("../../../sql/postgres/fold_lock.sql");
static HORIZON: &str = include_str!("../../../sql/postgres/fold_horizon.sql");
static MARK: &str = include_str!("../../../sql/postgres/fold_mark.sql");
static MARK_SET: &str = include_str!("../../../sql/postgres/fold_mark_set.sql");
static ADDRESS: &str = include_str!("../../../sql/postgres/fold_address.sql");
static UNFOLD_TALLIES: &str = include_str!("../../../sql/postgres/unfold_tallies.sql");
static UNFOLD_ADDRESSES: &str = include_str!("../../../sql/postgres/unfold_addresses.sql");
static LEDGER: &str = include_str!("../../../sql/postgres/report_ledger.sql");
static TOP: &str = include_str!("../../../sql/postgres/report_top.sql");
static SNAPSHOT: &str = include_str!("../../../sql/postgres/snapshot.sql");
static SNAPSHOT_KEEP: &str = include_str!("../../../sql/postgres/snapshot_keep.sql");
static SNAPSHOT_DROP: &str = include_str!("../../../sql/postgres/snapshot_drop.sql");

/// Up to which delivery nothing can come any more. A transaction of its own, so that accepts wait for it only
/// as long as it takes to read a number.
pub async fn horizon(link: &Link) -> Result<i64, Trouble> {
    let desk = link.write().await?;
    let number = last_number(&desk).await;
    let number = desk.end(number).await?;
    Ok(rows::range(number).1)
}

async fn last_number(desk: &Desk) -> Result<i64, Trouble> {
    desk.rows(LOCK, bind![NUMBERS_LOCK]).await?;
    rows::get(&desk.one(HORIZON, &[]).await?, 0)
}

/// Up to which delivery the report has counted. Nobody else counts until the transaction ends.
pub async fn folded(desk: &Desk) -> Result<i64, Trouble> {
    rows::get(&desk.one(MARK, &[]).await?, 0)
}

/// See [`crate::store::Store::fold`].
pub async fn fold(desk: &Desk, horizon: i64, limit: usize) -> Result<usize, Trouble> {
    let folded = folded(desk).await?;
    let mut found = desk.rows(CHANGED, bind![folded, rows::limit(limit)]).await?;
    if found.len() < limit {
        let left = rows::limit(limit - found.len());
        found.extend(desk.rows(NEW, bind![folded, left, horizon]).await?);
    }
    let lines = found.iter().map(|row| tally::line(row, folded));
    let lines = lines.collect::<Result<Vec<_>, _>>()?;
    if lines.is_empty() {
        return Ok(0);
    }
    let calls = Calls::of(desk, &lines).await?;
    let mut sums = Sums::default();
    let mut addresses = BTreeMap::<&str, i64>::new();
    let mut counted = Vec::with_capacity(lines.len());
    for line in &lines {
        counted.push(line.recount(calls.of_delivery(line.id), &mut sums));
        if !line.is_counted() {
            *addresses.entry(&line.address).or_default() += 1;
        }
    }
    let ids = lines.iter().map(|line| line.id.0).collect::<Vec<_>>();
    desk.run(COUNTED, bind![ids, counted]).await?;
    tally::write(&sums, desk, "live").await?;
    let (names, counts): (Vec<&str>, Vec<i64>) = addresses.into_iter().unzip();
    desk.run(ADDRESS, bind![names, counts]).await?;
    let new = lines.iter().filter(|line| !line.is_counted());
    if let Some(mark) = new.map(|line| line.id.0).max() {
        desk.run(MARK_SET, bind![mark]).await?;
    }
    Ok(lines.len())
}

/// See [`crate::store::Store::unfold`].
pub async fn unfold(desk: &Desk) -> Result<(), Trouble> {
    // A month on its way out is counted by what the roll-ups say now.
    folded(desk).await?;
    retire::settle(desk).await?;
    desk.run(UNFOLD_TALLIES, &[]).await?;
    desk.run(UNFOLD_ADDRESSES, &[]).await?;
    desk.run(MARK_SET, bind![0_i64]).await?;
    Ok(())
}

/// See [`crate::store::Store::report`].
pub async fn report(desk: &Desk, as_of: Timestamp) -> Result<Report, Trouble> {
    let mut ledgers = Ledgers::default();
    for (ledger, from_line) in rollups::wanted(as_of) {
        ledgers.keep(ledger, entries(desk, ledger, &from_line).await?);
    }
    Ok(ledgers.report(as_of, top(desk).await?))
}

async fn entries(desk: &Desk, ledger: &str, from_line: &str) -> Result<Vec<Entry>, Trouble> {
    let found = desk.rows(LEDGER, bind![ledger, from_line]).await?;
    let read = |row| {
        Ok(Entry {
            line: rows::get(row, 0)?,
            entry: rows::get(row, 1)?,
            count: rows::count(row, 2)?,
        })
    };
    found.iter().map(read).collect()
}

async fn top(desk: &Desk) -> Result<Vec<TopLine>, Trouble> {
    let found = desk.rows(TOP, &[]).await?;
    let read = |row| {
        Ok(TopLine {
            address: rows::get(row, 0)?,
            count: rows::count(row, 1)?,
        })
    };
    found.iter().map(read).collect()
}

/// See [`crate::store::Store::keep_snapshot`].
pub async fn keep_snapshot(desk: &Desk, snapshot: &Snapshot) -> Result<(), Trouble> {
    let as_of = snapshot.as_of.timestamp_millis();
    desk.run(SNAPSHOT_KEEP, bind![snapshot.generation, as_of, snapshot.content])
        .await?;
    desk.run(SNAPSHOT_DROP, &[]).await?;
    Ok(())
}

/// See [`crate::store::Store::snapshot`].
pub async fn snapshot(desk: &Desk) -> Result<Option<Snapshot>, Trouble> {
    let Some(row) = desk.row(SNAPSHOT, &[]).await? else {
        return Ok(None);
    };
    Ok(Some(Snapshot {
        generation: rows::get(&row, 0)?,
        as_of: rows::time(&row, 1)?,
        content: rows::get(&row, 2)?,
    }))
}
