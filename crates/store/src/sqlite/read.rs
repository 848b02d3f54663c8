//! Searching messages, listing and counting usage, and counting backlogs in SQLite.
//!
//! `message_hours` narrows a time range to a range of message numbers.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::messages::{find_message, first_number_since, load_message_list, page_end};
use super::query::{query_all, query_one, query_optional};
use super::store::SqliteStore;
use crate::read::{Backlog, LastAttempt, MessageList, MessageQuery, ReadStore};
use crate::rollups::HOUR_MS;
use crate::rows::deliveries::{decode_backlog, decode_last_attempt, decode_usage_row};
use crate::rows::{SqlRow, limit_to_sql};
use crate::usage::{DELIVERIES_COUNTED_MAX, TOTALS_ROWS_MAX, UsageQuery, UsageTotals, indexed_owner};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{
    clock::Timestamp, delivery::DeliveryStateKind, error::Result, message::Message, name::ConfigName,
};

static SEARCH: &str = sql!("common/read/search_messages");
static SEARCH_ADDRESS: &str = sql!("sqlite/read/search_by_address");
static SEARCH_WAITING: &str = sql!("sqlite/read/search_waiting");
static SEARCH_WAITING_RECENT: &str = sql!("sqlite/read/search_recent_waiting");
static SEARCH_ENDED: &str = sql!("sqlite/read/search_by_state");
static SEARCH_OWNER_ENDED: &str = sql!("sqlite/read/search_owner_by_state");
static USAGE: &str = sql!("common/read/list_usage");
static OWNER_USAGE: &str = sql!("sqlite/read/list_owner_usage");
static USER_USAGE: &str = sql!("sqlite/read/list_user_usage");
static USAGE_TOTALS: &str = sql!("sqlite/read/count_usage");
static OWNER_USAGE_TOTALS: &str = sql!("sqlite/read/count_owner_usage");
static USER_USAGE_TOTALS: &str = sql!("sqlite/read/count_user_usage");
static LAST_NUMBER: &str = sql!("sqlite/read/find_last_number");
static LAST_ATTEMPT: &str = sql!("sqlite/read/find_last_attempt");
static BACKLOGS: &str = sql!("sqlite/read/count_backlog");

/// Number of newest deliveries that a search for waiting deliveries scans first. If it does not find enough, all
/// waiting deliveries are sorted.
const RECENT_SCANNED_MAX: i64 = 20_000;

#[async_trait]
impl ReadStore for SqliteStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        self.read("cannot read a message", move |connection| find_message(connection, id)).await
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        self.read("cannot search messages", move |connection| search(connection, &query)).await
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        self.read("cannot read the last attempts", move |connection| load_last_attempts(connection, &ids))
            .await
    }

    async fn usage(&self, query: UsageQuery) -> Result<MessageList> {
        self.read("cannot read usage", move |connection| load_usage(connection, &query)).await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        self.read("cannot count usage", move |connection| count_usage(connection, &query)).await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        self.read("cannot count the backlog", move |connection| {
            query_all(connection, BACKLOGS, [now.timestamp_millis()], |row| decode_backlog(row))
        })
        .await
    }
}

fn search(connection: &Connection, message_query: &MessageQuery) -> rusqlite::Result<MessageList> {
    let Some(first_number) = first_number_since(connection, message_query.since)? else {
        return Ok(MessageList::default());
    };
    let numbers = search_numbers(connection, message_query, first_number)?;
    load_message_list(connection, numbers, message_query.limit)
}

/// Returns the message numbers of one page and, if there is a next page, the first number of the next page.
fn search_numbers(
    connection: &Connection,
    message_query: &MessageQuery,
    first_number: i64,
) -> rusqlite::Result<Vec<i64>> {
    let numbers_max = message_query.limit.saturating_add(1);
    let number_before = page_end(message_query.before);
    let since = message_query.since.map(|since| since.timestamp_millis());
    let state = message_query.state.map(DeliveryStateKind::as_str);
    let owner = message_query.owner.as_deref();
    // A message can be found once for each of its deliveries.
    let rows_max = limit_to_sql(numbers_max).saturating_mul(DeliveryId::PER_MESSAGE);
    let mut statement;
    let rows = match (&message_query.to, message_query.state) {
        (Some(to), _) => {
            statement = connection.prepare_cached(SEARCH_ADDRESS)?;
            statement.query(params![first_number, number_before, since, rows_max, to, state, owner])?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            statement = connection.prepare_cached(SEARCH_WAITING_RECENT)?;
            let search_bounds =
                params![first_number, number_before, since, rows_max, RECENT_SCANNED_MAX, owner];
            let recent_numbers = distinct_numbers(statement.query(search_bounds)?, numbers_max)?;
            if recent_numbers.len() == numbers_max {
                return Ok(recent_numbers);
            }
            statement = connection.prepare_cached(SEARCH_WAITING)?;
            statement.query(params![first_number, number_before, since, rows_max, owner])?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            let is_indexed = indexed_owner(owner).is_some();
            statement =
                connection.prepare_cached(if is_indexed { SEARCH_OWNER_ENDED } else { SEARCH_ENDED })?;
            statement.query(params![first_number, number_before, since, rows_max, state, owner])?
        }
        (None, None) if indexed_owner(owner).is_some() => {
            let since = since.unwrap_or(i64::MIN);
            statement = connection.prepare_cached(OWNER_USAGE)?;
            statement.query(params![
                first_number,
                number_before,
                since,
                i64::MAX,
                owner,
                limit_to_sql(numbers_max)
            ])?
        }
        (None, None) => {
            statement = connection.prepare_cached(SEARCH)?;
            statement.query(params![first_number, number_before, since, owner, limit_to_sql(numbers_max)])?
        }
    };
    distinct_numbers(rows, numbers_max)
}

