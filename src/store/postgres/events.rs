//! The outbox on a server: events come in with what happened, are claimed receiver by receiver by whichever host is
//! first, and go when they are old.
//!
//! [`emit`] runs in the transaction that changes the state and never ends it.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::Row;

use super::fault::Trouble;
use super::gather::COLLISIONS_MAX;
use super::link::{Desk, bind};
use super::rows::{self, kept};
use super::{PostgresStore, VERB_LIMIT, look, transact};
use crate::clock::Timestamp;
use crate::domain::delivery::Failure;
use crate::domain::event::{
    ClaimedEvent, Event, EventEnd, EventKey, EventStanding, EventState, Happening, Watch,
};
use crate::error::Result;
use crate::store::outbox::{Burial, Emission, EventLane, EventQuery, Outbox};

static INSERT: &str = include_str!("../../../sql/postgres/event_insert.sql");
static LANES: &str = include_str!("../../../sql/postgres/event_lanes.sql");
static CLAIM: &str = include_str!("../../../sql/postgres/event_claim.sql");
static RECORD: &str = include_str!("../../../sql/postgres/event_record.sql");
static BURY: &str = include_str!("../../../sql/postgres/event_bury.sql");
static REPLAY: &str = include_str!("../../../sql/postgres/event_replay.sql");
static EVENTS: &str = include_str!("../../../sql/postgres/events.sql");
static EVENTS_DEAD: &str = include_str!("../../../sql/postgres/events_dead.sql");
static EVENTS_MESSAGE: &str = include_str!("../../../sql/postgres/events_message.sql");

#[async_trait]
impl Outbox for PostgresStore {
    async fn event_lanes(&self, after: &str, limit: usize) -> Result<Vec<EventLane>> {
        let act = "cannot look for events";
        transact!(self.read, act, |desk| lanes(&desk, after, limit))
    }

