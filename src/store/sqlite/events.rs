//! The outbox in SQLite: events come in with what happened, are claimed receiver by receiver, and go when they are old.
//!
//! What writes runs inside the writer's transaction; [`emit`] in the one that changes the state.

use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::desk::Desk;
use super::rows;
use crate::clock::Timestamp;
use crate::domain::delivery::Failure;
use crate::domain::event::{
    ClaimedEvent, Event, EventEnd, EventKey, EventStanding, EventState, Happening, Watch,
};
use crate::error::Result;
use crate::store::outbox::{Burial, Emission, EventLane, EventQuery, Outbox};

static INSERT: &str = include_str!("../../../sql/sqlite/event_insert.sql");
static LANES: &str = include_str!("../../../sql/sqlite/event_lanes.sql");
static DUE: &str = include_str!("../../../sql/sqlite/event_due.sql");
static CLAIM: &str = include_str!("../../../sql/sqlite/event_claim.sql");
static RECORD: &str = include_str!("../../../sql/sqlite/event_record.sql");
static BURY: &str = include_str!("../../../sql/sqlite/event_bury.sql");
static REPLAY: &str = include_str!("../../../sql/sqlite/event_replay.sql");
static EVENTS: &str = include_str!("../../../sql/sqlite/events.sql");
static EVENTS_DEAD: &str = include_str!("../../../sql/sqlite/events_dead.sql");
static EVENTS_MESSAGE: &str = include_str!("../../../sql/sqlite/events_message.sql");
static NUMBER: &str = include_str!("../../../sql/sqlite/number.sql");

#[async_trait]
impl Outbox for SqliteStore {
    async fn event_lanes(&self, after: &str, limit: usize) -> Result<Vec<EventLane>> {
        let after = after.to_owned();
        self.readers
            .read("cannot look for events", move |connection| {
                lanes(connection, &after, limit)
            })
            .await
    }

    async fn claim_events(
        &self,
        asked: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        self.writer
            .run("cannot claim events", move |desk| {
                claim(desk, &asked, now, now + lease)
            })
            .await
    }

    async fn record_events(&self, ends: Vec<EventEnd>) -> Result<()> {
        self.writer
            .run("cannot record what became of events", move |desk| {
                record(desk, &ends)
            })
            .await
    }

    async fn bury_events(&self, burial: Burial) -> Result<usize> {
        self.writer
            .run("cannot give events up", move |desk| bury(desk, &burial))
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
        self.writer
            .run("cannot send events again", move |desk| replay(desk, &keys, now))
            .await
    }
}

/// Keeps an event in the transaction in which it happened.
pub fn emit(desk: &mut Desk<'_>, emission: &Emission) -> rusqlite::Result<()> {
    desk.statement(INSERT)?.execute(params![
        emission.delivery.0,
        emission.watch.written(),
        emission.watch.lane(),
        emission.what.word(),
        emission.failure.map(Failure::word),
        emission.reason,
        emission.provider.as_ref().map(|name| name.as_str()),
        emission.at.timestamp_millis(),
        emission.due_at.timestamp_millis(),
    ])?;
    Ok(())
}

fn lanes(connection: &Connection, after: &str, limit: usize) -> rusqlite::Result<Vec<EventLane>> {
    let lane = |row: &Row<'_>| {
        Ok(EventLane {
            name: row.get(0)?,
            due_at: rows::time(row, 1)?,
        })
    };
    connection
        .prepare_cached(LANES)?
        .query_map(params![after, rows::limit(limit)], lane)?
        .collect()
}

fn claim(
    desk: &mut Desk<'_>,
    asked: &[(String, usize)],
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Vec<ClaimedEvent>> {
    let mut claimed = Vec::new();
    for (lane, room) in asked {
        let due = desk.statement(DUE)?;
        let of_lane = due
            .query_map(params![lane, now.timestamp_millis(), rows::limit(*room)], |row| {
                Ok(ClaimedEvent {
                    event: event(row)?,
                    claims: row.get(15)?,
                })
            })?
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

fn record(desk: &mut Desk<'_>, ends: &[EventEnd]) -> rusqlite::Result<()> {
    for end in ends {
        desk.statement(RECORD)?.execute(params![
            end.key.delivery.0,
            end.key.sequence,
            end.claims,
            end.standing.state().word(),
            end.standing.moment().timestamp_millis(),
            end.tries,
            end.answer,
        ])?;
    }
    Ok(())
}

fn bury(desk: &mut Desk<'_>, burial: &Burial) -> rusqlite::Result<usize> {
    desk.statement(BURY)?.execute(params![
        burial.lane,
        burial.watch.as_ref().map(Watch::written),
        burial.before.timestamp_millis(),
        burial.now.timestamp_millis(),
        burial.reason,
        rows::limit(burial.limit),
    ])
}

fn replay(desk: &mut Desk<'_>, keys: &[EventKey], now: Timestamp) -> rusqlite::Result<usize> {
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
    let state = query.state.map(EventState::word);
    let limit = rows::limit(query.limit);
    if let Some(message) = query.message {
        let number = connection
            .prepare_cached(NUMBER)?
            .query_row([message.bytes()], |row| row.get(0))
            .optional()?;
        let Some(number) = number else {
            return Ok(Vec::new());
        };
        let (first, last) = rows::range(number);
        let mut statement = connection.prepare_cached(EVENTS_MESSAGE)?;
        let found = statement.query_map(params![first, last, since, state, limit], event)?;
        return found.collect();
    }
    if query.state == Some(EventState::Dead) {
        let mut statement = connection.prepare_cached(EVENTS_DEAD)?;
        return statement.query_map(params![since, limit], event)?.collect();
    }
    let mut statement = connection.prepare_cached(EVENTS)?;
    statement
        .query_map(params![since, state, limit], event)?
        .collect()
}

/// The event in the first fifteen columns.
fn event(row: &Row<'_>) -> rusqlite::Result<Event> {
    let failure = match row.get_ref(7)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(rows::word(row, 7, Failure::from_word)?),
    };
    let state = rows::word(row, 11, EventState::from_word)?;
    Ok(Event {
        key: EventKey {
            delivery: rows::delivery_id(row, 0)?,
            sequence: row.get(1)?,
        },
        message: rows::message_id(row, 2)?,
        watch: rows::word(row, 3, Watch::read)?,
        channel: rows::name(row, 4)?,
        spelling: row.get(5)?,
        what: rows::word(row, 6, Happening::from_word)?,
        failure,
        reason: row.get(8)?,
        provider: rows::name_if_any(row, 9)?,
        at: rows::time(row, 10)?,
        standing: EventStanding::new(state, rows::time(row, 12)?),
        tries: row.get(13)?,
        answer: row.get(14)?,
    })
}
