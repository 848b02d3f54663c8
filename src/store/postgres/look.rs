//! Reading messages: one with all that happened to it, or a page of many.
//!
//! Never writes.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::fault::Trouble;
use super::link::{Desk, bind};
use super::rows::{self, kept};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::Standing;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Delivery, Message, RecordedAttempt};
use crate::store::tally::HOUR_MS;
use crate::store::{Backlog, Page, Pick, Query, Selection};

static NUMBER: &str = include_str!("../../../sql/postgres/number.sql");
static MESSAGE: &str = include_str!("../../../sql/postgres/message.sql");
static DELIVERIES: &str = include_str!("../../../sql/postgres/deliveries.sql");
static ATTEMPTS: &str = include_str!("../../../sql/postgres/attempts.sql");
static HOUR_FIRST: &str = include_str!("../../../sql/postgres/hour_first.sql");
static SEARCH: &str = include_str!("../../../sql/postgres/search.sql");
static SEARCH_ADDRESS: &str = include_str!("../../../sql/postgres/search_address.sql");
static SEARCH_WAITING: &str = include_str!("../../../sql/postgres/search_waiting.sql");
static SEARCH_WAITING_NEAR: &str = include_str!("../../../sql/postgres/search_waiting_near.sql");
static SEARCH_ENDED: &str = include_str!("../../../sql/postgres/search_ended.sql");
static SELECT_WAITING: &str = include_str!("../../../sql/postgres/select_waiting.sql");
static SELECT_FAILED: &str = include_str!("../../../sql/postgres/select_failed.sql");
static BACKLOGS: &str = include_str!("../../../sql/postgres/backlogs.sql");

/// The greatest message number whose deliveries still have numbers.
pub const NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// How many of the newest deliveries are looked through for what waits before all that waits is sorted.
const NEAR: i64 = 20_000;

/// The number of the message with that name.
pub async fn number(desk: &Desk, id: MessageId) -> Result<Option<i64>, Trouble> {
    let found = desk.row(NUMBER, bind![id.bytes().to_vec()]).await?;
    found.map(|row| rows::get(&row, 0)).transpose()
}

/// See [`crate::store::Store::find`].
pub async fn find(desk: &Desk, id: MessageId) -> Result<Option<Message>, Trouble> {
    let Some(number) = number(desk, id).await? else {
        return Ok(None);
    };
    let mut messages = read(desk, &[number]).await?;
    let (first, last) = rows::range(number);
    let attempts = desk.rows(ATTEMPTS, bind![first, last]).await?;
    for message in &mut messages {
        for row in &attempts {
            let of = rows::delivery_id(row, 7)?;
            let mut deliveries = message.deliveries.iter_mut();
            if let Some(delivery) = deliveries.find(|delivery| delivery.id == of) {
                delivery.attempts.push(attempt(row)?);
            }
        }
    }
    Ok(messages.pop())
}

/// Messages in the order of the numbers, with their deliveries, without attempts.
async fn read(desk: &Desk, numbers: &[i64]) -> Result<Vec<Message>, Trouble> {
    let mut deliveries = HashMap::<i64, Vec<Delivery>>::new();
    for row in &desk.rows(DELIVERIES, bind![numbers.to_vec()]).await? {
        let delivery = delivery(row)?;
        let of = deliveries.entry(delivery.id.message_number()).or_default();
        of.push(delivery);
    }
    let mut messages = Vec::with_capacity(numbers.len());
    for row in &desk.rows(MESSAGE, bind![numbers.to_vec()]).await? {
        let number = rows::get(row, 4)?;
        messages.push(Message {
            id: rows::message_id(row, 0)?,
            number,
            body: rows::text(row, 1)?,
            user: rows::text_if_any(row, 2)?,
            created_at: rows::time(row, 3)?,
            subject: rows::text_if_any(row, 5)?,
            deliveries: deliveries.remove(&number).unwrap_or_default(),
        });
    }
    messages.sort_by_key(|message| std::cmp::Reverse(message.number));
    Ok(messages)
}

fn delivery(row: &Row) -> Result<Delivery, Trouble> {
    Ok(Delivery {
        state: rows::state(row)?,
        provider: rows::name_if_any(row, 5)?,
        reference: rows::text_if_any(row, 6)?,
        id: rows::delivery_id(row, 7)?,
        channel: rows::name(row, 8)?,
        address: rows::get(row, 9)?,
        spelling: rows::text(row, 10)?,
        parts: rows::count(row, 11)?,
        round: rows::count(row, 12)?,
        tries: rows::count(row, 13)?,
        expires_at: rows::time(row, 14)?,
        opened_at: rows::time_if_any(row, 15)?,
        attempts: Vec::new(),
    })
}

