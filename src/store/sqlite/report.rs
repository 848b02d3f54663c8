//! The report's roll-ups: kept up with what changed, forgotten, read.
//!
//! Deliveries up to the mark `folded` have been counted; those that changed since bear the mark `recount`;
//! whatever lies beyond `folded` was never counted. So a new delivery costs the report nothing until `fold`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::desk::{Desk, HOUR_MS};
use super::rows;
use super::tally::{CARRIED, DURATIONS, HOURS, Line, MESSAGES, OPENED, OUTCOMES, STATES, Sums, hour_line};
use crate::clock::{Timestamp, from_millis};
use crate::domain::attempt::Outcome;
use crate::domain::delivery::{Failure, Standing};
use crate::domain::report::{HourLine, ProviderLine, Report, TopLine, Totals};
use crate::store::Snapshot;

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

/// How many hours the report shows, the one of its own time included.
const HOURS_SHOWN: i64 = 48;

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
        let attempts = line.recount(desk, &mut sums)?;
        desk.statement(COUNTED)?.execute([line.id.0, attempts])?;
        if !line.is_counted() {
            *addresses.entry(&line.address).or_default() += 1;
        }
    }
    sums.write(desk, "live")?;
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
        .query_map(params![folded, rows::limit(limit)], |row| Line::read(row, folded))?
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
    Ok(Report {
        as_of,
        messages: ledger(connection, MESSAGES, "")?
            .first()
            .map_or(0, |entry| entry.count),
        totals: totals(connection)?,
        providers: providers(connection)?,
        hours: hours(connection, as_of)?,
        top: top(connection)?,
    })
}

/// What a roll-up says of one entry.
struct Entry {
    line: String,
    entry: String,
    count: u64,
}

fn ledger(connection: &Connection, ledger: &str, from_line: &str) -> rusqlite::Result<Vec<Entry>> {
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

fn totals(connection: &Connection) -> rusqlite::Result<Totals> {
    let states = ledger(connection, STATES, "")?;
    let sum = |standing: Standing| {
        let of_standing = states.iter().filter(|entry| entry.line == standing.word());
        of_standing.map(|entry| entry.count).sum::<u64>()
    };
    let failed = |failure: Failure| {
        let found = states.iter().find(|entry| entry.entry == failure.word())?;
        Some((failure.word().to_owned(), found.count))
    };
    let outcomes = ledger(connection, OUTCOMES, "")?;
    let unknown = outcomes.iter().filter(|entry| entry.entry == "unknown");
    Ok(Totals {
        waiting: sum(Standing::Waiting),
        sent: sum(Standing::Sent),
        delivered: sum(Standing::Delivered),
        failed: Failure::ALL.into_iter().filter_map(failed).collect(),
        unknown: unknown.map(|entry| entry.count).sum(),
        opened: ledger(connection, OPENED, "")?
            .first()
            .map_or(0, |entry| entry.count),
    })
}

/// Where in a provider's line the count of an entry belongs; none for an entry this version does not know.
type Place = for<'l> fn(&'l mut ProviderLine, &str) -> Option<&'l mut u64>;

/// A line for each provider; attempts of which nobody knows whom they asked belong to none.
fn providers(connection: &Connection) -> rusqlite::Result<Vec<ProviderLine>> {
    let mut lines = BTreeMap::<String, ProviderLine>::new();
    let mut fill = |ledger_name, put: Place| {
        for found in ledger(connection, ledger_name, "")? {
            let line = lines.entry(found.line).or_default();
            if let Some(place) = put(line, &found.entry) {
                *place = found.count;
            }
        }
        Ok::<_, rusqlite::Error>(())
    };
    fill(OUTCOMES, |line, entry| {
        let place = Outcome::WORDS.iter().position(|word| *word == entry)?;
        line.outcomes.get_mut(place)
    })?;
    fill(DURATIONS, |line, entry| {
        line.durations.get_mut(entry.parse::<usize>().ok()?)
    })?;
    fill(CARRIED, |line, entry| match entry {
        "sent" => Some(&mut line.sent),
        "delivered" => Some(&mut line.delivered),
        "bounced" => Some(&mut line.bounced),
        _ => None,
    })?;
    lines.remove("");
    let named = lines
        .into_iter()
        .map(|(name, line)| ProviderLine { name, ..line });
    Ok(named.collect())
}

fn hours(connection: &Connection, as_of: Timestamp) -> rusqlite::Result<Vec<HourLine>> {
    let newest = as_of.timestamp_millis().div_euclid(HOUR_MS);
    let mut hours = BTreeMap::<String, HourLine>::new();
    for found in ledger(connection, HOURS, &hour_line(newest - HOURS_SHOWN + 1))? {
        let since_1970 = found.line.parse::<i64>().unwrap_or_default();
        let line = hours.entry(found.line).or_default();
        line.hour = from_millis(since_1970 * HOUR_MS);
        match found.entry.as_str() {
            "accepted" => line.accepted = found.count,
            "sent" => line.sent = found.count,
            _ => line.failed = found.count,
        }
    }
    Ok(hours.into_values().collect())
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
