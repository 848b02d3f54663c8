//! Reads messages with their deliveries and attempts, one message or a page of a search.

use std::collections::HashMap;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::message_hours::{MESSAGE_NUMBER_MAX, first_number_since};
use super::pool::{PgTransaction, bind, column};
use super::{errors::PgError, escape::escape_text, horizon, replica::Freshness, store::PostgresStore, usage};
use crate::rows::deliveries::{
    decode_attempt, decode_backlog, decode_delivery, decode_last_attempt, decode_message,
};
use crate::rows::{SqlRow, delivery_id_range, limit_to_sql};
use crate::usage::indexed_owner;
use crate::{Backlog, LastAttempt, MessageList, MessageQuery, ReadStore, UsageQuery, UsageTotals};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Delivery, Message};
use postrider_core::{clock::Timestamp, delivery::DeliveryStateKind, error::Result, name::ConfigName};

static MESSAGE_NUMBER: &str = sql!("common/read/find_message_number");
static MESSAGES: &str = sql!("postgres/read/load_message");
static DELIVERIES: &str = sql!("postgres/read/load_deliveries");
static ATTEMPTS: &str = sql!("postgres/read/load_attempts");
static SEARCH: &str = sql!("common/read/search_messages");
static SEARCH_ADDRESS: &str = sql!("postgres/read/search_by_address");
static SEARCH_WAITING: &str = sql!("postgres/read/search_waiting");
static SEARCH_RECENT_WAITING: &str = sql!("postgres/read/search_recent_waiting");
static SEARCH_ENDED: &str = sql!("postgres/read/search_by_state");
static SEARCH_OWNER_ENDED: &str = sql!("postgres/read/search_owner_by_state");
static LAST_ATTEMPTS: &str = sql!("postgres/read/find_last_attempt");
static BACKLOGS: &str = sql!("postgres/read/count_backlog");

/// Number of newest deliveries that a search for waiting deliveries scans first. If it does not find enough, all
/// waiting deliveries are sorted.
const RECENT_SCANNED_MAX: i64 = 20_000;

#[async_trait]
impl ReadStore for PostgresStore {
    async fn find_message(&self, id: MessageId) -> Result<Option<Message>> {
        run_transaction!(self.begin_read, "cannot read the message", |transaction| {
            find_message(transaction, id).await
        })
    }

    async fn search(&self, message_query: MessageQuery) -> Result<MessageList> {
        let context = "cannot search messages";
        let end_number = self.end_number(message_query.before, context).await?;
        let message_query = MessageQuery { before: Some(end_number), ..message_query };
        run_on_replica_or_primary!(self, Freshness::Now, context, |transaction| {
            let Some(first_number) = first_number_since(transaction, message_query.since).await? else {
                return Ok(MessageList::default());
            };
            let numbers = search_numbers(transaction, &message_query, first_number).await?;
            load_message_list(transaction, numbers, message_query.limit).await
        })
    }

    async fn last_attempts(&self, ids: Vec<DeliveryId>) -> Result<Vec<LastAttempt>> {
        let context = "cannot read the last attempts";
        let ids = column(&ids, |id| id.0);
        run_on_replica_or_primary!(self, Freshness::Seconds, context, |transaction| {
            transaction.query_all(LAST_ATTEMPTS, bind![ids], decode_last_attempt).await
        })
    }

    async fn usage(&self, usage_query: UsageQuery) -> Result<MessageList> {
        let context = "cannot list usage";
        let end_number = self.end_number(usage_query.before, context).await?;
        let usage_query = UsageQuery { before: Some(end_number), ..usage_query };
        run_on_replica_or_primary!(self, Freshness::Now, context, |transaction| {
            let numbers = usage::message_numbers(transaction, &usage_query).await?;
            load_message_list(transaction, numbers, usage_query.limit).await
        })
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        run_on_replica_or_primary!(self, Freshness::Seconds, "cannot count usage", |transaction| {
            usage::totals(transaction, &query).await
        })
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        run_transaction!(self.begin_read, "cannot count waiting deliveries", |transaction| {
            backlogs(transaction, now).await
        })
    }
}

impl PostgresStore {
    /// Returns the message number before which a list ends: `before`, but at most the number after the horizon. The
    /// list must be read from a snapshot that is not older than the horizon.
    async fn end_number(&self, before: Option<i64>, context: &str) -> Result<i64> {
        let horizon = horizon::read_horizon(&self.pool).await.map_err(|error| error.to_error(context))?;
        Ok(before.map_or(horizon + 1, |before| before.min(horizon + 1)))
    }
}

/// Returns the number of a message.
pub async fn message_number(transaction: &PgTransaction, id: MessageId) -> Result<Option<i64>, PgError> {
    let id = id.bytes().to_vec();
    transaction.query_optional(MESSAGE_NUMBER, bind![id], |row| row.integer("number")).await
}

