//! Reads messages with their deliveries and attempts, one message or a page of a search.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::errors::PgError;
use super::escape::escape_text;
use super::message_hours::first_number_since;
use super::pool::{PgTransaction, bind, column};
use super::replica::Freshness;
use super::store::PostgresStore;
use super::usage;
use crate::rows::deliveries::{
    decode_attempt, decode_backlog, decode_delivery, decode_last_attempt, decode_message,
};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::{Backlog, LastAttempt, MessageList, MessageQuery, ReadStore, UsageQuery, UsageTotals};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message};
use postrider_core::name::ConfigName;

static MESSAGE_NUMBER: &str = sql!("common/read/find_message_number");
static MESSAGES: &str = sql!("postgres/read/load_message");
static DELIVERIES: &str = sql!("postgres/read/load_deliveries");
static ATTEMPTS: &str = sql!("postgres/read/load_attempts");
static SEARCH: &str = sql!("common/read/search_messages");
static SEARCH_ADDRESS: &str = sql!("postgres/read/search_by_address");
static SEARCH_WAITING: &str = sql!("postgres/read/search_waiting");
static SEARCH_RECENT_WAITING: &str = sql!("postgres/read/search_recent_waiting");
static SEARCH_ENDED: &str = sql!("postgres/read/search_by_state");
static LAST_ATTEMPTS: &str = sql!("postgres/read/find_last_attempt");
static BACKLOGS: &str = sql!("postgres/read/count_backlog");

/// The greatest message number whose delivery ids fit into 64 bits.
pub const MESSAGE_NUMBER_MAX: i64 = i64::MAX / DeliveryId::PER_MESSAGE;

/// Number of newest deliveries that a search for waiting ones scans before it sorts all that wait.
const RECENT_SCANNED_MAX: i64 = 20_000;

#[async_trait]
impl ReadStore for PostgresStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        let context = "cannot read the message";
        run_transaction!(self.begin_read, context, |transaction| find_message(&transaction, id))
    }

    async fn search(&self, query: MessageQuery) -> Result<MessageList> {
        let context = "cannot search messages";
        read_from_replica!(self, Freshness::Seconds, |transaction| search(&transaction, &query));
        run_transaction!(self.begin_read, context, |transaction| search(&transaction, &query))
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        let context = "cannot read the last attempts";
        read_from_replica!(self, Freshness::Seconds, |transaction| last_attempts(&transaction, &ids));
        run_transaction!(self.begin_read, context, |transaction| last_attempts(&transaction, &ids))
    }

    async fn usage(&self, query: UsageQuery) -> Result<MessageList> {
        let context = "cannot list usage";
        read_from_replica!(self, Freshness::Seconds, |transaction| usage_page(&transaction, &query));
        run_transaction!(self.begin_read, context, |transaction| usage_page(&transaction, &query))
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        let context = "cannot count usage";
        read_from_replica!(self, Freshness::Seconds, |transaction| usage::totals(&transaction, &query));
        run_transaction!(self.begin_read, context, |transaction| usage::totals(&transaction, &query))
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        let context = "cannot count waiting deliveries";
        run_transaction!(self.begin_read, context, |transaction| backlogs(&transaction, now))
    }
}

/// Returns the number of a message.
pub async fn message_number(transaction: &PgTransaction, id: MessageId) -> Result<Option<i64>, PgError> {
    let row = transaction.query_optional(MESSAGE_NUMBER, bind![id.bytes().to_vec()]).await?;
    row.map(|row| row.integer("number")).transpose()
}

async fn find_message(transaction: &PgTransaction, id: MessageId) -> Result<Option<Message>, PgError> {
    let Some(number) = message_number(transaction, id).await? else {
        return Ok(None);
    };
    let mut messages = load_messages(transaction, &[number]).await?;
    let (first, last) = delivery_id_range(number);
    let rows = transaction.query(ATTEMPTS, bind![first, last]).await?;
    let deliveries = &mut messages.iter_mut().flat_map(|message| &mut message.deliveries);
    for delivery in deliveries {
        for row in &rows {
            if row.delivery_id("delivery")? == delivery.id {
                delivery.attempts.push(decode_attempt(row)?);
            }
        }
    }
    Ok(messages.pop())
}