    async fn claim_events(
        &self,
        asked: Vec<(String, usize)>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>> {
        let act = "cannot claim events";
        transact!(self.write, act, |desk| claim(&desk, &asked, now, now + lease))
    }

    async fn record_events(&self, ends: Vec<EventEnd>) -> Result<()> {
        let act = "cannot record what became of events";
        transact!(self.write, act, |desk| record(&desk, &ends))
    }

    async fn bury_events(&self, burial: Burial) -> Result<usize> {
        let act = "cannot give events up";
        transact!(self.write, act, |desk| bury(&desk, &burial))
    }

    async fn events(&self, query: EventQuery) -> Result<Vec<Event>> {
        let act = "cannot look events up";
        transact!(self.read, act, |desk| events(&desk, &query))
    }

    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize> {
        let act = "cannot send events again";
        transact!(self.write, act, |desk| replay(&desk, &keys, now))
    }
}

/// Keeps events in the transaction in which they happened, those of a delivery in their order.
pub async fn emit(desk: &Desk, emissions: impl IntoIterator<Item = &Emission>) -> Result<(), Trouble> {
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
    let column =
        |of: fn(&Emission) -> Option<&str>| all.iter().map(|one| of(one).map(kept)).collect::<Vec<_>>();
    let numbers = all.iter().map(|one| one.delivery.message_number());
    desk.run(
        INSERT,
        bind![
            all.iter().map(|one| one.delivery.0).collect::<Vec<_>>(),
            ahead,
            all.iter().map(|one| one.watch.written()).collect::<Vec<_>>(),
            all.iter().map(|one| one.watch.lane()).collect::<Vec<_>>(),
            all.iter().map(|one| one.what.word()).collect::<Vec<_>>(),
            column(|one| one.failure.map(Failure::word)),
            column(|one| one.reason.as_deref()),
            column(|one| one.provider.as_ref().map(|name| name.as_str())),
            all.iter()
                .map(|one| one.at.timestamp_millis())
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

async fn lanes(desk: &Desk, after: &str, limit: usize) -> Result<Vec<EventLane>, Trouble> {
    let found = desk.rows(LANES, bind![after, rows::limit(limit)]).await?;
    let lane = |row| {
        Ok(EventLane {
            name: rows::get(row, 0)?,
            due_at: rows::time(row, 1)?,
        })
    };
    found.iter().map(lane).collect()
}

async fn claim(
    desk: &Desk,
    asked: &[(String, usize)],
    now: Timestamp,
    until: Timestamp,
) -> Result<Vec<ClaimedEvent>, Trouble> {
    let lanes = asked.iter().map(|(lane, _)| lane.clone()).collect::<Vec<_>>();
    let rooms = asked.iter().map(|(_, room)| rows::limit(*room));
    let rooms = rooms.collect::<Vec<_>>();
    let (now, until) = (now.timestamp_millis(), until.timestamp_millis());
    let won = desk.rows(CLAIM, bind![lanes, rooms, now, until]).await?;
    let one = |row| {
        Ok(ClaimedEvent {
            event: event(row)?,
            claims: rows::count(row, 15)?,
        })
    };
    won.iter().map(one).collect()
}

async fn record(desk: &Desk, ends: &[EventEnd]) -> Result<(), Trouble> {
    // In one order, so that hosts do not wait for each other in a ring.
    let mut ends = ends.iter().collect::<Vec<_>>();
    ends.sort_by_key(|end| end.key);
    let keys = ends.iter().map(|end| end.key);
    desk.run(
        RECORD,
        bind![
            keys.clone().map(|key| key.delivery.0).collect::<Vec<_>>(),
            keys.map(|key| i64::from(key.sequence)).collect::<Vec<_>>(),
            ends.iter().map(|end| i64::from(end.claims)).collect::<Vec<_>>(),
            ends.iter()
                .map(|end| end.standing.state().word())
                .collect::<Vec<_>>(),
            ends.iter()
                .map(|end| end.standing.moment().timestamp_millis())
                .collect::<Vec<_>>(),
            ends.iter().map(|end| i64::from(end.tries)).collect::<Vec<_>>(),
            ends.iter().map(|end| kept(&end.answer)).collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

async fn bury(desk: &Desk, burial: &Burial) -> Result<usize, Trouble> {
    let watch = burial.watch.as_ref().map(Watch::written);
    let buried = desk
        .run(
            BURY,
            bind![
                burial.lane.as_str(),
                watch.as_deref(),
                burial.before.timestamp_millis(),
                burial.now.timestamp_millis(),
                kept(&burial.reason),
                rows::limit(burial.limit),
            ],
        )
        .await?;
    Ok(usize::try_from(buried).unwrap_or(usize::MAX))
}

async fn replay(desk: &Desk, keys: &[EventKey], now: Timestamp) -> Result<usize, Trouble> {
    let deliveries = keys.iter().map(|key| key.delivery.0).collect::<Vec<_>>();
    let sequences = keys.iter().map(|key| i64::from(key.sequence));
    let sequences = sequences.collect::<Vec<_>>();
    let changed = desk
        .run(REPLAY, bind![deliveries, sequences, now.timestamp_millis()])
        .await?;
    Ok(usize::try_from(changed).unwrap_or(usize::MAX))
}

async fn events(desk: &Desk, query: &EventQuery) -> Result<Vec<Event>, Trouble> {
    let since = query.since.map_or(i64::MIN, |since| since.timestamp_millis());
    let state = query.state.map(EventState::word);
    let limit = rows::limit(query.limit);
    let found = if let Some(message) = query.message {
        let Some(number) = look::number(desk, message).await? else {
            return Ok(Vec::new());
        };
        let (first, last) = rows::range(number);
        desk.rows(EVENTS_MESSAGE, bind![first, last, since, state, limit])
            .await?
    } else if query.state == Some(EventState::Dead) {
        desk.rows(EVENTS_DEAD, bind![since, limit]).await?
    } else {
        desk.rows(EVENTS, bind![since, state, limit]).await?
    };
    found.iter().map(event).collect()
}

/// The event in the first fifteen columns.
fn event(row: &Row) -> Result<Event, Trouble> {
    let failure = match rows::get::<Option<&str>>(row, 7)? {
        None => None,
        Some(_) => Some(rows::word(row, 7, Failure::from_word)?),
    };
    let state = rows::word(row, 11, EventState::from_word)?;
    Ok(Event {
        key: EventKey {
            delivery: rows::delivery_id(row, 0)?,
            sequence: rows::count(row, 1)?,
        },
        message: rows::message_id(row, 2)?,
        watch: rows::word(row, 3, Watch::read)?,
        channel: rows::name(row, 4)?,
        spelling: rows::text(row, 5)?,
        what: rows::word(row, 6, Happening::from_word)?,
        failure,
        reason: rows::text_if_any(row, 8)?,
        provider: rows::name_if_any(row, 9)?,
        at: rows::time(row, 10)?,
        standing: EventStanding::new(state, rows::time(row, 12)?),
        tries: rows::count(row, 13)?,
        answer: rows::text_if_any(row, 14)?,
    })
}
