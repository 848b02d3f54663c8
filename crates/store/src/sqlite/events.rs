//! Events in SQLite.
//!
//! [`insert_event`] runs in the transaction that changes the state of a delivery.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::messages::message_number;
use super::store::SqliteStore;
use super::write_transaction::WriteTransaction;
use crate::events::{DeadLetterRequest, EndpointCapacity, EventQuery, EventStore, NewEvent, WaitingEndpoint};
use crate::rows::events::{decode_claimed_event, decode_event, decode_waiting_endpoint};
use crate::rows::{delivery_id_range, limit_to_sql};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::Failure;
use postrider_core::error::Result;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget,
};

static INSERT: &str = sql!("sqlite/events/insert_event");
static WAITING_ENDPOINTS: &str = sql!("sqlite/events/list_waiting_endpoints");
static DUE: &str = sql!("sqlite/events/select_due_events");
static CLAIM: &str = sql!("sqlite/events/claim_events");
static RECORD: &str = sql!("sqlite/events/record_result");
static DEAD_LETTER: &str = sql!("sqlite/events/mark_dead");
static REPLAY: &str = sql!("sqlite/events/replay_event");
static EVENTS: &str = sql!("sqlite/events/list_events");
static DEAD_EVENTS: &str = sql!("sqlite/events/list_dead_letters");
static MESSAGE_EVENTS: &str = sql!("sqlite/events/list_message_events");

#[async_trait]
impl EventStore for SqliteStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        let after = after.to_owned();
        self.read("cannot read endpoints with waiting events", move |connection| {
            connection
                .prepare_cached(WAITING_ENDPOINTS)?
                .query_map(params![after, limit_to_sql(limit)], |row| decode_waiting_endpoint(row))?
                .collect()
        })
        .await
    }

    async fn claim_events(
        &self,
        capacities: Vec<EndpointCapacity>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.write("cannot claim events", move |transaction| {
            let mut claimed = Vec::new();
            for (endpoint, capacity) in &capacities {
                claimed.extend(claim(transaction, endpoint, *capacity, now, lease)?);
            }
            Ok(claimed)
        })
        .await
    }

    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()> {
        self.write("cannot record event results", move |transaction| {
            results.iter().try_for_each(|result| record(transaction, result))
        })
        .await
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        self.write("cannot make events dead letters", move |transaction| dead_letter(transaction, &request))
            .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.read("cannot read events", move |connection| events(connection, &query)).await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.write("cannot replay events", move |transaction| {
            let mut changed = 0;
            for key in &keys {
                let values = params![key.delivery.0, key.sequence, now.timestamp_millis()];
                changed += transaction.statement(REPLAY)?.execute(values)?;
            }
            Ok(changed)
        })
        .await
    }
}

/// Inserts an event.
pub fn insert_event(transaction: &mut WriteTransaction<'_>, event: &NewEvent) -> rusqlite::Result<()> {
    transaction.statement(INSERT)?.execute(params![
        event.delivery.0,
        event.event_target.encode(),
        event.event_target.queue_name(),
        event.event_type.as_str(),
        event.failure.map(Failure::as_str),
        event.reason,
        event.provider.as_ref().map(|name| name.as_str()),
        event.occurred_at.timestamp_millis(),
        event.due_at.timestamp_millis(),
    ])?;
    Ok(())
}

fn claim(
    transaction: &mut WriteTransaction<'_>,
    endpoint: &str,
    capacity: usize,
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<Vec<ClaimedEvent>> {
    let claimed = transaction
        .statement(DUE)?
        .query_map(params![endpoint, now.timestamp_millis(), limit_to_sql(capacity)], |row| {
            decode_claimed_event(row)
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for ClaimedEvent { event, .. } in &claimed {
        transaction.statement(CLAIM)?.execute(params![
            event.key.delivery.0,
            event.key.sequence,
            (now + lease).timestamp_millis()
        ])?;
    }
    Ok(claimed)
}

fn record(transaction: &mut WriteTransaction<'_>, result: &EventAttemptResult) -> rusqlite::Result<()> {
    transaction.statement(RECORD)?.execute(params![
        result.key.delivery.0,
        result.key.sequence,
        result.claims,
        result.status.kind().as_str(),
        result.status.time().timestamp_millis(),
        result.tries,
        result.result,
    ])?;
    Ok(())
}

fn dead_letter(
    transaction: &mut WriteTransaction<'_>,
    request: &DeadLetterRequest,
) -> rusqlite::Result<usize> {
    transaction.statement(DEAD_LETTER)?.execute(params![
        request.endpoint,
        request.event_target.as_ref().map(EventTarget::encode),
        request.before.timestamp_millis(),
        request.now.timestamp_millis(),
        request.reason,
        limit_to_sql(request.limit),
    ])
}

fn events(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<Event>> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = limit_to_sql(query.limit);
    let mut statement;
    let rows = if let Some(message) = query.message {
        let Some(number) = message_number(connection, message)? else {
            return Ok(Vec::new());
        };
        let (first, last) = delivery_id_range(number);
        statement = connection.prepare_cached(MESSAGE_EVENTS)?;
        statement.query(params![first, last, since, state, limit])?
    } else if query.state == Some(EventStatusKind::Dead) {
        statement = connection.prepare_cached(DEAD_EVENTS)?;
        statement.query(params![since, limit])?
    } else {
        statement = connection.prepare_cached(EVENTS)?;
        statement.query(params![since, state, limit])?
    };
    rows.mapped(|row| decode_event(row)).collect()
}
