//! Reading messages: one with all that happened to it, or a page of many.
//!
//! Never writes.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::errors::PgError;
use super::pool::{PgTransaction, bind};
use super::rows::{self, escape_text};
use crate::rollups::HOUR_MS;
use crate::{Backlog, DeliverySelection, LastAttempt, MessageList, MessageQuery, SelectableStatus};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message, RecordedAttempt};

static MESSAGE_NUMBER: &str = sql!("postgres/read/find_message_number");
static MESSAGE: &str = sql!("postgres/read/load_message");
static DELIVERIES: &str = sql!("postgres/read/load_deliveries");
static ATTEMPTS: &str = sql!("postgres/read/load_attempts");
static HOUR_FIRST: &str = sql!("postgres/read/find_first_number");
static SEARCH: &str = sql!("postgres/read/search_messages");
static SEARCH_ADDRESS: &str = sql!("postgres/read/search_by_address");
static SEARCH_WAITING: &str = sql!("postgres/read/search_waiting");
static SEARCH_WAITING_RECENT: &str = sql!("postgres/read/search_recent_waiting");
static SEARCH_ENDED: &str = sql!("postgres/read/search_by_state");
static LAST_ATTEMPTS: &str = sql!("postgres/read/find_last_attempt");
static SELECT_WAITING: &str = sql!("postgres/read/select_waiting");
static SELECT_FAILED: &str = sql!("postgres/read/select_failed");
static BACKLOGS: &str = sql!("postgres/read/count_backlog");

/// The greatest message number whose deliveries still have numbers.
pub const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// How many of the newest deliveries are looked through for what waits before all that waits is sorted.
const RECENT_SCANNED_MAX: i64 = 20_000;

/// The number of the message with that name.
pub async fn message_number(transaction: &PgTransaction, id: MessageId) -> Result<Option<i64>, PgError> {
    let found = transaction
        .query_optional(MESSAGE_NUMBER, bind![id.bytes().to_vec()])
        .await?;
    found.map(|row| rows::get(&row, 0)).transpose()
}

/// See [`crate::Store::find`].
pub async fn find_message(transaction: &PgTransaction, id: MessageId) -> Result<Option<Message>, PgError> {
    let Some(number) = message_number(transaction, id).await? else {
        return Ok(None);
    };
    let mut messages = load_messages(transaction, &[number]).await?;
    let (first, last) = rows::delivery_id_range(number);
    let attempts = transaction.query(ATTEMPTS, bind![first, last]).await?;
    for message in &mut messages {
        for row in &attempts {
            let of = rows::delivery_id(row, 7)?;
            let mut deliveries = message.deliveries.iter_mut();
            if let Some(delivery) = deliveries.find(|delivery| delivery.id == of) {
                delivery.attempts.push(decode_attempt(row)?);
            }
        }
    }
    Ok(messages.pop())
}

/// Messages in the order of the numbers, with their deliveries, without attempts.
async fn load_messages(transaction: &PgTransaction, numbers: &[i64]) -> Result<Vec<Message>, PgError> {
    let mut deliveries = HashMap::<i64, Vec<Delivery>>::new();
    for row in &transaction.query(DELIVERIES, bind![numbers.to_vec()]).await? {
        let delivery = decode_delivery(row)?;
        let of = deliveries.entry(delivery.id.message_number()).or_default();
        of.push(delivery);
    }
    let mut messages = Vec::with_capacity(numbers.len());
    for row in &transaction.query(MESSAGE, bind![numbers.to_vec()]).await? {
        let number = rows::get(row, 4)?;
        messages.push(Message {
            id: rows::message_id(row, 0)?,
            number,
            body: rows::decode_text(row, 1)?,
            user: rows::optional_text(row, 2)?,
            created_at: rows::decode_time(row, 3)?,
            subject: rows::optional_text(row, 5)?,
            deliveries: deliveries.remove(&number).unwrap_or_default(),
        });
    }
    messages.sort_by_key(|message| std::cmp::Reverse(message.number));
    Ok(messages)
}

fn decode_delivery(row: &Row) -> Result<Delivery, PgError> {
    Ok(Delivery {
        state: rows::decode_state(row)?,
        provider: rows::optional_name(row, 5)?,
        reference: rows::optional_text(row, 6)?,
        id: rows::delivery_id(row, 7)?,
        channel: rows::decode_name(row, 8)?,
        address: rows::get(row, 9)?,
        spelling: rows::decode_text(row, 10)?,
        parts: rows::decode_count(row, 11)?,
        round: rows::decode_count(row, 12)?,
        tries: rows::decode_count(row, 13)?,
        expires_at: rows::decode_time(row, 14)?,
        opened_at: rows::optional_time(row, 15)?,
        attempts: Vec::new(),
    })
}

fn decode_attempt(row: &Row) -> Result<RecordedAttempt, PgError> {
    Ok(RecordedAttempt {
        round: rows::decode_count(row, 0)?,
        provider: rows::optional_name(row, 1)?,
        outcome: rows::get(row, 2)?,
        code: rows::optional_text(row, 3)?,
        reason: rows::optional_text(row, 4)?,
        at: rows::decode_time(row, 5)?,
        duration_ms: rows::decode_count(row, 6)?,
        address: rows::get(row, 8)?,
    })
}