/// Returns at most `limit` numbers without adjacent duplicates.
fn distinct_numbers(mut rows: rusqlite::Rows<'_>, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while numbers.len() < limit
        && let Some(row) = rows.next()?
    {
        let message_number = row.integer("number")?;
        if numbers.last() != Some(&message_number) {
            numbers.push(message_number);
        }
    }
    Ok(numbers)
}

fn load_last_attempts(connection: &Connection, ids: &[DeliveryId]) -> rusqlite::Result<Vec<LastAttempt>> {
    let mut attempts = Vec::with_capacity(ids.len());
    for id in ids {
        attempts.extend(query_optional(connection, LAST_ATTEMPT, [id.0], |row| decode_last_attempt(row))?);
    }
    Ok(attempts)
}

fn load_usage(connection: &Connection, usage_query: &UsageQuery) -> rusqlite::Result<MessageList> {
    let Some((first_number, end_number)) = find_number_range(connection, usage_query)? else {
        return Ok(MessageList::default());
    };
    let end_number = usage_query.before.map_or(end_number, |before| before.min(end_number));
    let (since, until) = usage_query.millis_range();
    let usage_rows_max = limit_to_sql(usage_query.limit.saturating_add(1));
    let decode = |row: &rusqlite::Row<'_>| row.integer("number");
    let owner = usage_query.owner.as_deref();
    let numbers = match &usage_query.user {
        Some(user) => {
            let usage_filter = params![first_number, end_number, since, until, usage_rows_max, user, owner];
            query_all(connection, USER_USAGE, usage_filter, decode)?
        }
        None => {
            let sql = if indexed_owner(owner).is_some() { OWNER_USAGE } else { USAGE };
            query_all(
                connection,
                sql,
                params![first_number, end_number, since, until, owner, usage_rows_max],
                decode,
            )?
        }
    };
    load_message_list(connection, numbers, usage_query.limit)
}

fn count_usage(connection: &Connection, usage_query: &UsageQuery) -> rusqlite::Result<UsageTotals> {
    let Some((first, end)) = find_number_range(connection, usage_query)? else {
        return Ok(UsageTotals::from_rows(Vec::new()));
    };
    let (since, until) = usage_query.millis_range();
    let deliveries_max = limit_to_sql(DELIVERIES_COUNTED_MAX);
    let rows_max = limit_to_sql(TOTALS_ROWS_MAX + 1);
    let decode = |row: &rusqlite::Row<'_>| decode_usage_row(row);
    let owner = usage_query.owner.as_deref();
    let rows = match &usage_query.user {
        Some(user) => {
            let usage_filter = params![
                first,
                end,
                since,
                until,
                deliveries_max,
                rows_max,
                usage_query.day_offset_ms,
                user,
                owner
            ];
            query_all(connection, USER_USAGE_TOTALS, usage_filter, decode)?
        }
        None => {
            let sql = if indexed_owner(owner).is_some() { OWNER_USAGE_TOTALS } else { USAGE_TOTALS };
            let usage_filter =
                params![first, end, since, until, deliveries_max, rows_max, usage_query.day_offset_ms, owner];
            query_all(connection, sql, usage_filter, decode)?
        }
    };
    Ok(UsageTotals::from_rows(rows))
}

/// Returns the first message number of the query's time range and the first number after the range; none if the range has
/// no messages.
fn find_number_range(connection: &Connection, query: &UsageQuery) -> rusqlite::Result<Option<(i64, i64)>> {
    let Some(first_number) = first_number_since(connection, query.since)? else {
        return Ok(None);
    };
    let Some(until) = query.until else {
        return Ok(Some((first_number, page_end(None))));
    };
    let until_hour = until.timestamp_millis().div_euclid(HOUR_MS);
    let last_number =
        query_one(connection, LAST_NUMBER, [until_hour], |row| row.optional_integer("last_number"))?;
    Ok(last_number.map(|last_number| (first_number, last_number.saturating_add(1))))
}
