//! Searching messages and counting backlogs in SQLite.

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::messages::{find_message, first_number_since, load_message_list, page_end};
use super::query::{query_all, query_optional};
use super::store::SqliteStore;
use super::usage;
use crate::read::{Backlog, LastAttempt, MessageList, MessageQuery, ReadStore};
use crate::rows::deliveries::{decode_backlog, decode_last_attempt};
use crate::rows::{SqlRow, limit_to_sql};
use crate::usage::{UsageQuery, UsageTotals};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::error::Result;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::Message;
use postrider_core::name::ConfigName;

static SEARCH: &str = sql!("sqlite/read/search_messages");
static SEARCH_ADDRESS: &str = sql!("sqlite/read/search_by_address");
static SEARCH_WAITING: &str = sql!("sqlite/read/search_waiting");
static SEARCH_WAITING_RECENT: &str = sql!("sqlite/read/search_recent_waiting");
static SEARCH_ENDED: &str = sql!("sqlite/read/search_by_state");
static LAST_ATTEMPT: &str = sql!("sqlite/read/find_last_attempt");
static BACKLOGS: &str = sql!("sqlite/read/count_backlog");

/// Number of newest deliveries that a search for waiting ones scans before it sorts all that wait.
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
        self.read("cannot read usage", move |connection| usage::usage(connection, &query)).await
    }

    async fn usage_totals(&self, query: UsageQuery) -> Result<UsageTotals> {
        self.read("cannot count usage", move |connection| usage::usage_totals(connection, &query)).await
    }

    async fn backlogs(&self, now: Timestamp) -> Result<Vec<(ConfigName, Backlog)>> {
        self.read("cannot count the backlog", move |connection| {
            query_all(connection, BACKLOGS, [now.timestamp_millis()], |row| decode_backlog(row))
        })
        .await
    }
}

fn search(connection: &Connection, query: &MessageQuery) -> rusqlite::Result<MessageList> {
    let Some(first_number) = first_number_since(connection, query.since)? else {
        return Ok(MessageList::default());
    };
    let numbers = search_numbers(connection, query, first_number)?;
    load_message_list(connection, numbers, query.limit)
}

/// Returns the message numbers of one page and, if there is a next page, the first number of the next page.
fn search_numbers(
    connection: &Connection,
    query: &MessageQuery,
    first_number: i64,
) -> rusqlite::Result<Vec<i64>> {
    let limit = query.limit.saturating_add(1);
    let before = page_end(query.before);
    let since = query.since.map(|since| since.timestamp_millis());
    let state = query.state.map(DeliveryStateKind::as_str);
    // A message can be found once for each of its deliveries.
    let rows_max = limit_to_sql(limit).saturating_mul(DeliveryId::PER_MESSAGE);
    let mut statement;
    let rows = match (&query.to, query.state) {
        (Some(to), _) => {
            statement = connection.prepare_cached(SEARCH_ADDRESS)?;
            statement.query(params![first_number, before, since, rows_max, to, state])?
        }
        (None, Some(DeliveryStateKind::Waiting)) => {
            statement = connection.prepare_cached(SEARCH_WAITING_RECENT)?;
            let values = params![first_number, before, since, rows_max, RECENT_SCANNED_MAX];
            let recent_numbers = distinct_numbers(statement.query(values)?, limit)?;
            if recent_numbers.len() == limit {
                return Ok(recent_numbers);
            }
            statement = connection.prepare_cached(SEARCH_WAITING)?;
            statement.query(params![first_number, before, since, rows_max])?
        }
        (None, Some(DeliveryStateKind::Sent | DeliveryStateKind::Delivered | DeliveryStateKind::Failed)) => {
            statement = connection.prepare_cached(SEARCH_ENDED)?;
            statement.query(params![first_number, before, since, rows_max, state])?
        }
        (None, None) => {
            statement = connection.prepare_cached(SEARCH)?;
            statement.query(params![first_number, before, since, limit_to_sql(limit)])?
        }
    };
    distinct_numbers(rows, limit)
}

/// Returns at most `limit` numbers without adjacent duplicates.
fn distinct_numbers(mut rows: rusqlite::Rows<'_>, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let mut numbers = Vec::new();
    while numbers.len() < limit
        && let Some(row) = rows.next()?
    {
        let number = row.integer("number")?;
        if numbers.last() != Some(&number) {
            numbers.push(number);
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
