//! Events in SQLite.
//!
//! [`insert_event`] runs in the transaction that changes the state of a delivery.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    messages::find_message_number, query::query_all, store::SqliteStore, write_transaction::WriteTransaction,
};
use crate::events::{DeadLetterRequest, EndpointCapacity, EventQuery, EventStore, NewEvent, WaitingEndpoint};
use crate::rows::events::{decode_claimed_event, decode_event, decode_waiting_endpoint};
use crate::rows::{delivery_id_range, limit_to_sql};
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget,
};
use postrider_core::{clock::Timestamp, delivery::Failure, error::Result, name::ConfigName};

static INSERT_EVENT: &str = sql!("sqlite/events/insert_event");
static WAITING_ENDPOINTS: &str = sql!("sqlite/events/list_waiting_endpoints");
static DUE_EVENTS: &str = sql!("sqlite/events/select_due_events");
static CLAIM_EVENT: &str = sql!("sqlite/events/claim_events");
static RECORD_RESULT: &str = sql!("sqlite/events/record_result");
static MARK_DEAD: &str = sql!("sqlite/events/mark_dead");
static REPLAY_EVENT: &str = sql!("sqlite/events/replay_event");
static EVENTS: &str = sql!("sqlite/events/list_events");
static DEAD_EVENTS: &str = sql!("sqlite/events/list_dead_letters");
static MESSAGE_EVENTS: &str = sql!("sqlite/events/list_message_events");

#[async_trait]
impl EventStore for SqliteStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        let after = after.to_owned();
        self.read("cannot read endpoints with waiting events", move |connection| {
            let page_bounds = params![after, limit_to_sql(limit)];
            query_all(connection, WAITING_ENDPOINTS, page_bounds, |row| decode_waiting_endpoint(row))
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
            let mut claims = Vec::new();
            for (endpoint, capacity) in &capacities {
                claims.extend(claim(transaction, endpoint, *capacity, now, now + lease)?);
            }
            Ok(claims)
        })
        .await
    }

    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()> {
        self.write("cannot record event results", move |transaction| {
            results.iter().try_for_each(|result| record_result(transaction, result))
        })
        .await
    }

    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize> {
        self.write("cannot make events dead letters", move |transaction| mark_dead(transaction, &request))
            .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.read("cannot read events", move |connection| select_events(connection, &query)).await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.write("cannot replay events", move |transaction| {
            let mut replayed_count = 0;
            for key in &keys {
                let key_and_time = params![key.delivery.0, key.sequence, now.timestamp_millis()];
                replayed_count += transaction.execute(REPLAY_EVENT, key_and_time)?;
            }
            Ok(replayed_count)
        })
        .await
    }
}

/// Inserts an event.
pub fn insert_event(transaction: &mut WriteTransaction<'_>, event: &NewEvent) -> rusqlite::Result<()> {
    let event_values = params![
        event.delivery.0,
        event.event_target.encode(),
        event.event_target.queue_name(),
        event.event_type.as_str(),
        event.failure.map(Failure::as_str),
        event.reason,
        event.provider.as_ref().map(ConfigName::as_str),
        event.occurred_at.timestamp_millis(),
        event.due_at.timestamp_millis(),
    ];
    transaction.execute(INSERT_EVENT, event_values).map(drop)
}

fn claim(
    transaction: &mut WriteTransaction<'_>,
    endpoint: &str,
    capacity: usize,
    now: Timestamp,
    lease_expires_at: Timestamp,
) -> rusqlite::Result<Vec<ClaimedEvent>> {
    let due_filter = params![endpoint, now.timestamp_millis(), limit_to_sql(capacity)];
    let claims = transaction.query_all(DUE_EVENTS, due_filter, |row| decode_claimed_event(row))?;
    for ClaimedEvent { event, .. } in &claims {
        let due_at = lease_expires_at.timestamp_millis();
        transaction.execute(CLAIM_EVENT, params![event.key.delivery.0, event.key.sequence, due_at])?;
    }
    Ok(claims)
}

fn record_result(
    transaction: &mut WriteTransaction<'_>,
    event_result: &EventAttemptResult,
) -> rusqlite::Result<()> {
    let result_values = params![
        event_result.key.delivery.0,
        event_result.key.sequence,
        event_result.claims,
        event_result.status.kind().as_str(),
        event_result.status.time().timestamp_millis(),
        event_result.tries,
        event_result.result,
    ];
    transaction.execute(RECORD_RESULT, result_values).map(drop)
}

fn mark_dead(transaction: &mut WriteTransaction<'_>, request: &DeadLetterRequest) -> rusqlite::Result<usize> {
    let dead_letter_values = params![
        request.endpoint,
        request.event_target.as_ref().map(EventTarget::encode),
        request.before.timestamp_millis(),
        request.now.timestamp_millis(),
        request.reason,
        limit_to_sql(request.limit),
    ];
    transaction.execute(MARK_DEAD, dead_letter_values)
}

fn select_events(connection: &Connection, event_query: &EventQuery) -> rusqlite::Result<Vec<Event>> {
    let events_since = event_query.since.map_or(i64::MIN, |events_since| events_since.timestamp_millis());
    let event_state = event_query.state.map(EventStatusKind::as_str);
    let events_max = limit_to_sql(event_query.limit);
    let decode = |row: &rusqlite::Row<'_>| decode_event(row);
    if let Some(message) = event_query.message {
        let Some(number) = find_message_number(connection, message)? else {
            return Ok(Vec::new());
        };
        let (first_id, last_id) = delivery_id_range(number);
        query_all(
            connection,
            MESSAGE_EVENTS,
            params![first_id, last_id, events_since, event_state, events_max],
            decode,
        )
    } else if event_query.state == Some(EventStatusKind::Dead) {
        query_all(connection, DEAD_EVENTS, [events_since, events_max], decode)
    } else {
        query_all(connection, EVENTS, params![events_since, event_state, events_max], decode)
    }
}
