//! Usage in SQLite: a page of messages of one user or of all users, or their counts.
//!
//! `message_hours` narrows a time range to a range of message numbers.

use rusqlite::{Connection, params};

use super::messages::{first_number_since, load_message_list, page_end};
use super::query::{query_all, query_one};
use crate::read::MessageList;
use crate::rollups::HOUR_MS;
use crate::rows::deliveries::decode_usage_row;
use crate::rows::{SqlRow, limit_to_sql};
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX, UsageQuery, UsageTotals};

static USAGE: &str = sql!("sqlite/read/list_usage");
static USER_USAGE: &str = sql!("sqlite/read/list_user_usage");
static USAGE_TOTALS: &str = sql!("sqlite/read/count_usage");
static USER_USAGE_TOTALS: &str = sql!("sqlite/read/count_user_usage");
static LAST_NUMBER: &str = sql!("sqlite/read/find_last_number");

/// Returns a page of messages; see [`ReadStore::usage`](crate::ReadStore::usage).
pub fn usage(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<MessageList> {
    let Some((first, end)) = find_number_range(connection, query)? else {
        return Ok(MessageList::default());
    };
    let end = query.before.map_or(end, |before| before.min(end));
    let (since, until) = query.millis_range();
    let limit = limit_to_sql(query.limit.saturating_add(1));
    let decode = |row: &rusqlite::Row<'_>| row.integer("number");
    let numbers = match &query.user {
        Some(user) => {
            query_all(connection, USER_USAGE, params![first, end, since, until, limit, user], decode)?
        }
        None => query_all(connection, USAGE, [first, end, since, until, limit], decode)?,
    };
    load_message_list(connection, numbers, query.limit)
}

/// Counts messages; see [`ReadStore::usage_totals`](crate::ReadStore::usage_totals).
pub fn usage_totals(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<UsageTotals> {
    let Some((first, end)) = find_number_range(connection, query)? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = query.millis_range();
    let deliveries_max = limit_to_sql(DELIVERIES_COUNTED_MAX);
    let rows_max = limit_to_sql(TOTALS_ROWS_MAX + 1);
    let decode = |row: &rusqlite::Row<'_>| decode_usage_row(row);
    let rows = match &query.user {
        Some(user) => {
            let values = params![first, end, since, until, deliveries_max, rows_max, user];
            query_all(connection, USER_USAGE_TOTALS, values, decode)?
        }
        None => {
            let values = [first, end, since, until, deliveries_max, rows_max];
            query_all(connection, USAGE_TOTALS, values, decode)?
        }
    };
    Ok(UsageTotals::from_rows(rows))
}

/// Returns the first message number of the query's time range and the first number after the range; none if the range has
/// no messages.
fn find_number_range(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Option<(i64, i64)>> {
    let Some(first) = first_number_since(connection, query.since)? else {
        return Ok(None);
    };
    let Some(until) = query.until else {
        return Ok(Some((first, page_end(None))));
    };
    let until_hour = until.timestamp_millis().div_euclid(HOUR_MS);
    let last = query_one(connection, LAST_NUMBER, [until_hour], |row| row.optional_integer("last_number"))?;
    Ok(last.map(|last| (first, last.saturating_add(1))))
}
