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
        run_transaction!(self.begin_read, act, |desk| waiting_endpoints(
            &desk, after, limit
        ))
    }

    async fn claim_events(
        &self,
        asked: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        let act = "cannot claim events";
        run_transaction!(self.begin_write, act, |desk| claim(
            &desk,
            &asked,
            now,
            now + lease
        ))
    }

    async fn record_events(&self, ends: Vec<EventAttemptResult>) -> Result<()> {
        let act = "cannot record what became of events";
        run_transaction!(self.begin_write, act, |desk| record(&desk, &ends))
    }

    async fn dead_letter_events(&self, burial: DeadLetterRequest) -> Result<usize> {
        let act = "cannot give events up";
        run_transaction!(self.begin_write, act, |desk| dead_letter(&desk, &burial))
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        let act = "cannot look events up";
        run_transaction!(self.begin_read, act, |desk| events(&desk, &query))
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        let act = "cannot send events again";
        run_transaction!(self.begin_write, act, |desk| replay(&desk, &keys, now))
    }
}

/// Keeps events in the transaction in which they happened, those of a delivery in their order.
pub async fn insert_events(
    desk: &PgTransaction,
    emissions: impl IntoIterator<Item = &NewEvent>,
) -> Result<(), PgError> {
    let all = emissions.into_iter().collect::<Vec<_>>();
    if all.is_empty() {
        return Ok(());
    }
    let mut seen = HashMap::new();
    let mut ahead = Vec::with_capacity(all.len());
    for one in &all {
        let before = seen.entry(one.delivery).or_insert(0_i64);
        ahead.push(*before);
        *before += 1;
    }
    let column = |of: fn(&NewEvent) -> Option<&str>| {
        all.iter().map(|one| of(one).map(escape_text)).collect::<Vec<_>>()
    };
    let numbers = all.iter().map(|one| one.delivery.message_number());
    desk.execute(
        INSERT_EVENTS,
        bind![
            all.iter().map(|one| one.delivery.0).collect::<Vec<_>>(),
            ahead,
            all.iter().map(|one| one.watch.encode()).collect::<Vec<_>>(),
            all.iter().map(|one| one.watch.queue_name()).collect::<Vec<_>>(),
            all.iter().map(|one| one.event_type.as_str()).collect::<Vec<_>>(),
            column(|one| one.failure.map(Failure::as_str)),
            column(|one| one.reason.as_deref()),
            column(|one| one.provider.as_ref().map(|name| name.as_str())),
            all.iter()
                .map(|one| one.occurred_at.timestamp_millis())
                .collect::<Vec<_>>(),
            all.iter()
                .map(|one| one.due_at.timestamp_millis())
                .collect::<Vec<_>>(),
            numbers.collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

async fn waiting_endpoints(
    desk: &PgTransaction,
    after: &str,
    limit: usize,
) -> Result<Vec<WaitingEndpoint>, PgError> {
    let found = desk
        .query(WAITING_ENDPOINTS, bind![after, rows::limit_to_sql(limit)])
        .await?;
    let lane = |row| {
        Ok(WaitingEndpoint {
            name: rows::get(row, 0)?,
            due_at: rows::decode_time(row, 1)?,
        })
    };
    found.iter().map(lane).collect()
}

async fn claim(
    desk: &PgTransaction,
    asked: &[(String, usize)],
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<ClaimedEvent>, PgError> {
    let lanes = asked.iter().map(|(lane, _)| lane.clone()).collect::<Vec<_>>();
    let rooms = asked.iter().map(|(_, room)| rows::limit_to_sql(*room));
    let rooms = rooms.collect::<Vec<_>>();
    let (now, until) = (now.timestamp_millis(), until.timestamp_millis());
    let won = desk.query(CLAIM, bind![lanes, rooms, now, until]).await?;
    let one = |row| {
        Ok(ClaimedEvent {
            event: decode_event(row)?,
            claims: rows::decode_count(row, 15)?,
        })
    };
    won.iter().map(one).collect()
}

async fn record(desk: &PgTransaction, ends: &[EventAttemptResult]) -> Result<(), PgError> {
    // In one order, so that hosts do not wait for each other in a ring.
    let mut ends = ends.iter().collect::<Vec<_>>();
    ends.sort_by_key(|end| end.key);
    let keys = ends.iter().map(|end| end.key);
    desk.execute(
        RECORD,
        bind![
            keys.clone().map(|key| key.delivery.0).collect::<Vec<_>>(),
            keys.map(|key| i64::from(key.sequence)).collect::<Vec<_>>(),
            ends.iter().map(|end| i64::from(end.claims)).collect::<Vec<_>>(),
            ends.iter()
                .map(|end| end.status.kind().as_str())
                .collect::<Vec<_>>(),
            ends.iter()
                .map(|end| end.status.time().timestamp_millis())
                .collect::<Vec<_>>(),
            ends.iter().map(|end| i64::from(end.tries)).collect::<Vec<_>>(),
            ends.iter()
                .map(|end| escape_text(&end.result))
                .collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

async fn dead_letter(desk: &PgTransaction, burial: &DeadLetterRequest) -> Result<usize, PgError> {
    let watch = burial.watch.as_ref().map(EventTarget::encode);
    let buried = desk
        .execute(
            DEAD_LETTER,
            bind![
                burial.endpoint.as_str(),
                watch.as_deref(),
                burial.before.timestamp_millis(),
                burial.now.timestamp_millis(),
                escape_text(&burial.reason),
                rows::limit_to_sql(burial.limit),
            ],
        )
        .await?;
    Ok(usize::try_from(buried).unwrap_or(usize::MAX))
}

async fn replay(desk: &PgTransaction, keys: &[EventKey], now: Timestamp) -> Result<usize, PgError> {
    let deliveries = keys.iter().map(|key| key.delivery.0).collect::<Vec<_>>();
    let sequences = keys.iter().map(|key| i64::from(key.sequence));
    let sequences = sequences.collect::<Vec<_>>();
    let changed = desk
        .execute(REPLAY, bind![deliveries, sequences, now.timestamp_millis()])
        .await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

async fn events(desk: &PgTransaction, query: &EventQuery) -> Result<Vec<Event>, PgError> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventStatusKind::as_str);
    let limit = rows::limit_to_sql(query.limit);
    let found = if let Some(message) = query.message {
        let Some(number) = read::message_number(desk, message).await? else {
            return Ok(Vec::new());
        };
        let (first, last) = rows::delivery_id_range(number);
        desk.query(EVENTS_MESSAGE, bind![first, last, since, state, limit])
            .await?
    } else if query.state == Some(EventStatusKind::Dead) {
        desk.query(EVENTS_DEAD, bind![since, limit]).await?
    } else {
        desk.query(EVENTS, bind![since, state, limit]).await?
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
