//! Reading messages: one with all that happened to it, or a page of many.
//!
//! Runs on a reader's connection and never writes.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::rows;
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Delivery, Message, RecordedAttempt};
use crate::store::tally::HOUR_MS;
use crate::store::{Backlog, Page, Pick, Query, Selection};

static NUMBER: &str = include_str!("../../../sql/sqlite/number.sql");
static MESSAGE: &str = include_str!("../../../sql/sqlite/message.sql");
static DELIVERIES: &str = include_str!("../../../sql/sqlite/deliveries.sql");
static ATTEMPTS: &str = include_str!("../../../sql/sqlite/attempts.sql");
static HOUR_FIRST: &str = include_str!("../../../sql/sqlite/hour_first.sql");
static SEARCH: &str = include_str!("../../../sql/sqlite/search.sql");
static SEARCH_ADDRESS: &str = include_str!("../../../sql/sqlite/search_address.sql");
static SEARCH_WAITING: &str = include_str!("../../../sql/sqlite/search_waiting.sql");
static SEARCH_WAITING_NEAR: &str = include_str!("../../../sql/sqlite/search_waiting_near.sql");
static SEARCH_ENDED: &str = include_str!("../../../sql/sqlite/search_ended.sql");
static SELECT_WAITING: &str = include_str!("../../../sql/sqlite/select_waiting.sql");
static SELECT_FAILED: &str = include_str!("../../../sql/sqlite/select_failed.sql");
static BACKLOGS: &str = include_str!("../../../sql/sqlite/backlogs.sql");

/// The greatest message number whose deliveries still have numbers.
pub const NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// How many of the newest deliveries are looked through for what waits before all that waits is sorted.
const NEAR: i64 = 20_000;

