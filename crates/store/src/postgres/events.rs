//! The outbox on a server: events come in with what happened, are claimed receiver by receiver by whichever host is
//! first, and go when they are old.
//!
//! [`emit`] runs in the transaction that changes the state and never ends it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::errors::PgError;
use super::group_commit::TRANSACTION_RETRIES_MAX;
use super::pool::{PgTransaction, bind};
use super::rows::{self, escape_text};
use super::{OPERATION_TIMEOUT, PostgresStore, read, run_transaction};
use crate::events::{DeadLetterRequest, EventQuery, EventStore, NewEvent, WaitingEndpoint};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::Failure;
use postrider_core::error::Result;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatus, EventStatusKind, EventTarget, EventType,
};

static INSERT_EVENTS: &str = sql!("postgres/events/insert_event");
static WAITING_ENDPOINTS: &str = sql!("postgres/events/list_waiting_endpoints");
static CLAIM: &str = sql!("postgres/events/claim_events");
static RECORD: &str = sql!("postgres/events/record_result");
static DEAD_LETTER: &str = sql!("postgres/events/mark_dead");
static REPLAY: &str = sql!("postgres/events/replay_event");
static EVENTS: &str = sql!("postgres/events/list_events");
static EVENTS_DEAD: &str = sql!("postgres/events/list_dead_letters");
static EVENTS_MESSAGE: &str = sql!("postgres/events/list_message_events");

#[async_trait]
impl EventStore for PostgresStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        let act = "cannot look for events";
        run_transaction!(self.begin_read, act, |transaction| waiting_endpoints(
            &transaction,
            after,
            limit
        ))
    }

    async fn claim_events(
        &self,
        requested: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        let act = "cannot claim events";
        run_transaction!(self.begin_write, act, |transaction| claim(
            &transaction,
            &requested,
            now,
            now + lease
        ))
    }

    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()> {
        let act = "cannot record what became of events";
        run_transaction!(self.begin_write, act, |transaction| record(
            &transaction,
            &results
        ))
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        let act = "cannot give events up";
        run_transaction!(self.begin_write, act, |transaction| dead_letter(
            &transaction,
            &request
        ))
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        let act = "cannot look events up";
        run_transaction!(self.begin_read, act, |transaction| events(&transaction, &query))
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        let act = "cannot send events again";
        run_transaction!(self.begin_write, act, |transaction| replay(
            &transaction,
            &keys,
            now
        ))
    }
}