/// Returns messages without attempts, the greatest number first.
async fn load_messages(transaction: &PgTransaction, numbers: &[i64]) -> Result<Vec<Message>, PgError> {
    let mut deliveries = HashMap::<i64, Vec<Delivery>>::new();
    for row in &transaction.query(DELIVERIES, bind![numbers.to_vec()]).await? {
        let delivery = decode_delivery(row)?;
        let of_message = deliveries.entry(delivery.id.message_number()).or_default();
        of_message.push(delivery);
    }
    let mut messages = Vec::with_capacity(numbers.len());
    for row in &transaction.query(MESSAGES, bind![numbers.to_vec()]).await? {
        let mut message = decode_message(row)?;
        message.deliveries = deliveries.remove(&message.number).unwrap_or_default();
        messages.push(message);
    }
    messages.sort_by_key(|message| std::cmp::Reverse(message.number));
    Ok(messages)
}

async fn search(transaction: &PgTransaction, query: &MessageQuery) -> Result<MessageList, PgError> {
    let Some(first) = first_number_since(transaction, query.since).await? else {
        return Ok(MessageList::default());
    };
    let numbers = search_numbers(transaction, query, first).await?;
    load_message_list(transaction, numbers, query.limit).await
}

async fn usage_page(transaction: &PgTransaction, query: &UsageQuery) -> Result<MessageList, PgError> {
    let numbers = usage::message_numbers(transaction, query).await?;
    load_message_list(transaction, numbers, query.limit).await
}

/// Returns the messages with these numbers, and the start of the next page if there are more than `limit`.
pub async fn load_message_list(
    transaction: &PgTransaction,
    mut numbers: Vec<i64>,
    limit: usize,
) -> Result<MessageList, PgError> {
    let has_more = numbers.len() > limit;
    numbers.truncate(limit);
    Ok(MessageList {
        messages: load_messages(transaction, &numbers).await?,
        next: numbers.last().copied().filter(|_| has_more),
    })
}

/// Returns the numbers of one page and, if there is one, of the first message of the next page.
async fn search_numbers(
    transaction: &PgTransaction,
    query: &MessageQuery,
    first: i64,
) -> Result<Vec<i64>, PgError> {
    let count = query.limit.saturating_add(1);
    let before = query.before.map_or(MESSAGE_NUMBER_MAX, |before| before.min(MESSAGE_NUMBER_MAX));
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(DeliveryStateKind::as_str);
    // A message is returned once for each of its deliveries.
    let rows_max = limit_to_sql(count).saturating_mul(DeliveryId::PER_MESSAGE);
    let rows = match (&query.to, query.state) {
        (Some(to), _) => {
            let to = escape_text(to);
            let values = bind![first, before, since, rows_max, to, state];
            transaction.query(SEARCH_ADDRESS, values).await?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            let values = bind![first, before, since, rows_max, RECENT_SCANNED_MAX];
            let recent = distinct_numbers(&transaction.query(SEARCH_RECENT_WAITING, values).await?, count)?;
            if recent.len() == count {
                return Ok(recent);
            }
            let values = bind![first, before, since, rows_max];
            transaction.query(SEARCH_WAITING, values).await?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            let values = bind![first, before, since, rows_max, state];
            transaction.query(SEARCH_ENDED, values).await?
        }
        (None, None) => {
            let limit = limit_to_sql(count);
            let values = bind![first, before, since, limit];
            transaction.query(SEARCH, values).await?
        }
    };
    distinct_numbers(&rows, count)
}

/// Returns the first `count` numbers without adjacent duplicates.
fn distinct_numbers(rows: &[Row], count: usize) -> Result<Vec<i64>, PgError> {
    let numbers = rows.iter().map(|row| row.integer("number"));
    let mut numbers = numbers.collect::<Result<Vec<_>, _>>()?;
    numbers.dedup();
    numbers.truncate(count);
    Ok(numbers)
}

async fn last_attempts(transaction: &PgTransaction, ids: &[DeliveryId]) -> Result<Vec<LastAttempt>, PgError> {
    let ids = column(ids, |id| id.0);
    let rows = transaction.query(LAST_ATTEMPTS, bind![ids]).await?;
    rows.iter().map(decode_last_attempt).collect()
}

/// Counts waiting and due deliveries by channel.
pub(super) async fn backlogs(
    transaction: &PgTransaction,
    now: Timestamp,
) -> Result<Vec<(ConfigName, Backlog)>, PgError> {
    let rows = transaction.query(BACKLOGS, bind![now.timestamp_millis()]).await?;
    rows.iter().map(decode_backlog).collect()
}