/// See [`crate::Store::search`].
pub async fn search(transaction: &PgTransaction, query: &MessageQuery) -> Result<MessageList, PgError> {
    let Some(first) = first_number_since(transaction, query.since).await? else {
        return Ok(MessageList::default());
    };
    let numbers = search_numbers(transaction, query, first).await?;
    load_message_list(transaction, numbers, query.limit).await
}

/// The messages with these numbers, and where the next page begins when there are more than the limit.
pub async fn load_message_list(
    transaction: &PgTransaction,
    mut numbers: Vec<i64>,
    limit: usize,
) -> Result<MessageList, PgError> {
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    Ok(MessageList {
        messages: load_messages(transaction, &numbers).await?,
        next: numbers.last().copied().filter(|_| more),
    })
}

/// The numbers of one page and, if there is one, of the first message on the next.
async fn search_numbers(
    transaction: &PgTransaction,
    query: &MessageQuery,
    first: i64,
) -> Result<Vec<i64>, PgError> {
    let wanted = query.limit.saturating_add(1);
    let before = query
        .before
        .map_or(MESSAGE_NUMBER_MAX, |before| before.min(MESSAGE_NUMBER_MAX));
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(DeliveryStateKind::as_str);
    // A message may come once for each of its deliveries.
    let rows_max = rows::limit_to_sql(wanted).saturating_mul(DeliveryId::PER_MESSAGE);
    let found = match (&query.to, query.state) {
        (Some(to), _) => {
            let to = escape_text(to);
            transaction
                .query(SEARCH_ADDRESS, bind![first, before, since, rows_max, to, state])
                .await?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            let values = bind![first, before, since, rows_max, RECENT_SCANNED_MAX];
            let recent = distinct_numbers(&transaction.query(SEARCH_WAITING_RECENT, values).await?, wanted)?;
            if recent.len() == wanted {
                return Ok(recent);
            }
            transaction
                .query(SEARCH_WAITING, bind![first, before, since, rows_max])
                .await?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            transaction
                .query(SEARCH_ENDED, bind![first, before, since, rows_max, state])
                .await?
        }
        (None, None) => {
            transaction
                .query(SEARCH, bind![first, before, since, rows::limit_to_sql(wanted)])
                .await?
        }
    };
    distinct_numbers(&found, wanted)
}

/// Neighbours that are equal count once.
fn distinct_numbers(found: &[Row], wanted: usize) -> Result<Vec<i64>, PgError> {
    let found = found.iter().map(|row| rows::get::<i64>(row, 0));
    let mut numbers = found.collect::<Result<Vec<_>, _>>()?;
    numbers.dedup();
    numbers.truncate(wanted);
    Ok(numbers)
}

/// The first message that can have been accepted since then; none when there is none.
pub async fn first_number_since(
    transaction: &PgTransaction,
    since: Option<Timestamp>,
) -> Result<Option<i64>, PgError> {
    match since {
        None => Ok(Some(0)),
        Some(since) => first_number_of_hour(transaction, since.timestamp_millis().div_euclid(HOUR_MS)).await,
    }
}

/// A number that no message of this hour or a later one is below; none when there is no such message.
pub async fn first_number_of_hour(transaction: &PgTransaction, hour: i64) -> Result<Option<i64>, PgError> {
    rows::get(&transaction.query_one(HOUR_FIRST, bind![hour]).await?, 0)
}

/// See [`crate::Store::last_calls`].
pub async fn last_attempts(
    transaction: &PgTransaction,
    ids: &[DeliveryId],
) -> Result<Vec<LastAttempt>, PgError> {
    let ids = ids.iter().map(|id| id.0).collect::<Vec<_>>();
    let attempt = |row: &Row| {
        Ok(LastAttempt {
            id: rows::delivery_id(row, 0)?,
            provider: rows::optional_name(row, 1)?,
            code: rows::optional_text(row, 2)?,
            has_unknown_attempt: rows::get(row, 3)?,
        })
    };
    transaction
        .query(LAST_ATTEMPTS, bind![ids])
        .await?
        .iter()
        .map(attempt)
        .collect()
}

/// See [`crate::Store::select`].
pub async fn select_deliveries(
    transaction: &PgTransaction,
    selection: &DeliverySelection,
) -> Result<Vec<DeliveryId>, PgError> {
    let Some(first) = first_number_since(transaction, selection.since).await? else {
        return Ok(Vec::new());
    };
    let sql = match selection.status {
        SelectableStatus::Waiting => SELECT_WAITING,
        SelectableStatus::Failed => SELECT_FAILED,
    };
    let since = selection.since.map(|since| since.timestamp_millis());
    let provider = selection.provider.as_ref().map(|name| name.as_str());
    let limit = rows::limit_to_sql(selection.limit);
    let found = transaction
        .query(sql, bind![first, since, provider, limit])
        .await?;
    found.iter().map(|row| rows::delivery_id(row, 0)).collect()
}

/// See [`crate::Store::backlogs`].
pub async fn backlogs(
    transaction: &PgTransaction,
    now: Timestamp,
) -> Result<Vec<(ConfigName, Backlog)>, PgError> {
    let found = transaction.query(BACKLOGS, bind![now.timestamp_millis()]).await?;
    let backlog = |row| {
        let backlog = Backlog {
            waiting: rows::decode_count(row, 1)?,
            due: rows::decode_count(row, 2)?,
            oldest_due_at: rows::optional_time(row, 3)?,
        };
        Ok((rows::decode_name(row, 0)?, backlog))
    };
    found.iter().map(backlog).collect()
}