/// Keeps events in the transaction in which they happened, those of a delivery in their order.
pub async fn insert_events(
    transaction: &PgTransaction,
    new_events: impl IntoIterator<Item = &NewEvent>,
) -> Result<(), PgError> {
    let all = new_events.into_iter().collect::<Vec<_>>();
    if all.is_empty() {
        return Ok(());
    }
    let mut seen = HashMap::new();
    let mut ahead = Vec::with_capacity(all.len());
    for event in &all {
        let before = seen.entry(event.delivery).or_insert(0_i64);
        ahead.push(*before);
        *before += 1;
    }
    let column = |of: fn(&NewEvent) -> Option<&str>| {
        all.iter()
            .map(|event| of(event).map(escape_text))
            .collect::<Vec<_>>()
    };
    let numbers = all.iter().map(|event| event.delivery.message_number());
    transaction
        .execute(
            INSERT_EVENTS,
            bind![
                all.iter().map(|event| event.delivery.0).collect::<Vec<_>>(),
                ahead,
                all.iter().map(|event| event.watch.encode()).collect::<Vec<_>>(),
                all.iter()
                    .map(|event| event.watch.queue_name())
                    .collect::<Vec<_>>(),
                all.iter()
                    .map(|event| event.event_type.as_str())
                    .collect::<Vec<_>>(),
                column(|event| event.failure.map(Failure::as_str)),
                column(|event| event.reason.as_deref()),
                column(|event| event.provider.as_ref().map(|name| name.as_str())),
                all.iter()
                    .map(|event| event.occurred_at.timestamp_millis())
                    .collect::<Vec<_>>(),
                all.iter()
                    .map(|event| event.due_at.timestamp_millis())
                    .collect::<Vec<_>>(),
                numbers.collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

async fn waiting_endpoints(
    transaction: &PgTransaction,
    after: &str,
    limit: usize,
) -> Result<Vec<WaitingEndpoint>, PgError> {
    let found = transaction
        .query(WAITING_ENDPOINTS, bind![after, rows::limit_to_sql(limit)])
        .await?;
    let endpoint = |row| {
        Ok(WaitingEndpoint {
            name: rows::get(row, 0)?,
            due_at: rows::decode_time(row, 1)?,
        })
    };
    found.iter().map(endpoint).collect()
}

async fn claim(
    transaction: &PgTransaction,
    requested: &[(String, usize)],
    now: Timestamp,
    lease_expires_at: Timestamp,
) -> Result<Vec<ClaimedEvent>, PgError> {
    let endpoints = requested
        .iter()
        .map(|(endpoint, _)| endpoint.clone())
        .collect::<Vec<_>>();
    let capacities = requested
        .iter()
        .map(|(_, capacity)| rows::limit_to_sql(*capacity));
    let capacities = capacities.collect::<Vec<_>>();
    let (now, lease_expires_at) = (now.timestamp_millis(), lease_expires_at.timestamp_millis());
    let rows = transaction
        .query(CLAIM, bind![endpoints, capacities, now, lease_expires_at])
        .await?;
    let event = |row| {
        Ok(ClaimedEvent {
            event: decode_event(row)?,
            claims: rows::decode_count(row, 15)?,
        })
    };
    rows.iter().map(event).collect()
}

async fn record(transaction: &PgTransaction, results: &[EventAttemptResult]) -> Result<(), PgError> {
    // In one order, so that hosts do not wait for each other in a ring.
    let mut results = results.iter().collect::<Vec<_>>();
    results.sort_by_key(|result| result.key);
    let keys = results.iter().map(|result| result.key);
    transaction
        .execute(
            RECORD,
            bind![
                keys.clone().map(|key| key.delivery.0).collect::<Vec<_>>(),
                keys.map(|key| i64::from(key.sequence)).collect::<Vec<_>>(),
                results
                    .iter()
                    .map(|result| i64::from(result.claims))
                    .collect::<Vec<_>>(),
                results
                    .iter()
                    .map(|result| result.status.kind().as_str())
                    .collect::<Vec<_>>(),
                results
                    .iter()
                    .map(|result| result.status.time().timestamp_millis())
                    .collect::<Vec<_>>(),
                results
                    .iter()
                    .map(|result| i64::from(result.tries))
                    .collect::<Vec<_>>(),
                results
                    .iter()
                    .map(|result| escape_text(&result.result))
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

async fn dead_letter(transaction: &PgTransaction, request: &DeadLetterRequest) -> Result<usize, PgError> {
    let watch = request.watch.as_ref().map(EventTarget::encode);
    let dead_lettered = transaction
        .execute(
            DEAD_LETTER,
            bind![
                request.endpoint.as_str(),
                watch.as_deref(),
                request.before.timestamp_millis(),
                request.now.timestamp_millis(),
                escape_text(&request.reason),
                rows::limit_to_sql(request.limit),
            ],
        )
        .await?;
    Ok(usize::try_from(dead_lettered).unwrap_or(usize::MAX))
}

async fn replay(transaction: &PgTransaction, keys: &[EventKey], now: Timestamp) -> Result<usize, PgError> {
    let deliveries = keys.iter().map(|key| key.delivery.0).collect::<Vec<_>>();
    let sequences = keys.iter().map(|key| i64::from(key.sequence));
    let sequences = sequences.collect::<Vec<_>>();
    let changed = transaction
        .execute(REPLAY, bind![deliveries, sequences, now.timestamp_millis()])
        .await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

async fn events(transaction: &PgTransaction, query: &EventQuery) -> Result<Vec<Event>, PgError> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = rows::limit_to_sql(query.limit);
    let found = if let Some(message) = query.message {
        let Some(number) = read::message_number(transaction, message).await? else {
            return Ok(Vec::new());
        };
        let (first, last) = rows::delivery_id_range(number);
        transaction
            .query(EVENTS_MESSAGE, bind![first, last, since, state, limit])
            .await?
    } else if query.state == Some(EventStatusKind::Dead) {
        transaction.query(EVENTS_DEAD, bind![since, limit]).await?
    } else {
        transaction.query(EVENTS, bind![since, state, limit]).await?
    };
    found.iter().map(decode_event).collect()
}

/// The event in the first fifteen columns.
fn decode_event(row: &Row) -> Result<Event, PgError> {
    let failure = match rows::get::<Option<&str>>(row, 7)? {
        None => None,
        Some(_) => Some(rows::decode_word(row, 7, Failure::parse)?),
    };
    let state = rows::decode_word(row, 11, EventStatusKind::parse)?;
    Ok(Event {
        key: EventKey {
            delivery: rows::delivery_id(row, 0)?,
            sequence: rows::decode_count(row, 1)?,
        },
        message: rows::message_id(row, 2)?,
        target: rows::decode_word(row, 3, EventTarget::decode)?,
        channel: rows::decode_name(row, 4)?,
        spelling: rows::decode_text(row, 5)?,
        event_type: rows::decode_word(row, 6, EventType::parse)?,
        failure,
        reason: rows::optional_text(row, 8)?,
        provider: rows::optional_name(row, 9)?,
        at: rows::decode_time(row, 10)?,
        status: EventStatus::from_parts(state, rows::decode_time(row, 12)?),
        tries: rows::decode_count(row, 13)?,
        last_result: rows::optional_text(row, 14)?,
    })
}
