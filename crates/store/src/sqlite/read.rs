//! Reading messages: one with all that happened to it, or a page of many.
//!
//! Runs on a reader's connection and never writes.

use rusqlite::{CachedStatement, Connection, OptionalExtension, params};

use super::rows;
use crate::rollups::HOUR_MS;
use crate::{Backlog, DeliverySelection, LastAttempt, MessageList, MessageQuery, SelectableStatus};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_core::name::ConfigName;

static MESSAGE_NUMBER: &str = include_str!("../../../../sql/sqlite/read/find_message_number.sql");
static MESSAGE: &str = include_str!("../../../../sql/sqlite/read/load_message.sql");
static DELIVERIES: &str = include_str!("../../../../sql/sqlite/read/load_deliveries.sql");
static ATTEMPTS: &str = include_str!("../../../../sql/sqlite/read/load_attempts.sql");
static HOUR_FIRST: &str = include_str!("../../../../sql/sqlite/read/find_first_number.sql");
static SEARCH: &str = include_str!("../../../../sql/sqlite/read/search_messages.sql");
static SEARCH_ADDRESS: &str = include_str!("../../../../sql/sqlite/read/search_by_address.sql");
static SEARCH_WAITING: &str = include_str!("../../../../sql/sqlite/read/search_waiting.sql");
static SEARCH_WAITING_RECENT: &str = include_str!("../../../../sql/sqlite/read/search_recent_waiting.sql");
static SEARCH_ENDED: &str = include_str!("../../../../sql/sqlite/read/search_by_state.sql");
static LAST_ATTEMPT: &str = include_str!("../../../../sql/sqlite/read/find_last_attempt.sql");
static SELECT_WAITING: &str = include_str!("../../../../sql/sqlite/read/select_waiting.sql");
static SELECT_FAILED: &str = include_str!("../../../../sql/sqlite/read/select_failed.sql");
static BACKLOGS: &str = include_str!("../../../../sql/sqlite/read/count_backlog.sql");

/// The greatest message number whose deliveries still have numbers.
pub const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// How many of the newest deliveries are looked through for what waits before all that waits is sorted.
const RECENT_SCANNED_MAX: i64 = 20_000;