async fn find_message(transaction: &PgTransaction, id: MessageId) -> Result<Option<Message>, PgError> {
    let Some(message_number) = message_number(transaction, id).await? else {
        return Ok(None);
    };
    let mut messages = load_messages(transaction, &[message_number]).await?;
    let (first_id, last_id) = delivery_id_range(message_number);
    let attempt_rows = transaction.query(ATTEMPTS, bind![first_id, last_id]).await?;
    for delivery in messages.iter_mut().flat_map(|message| &mut message.deliveries) {
        for attempt_row in &attempt_rows {
            if attempt_row.delivery_id("delivery")? == delivery.id {
                delivery.attempts.push(decode_attempt(attempt_row)?);
            }
        }
    }
    Ok(messages.pop())
}

/// Returns messages without attempts, the greatest number first.
async fn load_messages(transaction: &PgTransaction, numbers: &[i64]) -> Result<Vec<Message>, PgError> {
    let numbers = bind![numbers.to_vec()];
    let mut deliveries_by_number = HashMap::<i64, Vec<Delivery>>::new();
    for row in &transaction.query(DELIVERIES, numbers).await? {
        let delivery = decode_delivery(row)?;
        deliveries_by_number.entry(delivery.id.message_number()).or_default().push(delivery);
    }
    let mut messages: Vec<_> = transaction.query_all(MESSAGES, numbers, decode_message).await?;
    for message in &mut messages {
        message.deliveries = deliveries_by_number.remove(&message.number).unwrap_or_default();
    }
    messages.sort_by_key(|message| std::cmp::Reverse(message.number));
    Ok(messages)
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
    message_query: &MessageQuery,
    first_number: i64,
) -> Result<Vec<i64>, PgError> {
    let count = message_query.limit.saturating_add(1);
    let number_before = message_query
        .before
        .map_or(MESSAGE_NUMBER_MAX, |number_before| number_before.min(MESSAGE_NUMBER_MAX));
    let accepted_since = message_query.since.map(|accepted_since| accepted_since.timestamp_millis());
    let delivery_state = message_query.state.map(DeliveryStateKind::as_str);
    let owner = message_query.owner.as_deref().map(escape_text);
    let is_indexed = indexed_owner(message_query.owner.as_deref()).is_some();
    // A message is returned once for each of its deliveries.
    let rows_max = limit_to_sql(count).saturating_mul(DeliveryId::PER_MESSAGE);
    let rows = match (&message_query.to, message_query.state) {
        (Some(to), _) => {
            let values = bind![
                first_number,
                number_before,
                accepted_since,
                rows_max,
                escape_text(to),
                delivery_state,
                owner
            ];
            transaction.query(SEARCH_ADDRESS, values).await?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            let values =
                bind![first_number, number_before, accepted_since, rows_max, RECENT_SCANNED_MAX, owner];
            let recent_rows = transaction.query(SEARCH_RECENT_WAITING, values).await?;
            let recent_numbers = distinct_numbers(&recent_rows, count)?;
            if recent_numbers.len() == count {
                return Ok(recent_numbers);
            }
            let values = bind![first_number, number_before, accepted_since, rows_max, owner];
            transaction.query(SEARCH_WAITING, values).await?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            let values = bind![first_number, number_before, accepted_since, rows_max, delivery_state, owner];
            let statement = if is_indexed { SEARCH_OWNER_ENDED } else { SEARCH_ENDED };
            transaction.query(statement, values).await?
        }
        (None, None) if is_indexed => {
            let (accepted_since, until) = (accepted_since.unwrap_or(i64::MIN), i64::MAX);
            let values =
                bind![first_number, number_before, accepted_since, until, owner, limit_to_sql(count)];
            transaction.query(usage::LIST_OWNER, values).await?
        }
        (None, None) => {
            let values = bind![first_number, number_before, accepted_since, owner, limit_to_sql(count)];
            transaction.query(SEARCH, values).await?
        }
    };
    distinct_numbers(&rows, count)
}

/// Returns the first `count` numbers without adjacent duplicates.
fn distinct_numbers(rows: &[Row], count: usize) -> Result<Vec<i64>, PgError> {
    let mut numbers = rows.iter().map(|row| row.integer("number")).collect::<Result<Vec<_>, _>>()?;
    numbers.dedup();
    numbers.truncate(count);
    Ok(numbers)
}

/// Counts waiting and due deliveries by channel.
pub(super) async fn backlogs(
    transaction: &PgTransaction,
    now: Timestamp,
) -> Result<Vec<(ConfigName, Backlog)>, PgError> {
    transaction.query_all(BACKLOGS, bind![now.timestamp_millis()], decode_backlog).await
}