/// See [`crate::store::Store::find`].
pub fn find(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Message>> {
    let number = connection
        .prepare_cached(NUMBER)?
        .query_row([id.bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else {
        return Ok(None);
    };
    let mut message = read(connection, number)?;
    let mut attempts = connection.prepare_cached(ATTEMPTS)?;
    for delivery in &mut message.deliveries {
        delivery.attempts = attempts
            .query_map([delivery.id.0], attempt)?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(Some(message))
}

/// A message with its deliveries, without their attempts.
fn read(connection: &Connection, number: i64) -> rusqlite::Result<Message> {
    let mut message = connection.prepare_cached(MESSAGE)?.query_row([number], |row| {
        Ok(Message {
            id: rows::message_id(row, 0)?,
            number,
            body: row.get(1)?,
            user: row.get(2)?,
            created_at: rows::time(row, 3)?,
            subject: row.get(4)?,
            deliveries: Vec::new(),
        })
    })?;
    message.deliveries = connection
        .prepare_cached(DELIVERIES)?
        .query_map(rows::range(number), delivery)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(message)
}

fn delivery(row: &rusqlite::Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        state: rows::state(row)?,
        provider: rows::name_if_any(row, 5)?,
        reference: row.get(6)?,
        id: rows::delivery_id(row, 7)?,
        channel: rows::name(row, 8)?,
        address: row.get(9)?,
        spelling: row.get(10)?,
        parts: row.get(11)?,
        round: row.get(12)?,
        tries: row.get(13)?,
        expires_at: rows::time(row, 14)?,
        opened_at: rows::time_if_any(row, 15)?,
        attempts: Vec::new(),
    })
}

fn attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordedAttempt> {
    Ok(RecordedAttempt {
        round: row.get(0)?,
        provider: rows::name_if_any(row, 1)?,
        outcome: row.get(2)?,
        code: row.get(3)?,
        reason: row.get(4)?,
        at: rows::time(row, 5)?,
        duration_ms: rows::count(row, 6)?,
        address: row.get(7)?,
    })
}

/// See [`crate::store::Store::search`].
pub fn search(connection: &Connection, query: &Query) -> rusqlite::Result<Page> {
    let Some(first) = first_since(connection, query.since)? else {
        return Ok(Page::default());
    };
    let numbers = numbers(connection, query, first)?;
    page(connection, numbers, query.limit)
}

/// The messages with these numbers, and where the next page begins when there are more than the limit.
pub fn page(connection: &Connection, mut numbers: Vec<i64>, limit: usize) -> rusqlite::Result<Page> {
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let messages = numbers
        .iter()
        .map(|number| read(connection, *number))
        .collect::<rusqlite::Result<_>>()?;
    Ok(Page {
        messages,
        next: numbers.last().copied().filter(|_| more),
    })
}

/// The numbers of one page and, if there is one, of the first message on the next.
fn numbers(connection: &Connection, query: &Query, first: i64) -> rusqlite::Result<Vec<i64>> {
    let wanted = query.limit.saturating_add(1);
    let before = query.before.map_or(NUMBER_MAX, |before| before.min(NUMBER_MAX));
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(Standing::word);
    // A message may come once for each of its deliveries.
    let rows_max = rows::limit(wanted).saturating_mul(DeliveryId::PER_MESSAGE);
    let mut statement;
    let found = match (&query.to, query.state) {
        (Some(to), _) => {
            statement = connection.prepare_cached(SEARCH_ADDRESS)?;
            statement.query(params![first, before, since, rows_max, to, state])?
        }
        (None, Some(Standing::Waiting)) => {
            statement = connection.prepare_cached(SEARCH_WAITING_NEAR)?;
            let near = statement.query(params![first, before, since, rows_max, NEAR])?;
            let near = distinct(near, wanted)?;
            if near.len() == wanted {
                return Ok(near);
            }
            statement = connection.prepare_cached(SEARCH_WAITING)?;
            statement.query(params![first, before, since, rows_max])?
        }
        (None, Some(Standing::Sent | Standing::Delivered | Standing::Failed)) => {
            statement = connection.prepare_cached(SEARCH_ENDED)?;
            statement.query(params![first, before, since, rows_max, state])?
        }
        (None, None) => {
            statement = connection.prepare_cached(SEARCH)?;
            statement.query(params![first, before, since, rows::limit(wanted)])?
        }
    };
    distinct(found, wanted)
}

/// Neighbours that are equal count once; reading stops when there are enough.
fn distinct(mut found: rusqlite::Rows<'_>, wanted: usize) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while numbers.len() < wanted
        && let Some(row) = found.next()?
    {
        let number = row.get(0)?;
        if numbers.last() != Some(&number) {
            numbers.push(number);
        }
    }
    Ok(numbers)
}

/// The first message that can have been accepted since then; none when there is none.
pub fn first_since(connection: &Connection, since: Option<Timestamp>) -> rusqlite::Result<Option<i64>> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    connection
        .prepare_cached(HOUR_FIRST)?
        .query_row([since.timestamp_millis().div_euclid(HOUR_MS)], |row| row.get(0))
}

/// See [`crate::store::Store::select`].
pub fn select(connection: &Connection, selection: &Selection) -> rusqlite::Result<Vec<DeliveryId>> {
    let Some(first) = first_since(connection, selection.since)? else {
        return Ok(Vec::new());
    };
    let mut statement: CachedStatement<'_> = match selection.pick {
        Pick::Waiting => connection.prepare_cached(SELECT_WAITING)?,
        Pick::Failed => connection.prepare_cached(SELECT_FAILED)?,
    };
    let since = selection.since.map(|since| since.timestamp_millis());
    let provider = selection.provider.as_ref().map(|name| name.as_str());
    statement
        .query_map(
            params![first, since, provider, rows::limit(selection.limit)],
            |row| rows::delivery_id(row, 0),
        )?
        .collect()
}

/// See [`crate::store::Store::backlogs`].
pub fn backlogs(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<(Name, Backlog)>> {
    connection
        .prepare_cached(BACKLOGS)?
        .query_map([now.timestamp_millis()], |row| {
            let backlog = Backlog {
                waiting: rows::count(row, 1)?,
                due: rows::count(row, 2)?,
                oldest_due_at: rows::time_if_any(row, 3)?,
            };
            Ok((rows::name(row, 0)?, backlog))
        })?
        .collect()
}
