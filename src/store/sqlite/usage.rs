//! What was sent to a person or to all: a page of it, or counted.
//!
//! Runs on a reader's connection and never writes. The hours say between which numbers the messages of a time lie.

use rusqlite::{Connection, params};

use super::{look, rows};
use crate::domain::usage::UsageTotal;
use crate::store::tally::HOUR_MS;
use crate::store::usage::{COUNTED_MAX, LINES_MAX, day};
use crate::store::{Page, UsageQuery, UsageTotals};

static USAGE: &str = include_str!("../../../sql/sqlite/usage.sql");
static USAGE_USER: &str = include_str!("../../../sql/sqlite/usage_user.sql");
static USAGE_TOTALS: &str = include_str!("../../../sql/sqlite/usage_totals.sql");
static USAGE_TOTALS_USER: &str = include_str!("../../../sql/sqlite/usage_totals_user.sql");
static HOUR_LAST: &str = include_str!("../../../sql/sqlite/hour_last.sql");

/// See [`crate::store::Store::usage`].
pub fn page(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Page> {
    let Some((first, end)) = numbers(connection, query)? else {
        return Ok(Page::default());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis();
    let wanted = rows::limit(query.limit.saturating_add(1));
    let found = match &query.user {
        Some(user) => connection
            .prepare_cached(USAGE_USER)?
            .query_map(params![first, end, since, until, wanted, user], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
        None => connection
            .prepare_cached(USAGE)?
            .query_map(params![first, end, since, until, wanted], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?,
    };
    look::page(connection, found, query.limit)
}

/// See [`crate::store::Store::usage_totals`].
pub fn totals(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<UsageTotals> {
    let Some((first, end)) = numbers(connection, query)? else {
        return Ok(UsageTotals::of(Vec::new()));
    };
    let (since, until) = query.millis();
    let (most, lines) = (rows::limit(COUNTED_MAX), rows::limit(LINES_MAX + 1));
    let counted = match &query.user {
        Some(user) => connection
            .prepare_cached(USAGE_TOTALS_USER)?
            .query_map(params![first, end, since, until, most, lines, user], total)?
            .collect::<rusqlite::Result<_>>()?,
        None => connection
            .prepare_cached(USAGE_TOTALS)?
            .query_map(params![first, end, since, until, most, lines], total)?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(UsageTotals::of(counted))
}

fn total(row: &rusqlite::Row<'_>) -> rusqlite::Result<UsageTotal> {
    Ok(UsageTotal {
        user: row.get(0)?,
        channel: rows::name(row, 1)?,
        day: day(row.get(2)?),
        deliveries: rows::count(row, 3)?,
        waiting: rows::count(row, 4)?,
        sent: rows::count(row, 5)?,
        delivered: rows::count(row, 6)?,
        failed: rows::count(row, 7)?,
        opened: rows::count(row, 8)?,
        parts: rows::count(row, 9)?,
        tries: rows::count(row, 10)?,
    })
}

/// Between which numbers the messages lie, the second not included; none when there can be no such message.
fn numbers(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Option<(i64, i64)>> {
    let Some(first) = look::first_since(connection, query.since)? else {
        return Ok(None);
    };
    let Some(until) = query.until else {
        return Ok(Some((first, look::NUMBER_MAX)));
    };
    let last = connection
        .prepare_cached(HOUR_LAST)?
        .query_row([until.timestamp_millis().div_euclid(HOUR_MS)], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
    Ok(last.map(|last| (first, last.saturating_add(1))))
}