/// See [`crate::Store::find`].
pub fn find_message(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Message>> {
    let number = connection
        .prepare_cached(MESSAGE_NUMBER)?
        .query_row([id.bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else {
        return Ok(None);
    };
    let mut message = load_message(connection, number)?;
    let mut attempts = connection.prepare_cached(ATTEMPTS)?;
    for delivery in &mut message.deliveries {
        delivery.attempts = attempts
            .query_map([delivery.id.0], decode_attempt)?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(Some(message))
}

/// A message with its deliveries, without their attempts.
fn load_message(connection: &Connection, number: i64) -> rusqlite::Result<Message> {
    let mut message = connection.prepare_cached(MESSAGE)?.query_row([number], |row| {
        Ok(Message {
            id: rows::message_id(row, 0)?,
            number,
            body: row.get(1)?,
            user: row.get(2)?,
            created_at: rows::decode_time(row, 3)?,
            subject: row.get(4)?,
            deliveries: Vec::new(),
        })
    })?;
    message.deliveries = connection
        .prepare_cached(DELIVERIES)?
        .query_map(rows::delivery_id_range(number), decode_delivery)?
        .collect::<rusqlite::Result<_>>()?;
    Ok(message)
}

fn decode_delivery(row: &rusqlite::Row<'_>) -> rusqlite::Result<Delivery> {
    Ok(Delivery {
        state: rows::decode_state(row)?,
        provider: rows::optional_name(row, 5)?,
        reference: row.get(6)?,
        id: rows::delivery_id(row, 7)?,
        channel: rows::decode_name(row, 8)?,
        address: row.get(9)?,
        spelling: row.get(10)?,
        parts: row.get(11)?,
        round: row.get(12)?,
        tries: row.get(13)?,
        expires_at: rows::decode_time(row, 14)?,
        opened_at: rows::optional_time(row, 15)?,
        attempts: Vec::new(),
    })
}

fn decode_attempt(row: &rusqlite::Row<'_>) -> rusqlite::Result<RecordedAttempt> {
    Ok(RecordedAttempt {
        round: row.get(0)?,
        provider: rows::optional_name(row, 1)?,
        outcome: row.get(2)?,
        code: row.get(3)?,
        reason: row.get(4)?,
        at: rows::decode_time(row, 5)?,
        duration_ms: rows::decode_count(row, 6)?,
        address: row.get(7)?,
    })
}

/// See [`crate::Store::search`].
pub fn search(connection: &Connection, query: &MessageQuery) -> rusqlite::Result<MessageList> {
    let Some(first) = first_number_since(connection, query.since)? else {
        return Ok(MessageList::default());
    };
    let numbers = search_numbers(connection, query, first)?;
    load_message_list(connection, numbers, query.limit)
}

/// The messages with these numbers, and where the next page begins when there are more than the limit.
pub fn load_message_list(
    connection: &Connection,
    mut numbers: Vec<i64>,
    limit: usize,
) -> rusqlite::Result<MessageList> {
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    let messages = numbers
        .iter()
        .map(|number| load_message(connection, *number))
        .collect::<rusqlite::Result<_>>()?;
    Ok(MessageList {
        messages,
        next: numbers.last().copied().filter(|_| more),
    })
}

/// The numbers of one page and, if there is one, of the first message on the next.
fn search_numbers(connection: &Connection, query: &MessageQuery, first: i64) -> rusqlite::Result<Vec<i64>> {
    let wanted = query.limit.saturating_add(1);
    let before = query
        .before
        .map_or(MESSAGE_NUMBER_MAX, |before| before.min(MESSAGE_NUMBER_MAX));
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(DeliveryStateKind::as_str);
    // A message may come once for each of its deliveries.
    let rows_max = rows::limit_to_sql(wanted).saturating_mul(DeliveryId::PER_MESSAGE);
    let mut statement;
    let found = match (&query.to, query.state) {
        (Some(to), _) => {
            statement = connection.prepare_cached(SEARCH_ADDRESS)?;
            statement.query(params![first, before, since, rows_max, to, state])?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            statement = connection.prepare_cached(SEARCH_WAITING_RECENT)?;
            let near = statement.query(params![first, before, since, rows_max, RECENT_SCANNED_MAX])?;
            let near = distinct_numbers(near, wanted)?;
            if near.len() == wanted {
                return Ok(near);
            }
            statement = connection.prepare_cached(SEARCH_WAITING)?;
            statement.query(params![first, before, since, rows_max])?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            statement = connection.prepare_cached(SEARCH_ENDED)?;
            statement.query(params![first, before, since, rows_max, state])?
        }
        (None, None) => {
            statement = connection.prepare_cached(SEARCH)?;
            statement.query(params![first, before, since, rows::limit_to_sql(wanted)])?
        }
    };
    distinct_numbers(found, wanted)
}

/// Neighbours that are equal count once; reading stops when there are enough.
fn distinct_numbers(mut found: rusqlite::Rows<'_>, wanted: usize) -> rusqlite::Result<Vec<i64>> {
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
pub fn first_number_since(
    connection: &Connection,
    since: Option<Timestamp>,
) -> rusqlite::Result<Option<i64>> {
    let Some(since) = since else {
        return Ok(Some(0));
    };
    connection
        .prepare_cached(HOUR_FIRST)?
        .query_row([since.timestamp_millis().div_euclid(HOUR_MS)], |row| row.get(0))
}

/// See [`crate::Store::last_calls`].
pub fn last_attempts(connection: &Connection, ids: &[DeliveryId]) -> rusqlite::Result<Vec<LastAttempt>> {
    let mut statement = connection.prepare_cached(LAST_ATTEMPT)?;
    let mut calls = Vec::with_capacity(ids.len());
    for id in ids {
        let call = |row: &rusqlite::Row<'_>| {
            Ok(LastAttempt {
                id: *id,
                provider: rows::optional_name(row, 0)?,
                code: row.get(1)?,
                has_unknown_attempt: row.get(2)?,
            })
        };
        calls.extend(statement.query_row([id.0], call).optional()?);
    }
    Ok(calls)
}

/// See [`crate::Store::select`].
pub fn select_deliveries(
    connection: &Connection,
    selection: &DeliverySelection,
) -> rusqlite::Result<Vec<DeliveryId>> {
    let Some(first) = first_number_since(connection, selection.since)? else {
        return Ok(Vec::new());
    };
    let mut statement: CachedStatement<'_> = match selection.status {
        SelectableStatus::Waiting => connection.prepare_cached(SELECT_WAITING)?,
        SelectableStatus::Failed => connection.prepare_cached(SELECT_FAILED)?,
    };
    let since = selection.since.map(|since| since.timestamp_millis());
    let provider = selection.provider.as_ref().map(|name| name.as_str());
    statement
        .query_map(
            params![first, since, provider, rows::limit_to_sql(selection.limit)],
            |row| rows::delivery_id(row, 0),
        )?
        .collect()
}

/// See [`crate::Store::backlogs`].
pub fn backlogs(connection: &Connection, now: Timestamp) -> rusqlite::Result<Vec<(ConfigName, Backlog)>> {
    connection
        .prepare_cached(BACKLOGS)?
        .query_map([now.timestamp_millis()], |row| {
            let backlog = Backlog {
                waiting: rows::decode_count(row, 1)?,
                due: rows::decode_count(row, 2)?,
                oldest_due_at: rows::optional_time(row, 3)?,
            };
            Ok((rows::decode_name(row, 0)?, backlog))
        })?
        .collect()
}
