//! The outbox in SQLite: events come in with what happened, are claimed receiver by receiver, and go when they are old.
//!
//! What writes runs inside the writer's transaction; [`emit`] in the one that changes the state.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::rows;
use super::write_transaction::WriteTransaction;
use crate::events::{DeadLetterRequest, EventQuery, EventStore, NewEvent, WaitingEndpoint};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::Failure;
use postrider_core::error::Result;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatus, EventStatusKind, EventTarget, EventType,
};

static INSERT: &str = include_str!("../../../../sql/sqlite/events/insert_event.sql");
static WAITING_ENDPOINTS: &str = include_str!("../../../../sql/sqlite/events/list_waiting_endpoints.sql");
static DUE: &str = include_str!("../../../../sql/sqlite/events/select_due_events.sql");
static CLAIM: &str = include_str!("../../../../sql/sqlite/events/claim_events.sql");
static RECORD: &str = include_str!("../../../../sql/sqlite/events/record_result.sql");
static DEAD_LETTER: &str = include_str!("../../../../sql/sqlite/events/mark_dead.sql");
static REPLAY: &str = include_str!("../../../../sql/sqlite/events/replay_event.sql");
static EVENTS: &str = include_str!("../../../../sql/sqlite/events/list_events.sql");
static EVENTS_DEAD: &str = include_str!("../../../../sql/sqlite/events/list_dead_letters.sql");
static EVENTS_MESSAGE: &str = include_str!("../../../../sql/sqlite/events/list_message_events.sql");
static MESSAGE_NUMBER: &str = include_str!("../../../../sql/sqlite/read/find_message_number.sql");

#[async_trait]
impl EventStore for SqliteStore {
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>> {
        let after = after.to_owned();
        self.readers
            .read("cannot look for events", move |connection| {
                waiting_endpoints(connection, &after, limit)
            })
            .await
    }

    async fn claim_events(
        &self,
        asked: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.write_thread
            .run("cannot claim events", move |desk| {
                claim(desk, &asked, now, now + lease)
            })
            .await
    }

    async fn record_events(&self, ends: Vec<EventAttemptResult>) -> Result<()> {
        self.write_thread
            .run("cannot record what became of events", move |desk| {
                record(desk, &ends)
            })
            .await
    }

    async fn dead_letter_events(&self, burial: DeadLetterRequest) -> Result<usize> {
        self.write_thread
            .run("cannot give events up", move |desk| dead_letter(desk, &burial))
            .await
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        self.readers
            .read("cannot look events up", move |connection| {
                events(connection, &query)
            })
            .await
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        self.write_thread
            .run("cannot send events again", move |desk| replay(desk, &keys, now))
            .await
    }
}

/// Keeps an event in the transaction in which it happened.
pub fn insert_event(desk: &mut WriteTransaction<'_>, emission: &NewEvent) -> rusqlite::Result<()> {
    desk.statement(INSERT)?.execute(params![
        emission.delivery.0,
        emission.watch.encode(),
        emission.watch.queue_name(),
        emission.event_type.as_str(),
        emission.failure.map(Failure::as_str),
        emission.reason,
        emission.provider.as_ref().map(|name| name.as_str()),
        emission.occurred_at.timestamp_millis(),
        emission.due_at.timestamp_millis(),
    ])?;
    Ok(())
}

fn waiting_endpoints(
    connection: &Connection,
    after: &str,
    limit: usize,
) -> rusqlite::Result<Vec<WaitingEndpoint>> {
    let lane = |row: &Row<'_>| {
        Ok(WaitingEndpoint {
            name: row.get(0)?,
            due_at: rows::decode_time(row, 1)?,
        })
    };
    connection
        .prepare_cached(WAITING_ENDPOINTS)?
        .query_map(params![after, rows::limit_to_sql(limit)], lane)?
        .collect()
}