fn attempt(row: &Row) -> Result<RecordedAttempt, Trouble> {
    Ok(RecordedAttempt {
        round: rows::count(row, 0)?,
        provider: rows::name_if_any(row, 1)?,
        outcome: rows::get(row, 2)?,
        code: rows::text_if_any(row, 3)?,
        reason: rows::text_if_any(row, 4)?,
        at: rows::time(row, 5)?,
        duration_ms: rows::count(row, 6)?,
        address: rows::get(row, 8)?,
    })
}

/// See [`crate::store::Store::search`].
pub async fn search(desk: &Desk, query: &Query) -> Result<Page, Trouble> {
    let Some(first) = first_since(desk, query.since).await? else {
        return Ok(Page::default());
    };
    let numbers = numbers(desk, query, first).await?;
    page(desk, numbers, query.limit).await
}

/// The messages with these numbers, and where the next page begins when there are more than the limit.
pub async fn page(desk: &Desk, mut numbers: Vec<i64>, limit: usize) -> Result<Page, Trouble> {
    let more = numbers.len() > limit;
    numbers.truncate(limit);
    Ok(Page {
        messages: read(desk, &numbers).await?,
        next: numbers.last().copied().filter(|_| more),
    })
}

/// The numbers of one page and, if there is one, of the first message on the next.
async fn numbers(desk: &Desk, query: &Query, first: i64) -> Result<Vec<i64>, Trouble> {
    let wanted = query.limit.saturating_add(1);
    let before = query.before.map_or(NUMBER_MAX, |before| before.min(NUMBER_MAX));
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(Standing::word);
    // A message may come once for each of its deliveries.
    let rows_max = rows::limit(wanted).saturating_mul(DeliveryId::PER_MESSAGE);
    let found = match (&query.to, query.state) {
        (Some(to), _) => {
            let to = kept(to);
            desk.rows(SEARCH_ADDRESS, bind![first, before, since, rows_max, to, state])
                .await?
        }
        (None, Some(Standing::Waiting)) => {
            let values = bind![first, before, since, rows_max, NEAR];
            let near = distinct(&desk.rows(SEARCH_WAITING_NEAR, values).await?, wanted)?;
            if near.len() == wanted {
                return Ok(near);
            }
            desk.rows(SEARCH_WAITING, bind![first, before, since, rows_max])
                .await?
        }
        (None, Some(Standing::Sent | Standing::Delivered | Standing::Failed)) => {
            desk.rows(SEARCH_ENDED, bind![first, before, since, rows_max, state])
                .await?
        }
        (None, None) => {
            desk.rows(SEARCH, bind![first, before, since, rows::limit(wanted)])
                .await?
        }
    };
    distinct(&found, wanted)
}

/// Neighbours that are equal count once.
fn distinct(found: &[Row], wanted: usize) -> Result<Vec<i64>, Trouble> {
    let found = found.iter().map(|row| rows::get::<i64>(row, 0));
    let mut numbers = found.collect::<Result<Vec<_>, _>>()?;
    numbers.dedup();
    numbers.truncate(wanted);
    Ok(numbers)
}

/// The first message that can have been accepted since then; none when there is none.
pub async fn first_since(desk: &Desk, since: Option<Timestamp>) -> Result<Option<i64>, Trouble> {
    match since {
        None => Ok(Some(0)),
        Some(since) => first_of_hour(desk, since.timestamp_millis().div_euclid(HOUR_MS)).await,
    }
}

/// A number that no message of this hour or a later one is below; none when there is no such message.
pub async fn first_of_hour(desk: &Desk, hour: i64) -> Result<Option<i64>, Trouble> {
    rows::get(&desk.one(HOUR_FIRST, bind![hour]).await?, 0)
}

/// See [`crate::store::Store::select`].
pub async fn select(desk: &Desk, selection: &Selection) -> Result<Vec<DeliveryId>, Trouble> {
    let Some(first) = first_since(desk, selection.since).await? else {
        return Ok(Vec::new());
    };
    let sql = match selection.pick {
        Pick::Waiting => SELECT_WAITING,
        Pick::Failed => SELECT_FAILED,
    };
    let since = selection.since.map(|since| since.timestamp_millis());
    let provider = selection.provider.as_ref().map(|name| name.as_str());
    let limit = rows::limit(selection.limit);
    let found = desk.rows(sql, bind![first, since, provider, limit]).await?;
    found.iter().map(|row| rows::delivery_id(row, 0)).collect()
}

/// See [`crate::store::Store::backlogs`].
pub async fn backlogs(desk: &Desk, now: Timestamp) -> Result<Vec<(Name, Backlog)>, Trouble> {
    let found = desk.rows(BACKLOGS, bind![now.timestamp_millis()]).await?;
    let backlog = |row| {
        let backlog = Backlog {
            waiting: rows::count(row, 1)?,
            due: rows::count(row, 2)?,
            oldest_due_at: rows::time_if_any(row, 3)?,
        };
        Ok((rows::name(row, 0)?, backlog))
    };
    found.iter().map(backlog).collect()
}
