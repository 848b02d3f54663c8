//! What was sent to a person or to all: a page of it, or counted.
//!
//! Runs on a reader's connection and never writes. The hours say between which numbers the messages of a time lie.

use rusqlite::{Connection, params};

use super::{read, rows};
use crate::rollups::HOUR_MS;
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX, date_of_day_number};
use crate::{MessageList, UsageQuery, UsageTotals};
use postrider_core::usage::UsageRow;

static USAGE: &str = include_str!("../../../../sql/sqlite/read/list_usage.sql");
static USAGE_USER: &str = include_str!("../../../../sql/sqlite/read/list_user_usage.sql");
static USAGE_TOTALS: &str = include_str!("../../../../sql/sqlite/read/count_usage.sql");
static USAGE_TOTALS_USER: &str = include_str!("../../../../sql/sqlite/read/count_user_usage.sql");
static HOUR_LAST: &str = include_str!("../../../../sql/sqlite/read/find_last_number.sql");

/// See [`crate::Store::usage`].
pub fn usage(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<MessageList> {
    let Some((first, end)) = number_range(connection, query)? else {
        return Ok(MessageList::default());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis_range();
    let wanted = rows::limit_to_sql(query.limit.saturating_add(1));
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
    read::load_message_list(connection, found, query.limit)
}

/// See [`crate::Store::usage_totals`].
pub fn usage_totals(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<UsageTotals> {
    let Some((first, end)) = number_range(connection, query)? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = query.millis_range();
    let (most, lines) = (
        rows::limit_to_sql(DELIVERIES_COUNTED_MAX),
        rows::limit_to_sql(TOTALS_ROWS_MAX + 1),
    );
    let counted = match &query.user {
        Some(user) => connection
            .prepare_cached(USAGE_TOTALS_USER)?
            .query_map(params![first, end, since, until, most, lines, user], decode_total)?
            .collect::<rusqlite::Result<_>>()?,
        None => connection
            .prepare_cached(USAGE_TOTALS)?
            .query_map(params![first, end, since, until, most, lines], decode_total)?
            .collect::<rusqlite::Result<_>>()?,
    };
    Ok(UsageTotals::from_rows(counted))
}

fn decode_total(row: &rusqlite::Row<'_>) -> rusqlite::Result<UsageRow> {
    Ok(UsageRow {
        user: row.get(0)?,
        channel: rows::decode_name(row, 1)?,
        day: date_of_day_number(row.get(2)?),
        deliveries: rows::decode_count(row, 3)?,
        waiting: rows::decode_count(row, 4)?,
        sent: rows::decode_count(row, 5)?,
        delivered: rows::decode_count(row, 6)?,
        failed: rows::decode_count(row, 7)?,
        opened: rows::decode_count(row, 8)?,
        parts: rows::decode_count(row, 9)?,
        tries: rows::decode_count(row, 10)?,
    })
}

/// Between which numbers the messages lie, the second not included; none when there can be no such message.
fn number_range(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Option<(i64, i64)>> {
    let Some(first) = read::first_number_since(connection, query.since)? else {
        return Ok(None);
    };
    let Some(until) = query.until else {
        return Ok(Some((first, read::MESSAGE_NUMBER_MAX)));
    };
    let last = connection
        .prepare_cached(HOUR_LAST)?
        .query_row([until.timestamp_millis().div_euclid(HOUR_MS)], |row| {
            row.get::<_, Option<i64>>(0)
        })?;
    Ok(last.map(|last| (first, last.saturating_add(1))))
}