fn claim(
    desk: &mut WriteTransaction<'_>,
    asked: &[(String, usize)],
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<ClaimedEvent>> {
    let mut claimed = Vec::new();
    for (lane, room) in asked {
        let due = desk.statement(DUE)?;
        let of_lane = due
            .query_map(
                params![lane, now.timestamp_millis(), rows::limit_to_sql(*room)],
                |row| {
                    Ok(ClaimedEvent {
                        event: decode_event(row)?,
                        claims: row.get(15)?,
                    })
                },
            )?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for one in &of_lane {
            let key = one.event.key;
            desk.statement(CLAIM)?.execute(params![
                key.delivery.0,
                key.sequence,
                until.timestamp_millis()
            ])?;
        }
        claimed.extend(of_lane);
    }
    Ok(claimed)
}

fn record(desk: &mut WriteTransaction<'_>, ends: &[EventAttemptResult]) -> rusqlite::Result<()> {
    for end in ends {
        desk.statement(RECORD)?.execute(params![
            end.key.delivery.0,
            end.key.sequence,
            end.claims,
            end.status.kind().as_str(),
            end.status.time().timestamp_millis(),
            end.tries,
            end.result,
        ])?;
    }
    Ok(())
}

fn dead_letter(desk: &mut WriteTransaction<'_>, burial: &DeadLetterRequest) -> rusqlite::Result<usize> {
    desk.statement(DEAD_LETTER)?.execute(params![
        burial.endpoint,
        burial.watch.as_ref().map(EventTarget::encode),
        burial.before.timestamp_millis(),
        burial.now.timestamp_millis(),
        burial.reason,
        rows::limit_to_sql(burial.limit),
    ])
}

fn replay(desk: &mut WriteTransaction<'_>, keys: &[EventKey], now: Timestamp) -> rusqlite::Result<usize> {
    let mut changed = 0;
    for key in keys {
        changed +=
            desk.statement(REPLAY)?
                .execute(params![key.delivery.0, key.sequence, now.timestamp_millis()])?;
    }
    Ok(changed)
}

fn events(connection: &Connection, query: &EventQuery) -> rusqlite::Result<Vec<Event>> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = rows::limit_to_sql(query.limit);
    if let Some(message) = query.message {
        let number = connection
            .prepare_cached(MESSAGE_NUMBER)?
            .query_row([message.bytes()], |row| row.get(0))
            .optional()?;
        let Some(number) = number else {
            return Ok(Vec::new());
        };
        let (first, last) = rows::delivery_id_range(number);
        let mut statement = connection.prepare_cached(EVENTS_MESSAGE)?;
        let found = statement.query_map(params![first, last, since, state, limit], decode_event)?;
        return found.collect();
    }
    if query.state == Some(EventStatusKind::Dead) {
        let mut statement = connection.prepare_cached(EVENTS_DEAD)?;
        return statement
            .query_map(params![since, limit], decode_event)?
            .collect();
    }
    let mut statement = connection.prepare_cached(EVENTS)?;
    statement
        .query_map(params![since, state, limit], decode_event)?
        .collect()
}

/// The event in the first fifteen columns.
fn decode_event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let failure = match row.get_ref(7)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(rows::decode_word(row, 7, Failure::parse)?),
    };
    let state = rows::decode_word(row, 11, EventStatusKind::parse)?;
    Ok(Event {
        key: EventKey {
            delivery: rows::delivery_id(row, 0)?,
            sequence: row.get(1)?,
        },
        message: rows::message_id(row, 2)?,
        target: rows::decode_word(row, 3, EventTarget::decode)?,
        channel: rows::decode_name(row, 4)?,
        spelling: row.get(5)?,
        event_type: rows::decode_word(row, 6, EventType::parse)?,
        failure,
        reason: row.get(8)?,
        provider: rows::optional_name(row, 9)?,
        at: rows::decode_time(row, 10)?,
        status: EventStatus::from_parts(state, rows::decode_time(row, 12)?),
        tries: row.get(13)?,
        last_result: row.get(14)?,
    })
}
