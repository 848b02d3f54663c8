//! The way of a delivery through the workers' hands: what is due, who wins it, what came of it.
//!
//! A claim is only a postponement, and a round that another claim has overtaken changes no state.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::is_suppressed;
use super::desk::Desk;
use super::events;
use super::receipts;
use super::rows::{self, Facts};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::contact::Contact;
use crate::domain::delivery::{Standing, State};
use crate::domain::id::DeliveryId;
use crate::domain::message::{Claimed, DeadAddress, Nudge, Priority, Recorded, Round};
use crate::domain::wish::{Wish, in_turn};
use crate::store::outbox::Emission;

static DUE: &str = include_str!("../../../sql/sqlite/due.sql");
static DUE_CHANNELS: &str = include_str!("../../../sql/sqlite/due_channels.sql");
static CLAIM: &str = include_str!("../../../sql/sqlite/claim.sql");
static CLAIM_MARK: &str = include_str!("../../../sql/sqlite/claim_mark.sql");
static RECORD: &str = include_str!("../../../sql/sqlite/record.sql");
static WRITTEN: &str = include_str!("../../../sql/sqlite/record_written.sql");
static SUPERSEDED: &str = include_str!("../../../sql/sqlite/record_superseded.sql");
static ATTEMPT: &str = include_str!("../../../sql/sqlite/record_attempt.sql");
static DEACTIVATE: &str = include_str!("../../../sql/sqlite/recipient_deactivate.sql");

/// See [`crate::store::Store::due`].
pub fn due(connection: &Connection, now: Timestamp, wish: &Wish) -> rusqlite::Result<Vec<Nudge>> {
    let mut rooms = channels(connection)?
        .into_iter()
        .map(|channel| (wish.room(channel.as_str()), channel))
        .collect::<Vec<_>>();
    let mut nudges = Vec::new();
    for priority in [Priority::High, Priority::Normal] {
        let mut rows = Vec::new();
        for (room, channel) in &mut rooms {
            let found = due_of(connection, channel, priority, now, *room)?;
            *room -= found.len();
            rows.push(found);
        }
        nudges.extend(in_turn(rows, wish.limit - nudges.len()));
    }
    Ok(nudges)
}

fn channels(connection: &Connection) -> rusqlite::Result<Vec<Name>> {
    let mut statement = connection.prepare_cached(DUE_CHANNELS)?;
    statement.query_map([], |row| rows::name(row, 0))?.collect()
}

fn due_of(
    connection: &Connection,
    channel: &Name,
    priority: Priority,
    now: Timestamp,
    room: usize,
) -> rusqlite::Result<Vec<Nudge>> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(DUE)?;
    let asked = params![
        channel.as_str(),
        rows::rank(priority),
        now.timestamp_millis(),
        rows::limit(room)
    ];
    let nudge = |row: &rusqlite::Row<'_>| {
        Ok(Nudge {
            id: rows::delivery_id(row, 0)?,
            channel: channel.clone(),
            due_at: rows::time(row, 1)?,
            priority,
        })
    };
    statement.query_map(asked, nudge)?.collect()
}

/// See [`crate::store::Store::claim`].
pub fn claim(
    desk: &mut Desk<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<Vec<Claimed>> {
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        claimed.extend(claim_one(desk, *id, now, now + lease)?);
    }
    Ok(claimed)
}

fn claim_one(
    desk: &mut Desk<'_>,
    id: DeliveryId,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Option<Claimed>> {
    let mut won = desk
        .statement(CLAIM)?
        .query_row([id.0, now.timestamp_millis()], |row| {
            Ok(Claimed {
                id,
                message: rows::message_id(row, 10)?,
                channel: rows::name(row, 0)?,
                address: row.get(1)?,
                spelling: row.get(2)?,
                contacts: rows::contacts_if_any(row, 12)?,
                subject: row.get(13)?,
                body: row.get(11)?,
                parts: row.get(3)?,
                round: row.get(4)?,
                tries: row.get(5)?,
                lost: row.get(6)?,
                avoid: rows::name_if_any(row, 7)?,
                priority: rows::priority(row, 8)?,
                expires_at: rows::time(row, 9)?,
                watch: rows::watch_if_any(row, 14)?,
            })
        })
        .optional()?;
    if let Some(claimed) = &mut won {
        desk.statement(CLAIM_MARK)?
            .execute([id.0, until.timestamp_millis()])?;
        if let Some(contacts) = claimed.contacts.take() {
            claimed.contacts = Some(those_left(desk, &claimed.channel, contacts)?);
        }
    }
    Ok(won)
}

/// The contacts that may still be written to.
pub fn those_left(
    desk: &mut Desk<'_>,
    channel: &Name,
    contacts: Vec<Contact>,
) -> rusqlite::Result<Vec<Contact>> {
    let mut left = Vec::with_capacity(contacts.len());
    for contact in contacts {
        if !is_suppressed(desk, channel, &contact.address)? {
            left.push(contact);
        }
    }
    Ok(left)
}

/// See [`crate::store::Store::record`].
pub fn record(desk: &mut Desk<'_>, rounds: &[Round]) -> rusqlite::Result<Vec<Recorded>> {
    rounds.iter().map(|round| record_one(desk, round)).collect()
}

fn record_one(desk: &mut Desk<'_>, round: &Round) -> rusqlite::Result<Recorded> {
    let folded = desk.folded()?;
    let facts = Facts::of(&round.state);
    let changed = desk.statement(RECORD)?.execute(params![
        round.id.0,
        round.round,
        facts.state,
        facts.failure,
        facts.reason,
        facts.due_at,
        facts.ended_at,
        facts.provider,
        facts.reference,
        round.tries,
        folded,
    ])?;
    if changed == 0 {
        return record_late(desk, round, folded);
    }
    keep_attempts(desk, round)?;
    if let Some(emission) = Emission::of_round(round) {
        events::emit(desk, &emission)?;
    }
    for dead in round.dead_addresses() {
        deactivate(desk, round.id, &dead)?;
    }
    if let State::Sent {
        provider,
        reference: Some(reference),
        ..
    } = &round.state
    {
        let stands = receipts::apply_early(desk, round.id, provider, reference)?;
        return Ok(Recorded::at(Standing::Sent, stands));
    }
    Ok(Recorded::Stored)
}

/// A round whose end is on disk, because the answer to an earlier record was lost, or one that was overtaken: only its
/// attempts are kept, once.
fn record_late(desk: &mut Desk<'_>, round: &Round, folded: i64) -> rusqlite::Result<Recorded> {
    let written = desk
        .statement(WRITTEN)?
        .query_row([round.id.0, i64::from(round.round)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match written {
        Some((true, _)) => return Ok(Recorded::Stored),
        Some((false, false)) => {
            desk.statement(SUPERSEDED)?.execute([round.id.0, folded])?;
            keep_attempts(desk, round)?;
        }
        Some((false, true)) | None => {}
    }
    Ok(Recorded::Superseded)
}

fn keep_attempts(desk: &mut Desk<'_>, round: &Round) -> rusqlite::Result<()> {
    for attempt in &round.attempts {
        desk.statement(ATTEMPT)?.execute(params![
            round.id.0,
            round.round,
            attempt.provider.as_ref().map(|name| name.as_str()),
            attempt.outcome.word(),
            attempt.code,
            attempt.outcome.reason(),
            attempt.at.timestamp_millis(),
            i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            attempt.address,
        ])?;
    }
    Ok(())
}

/// Makes an address of a delivery inactive.
pub fn deactivate(desk: &mut Desk<'_>, id: DeliveryId, dead: &DeadAddress<'_>) -> rusqlite::Result<()> {
    desk.statement(DEACTIVATE)?.execute(params![
        id.0,
        dead.reason,
        dead.by.as_str(),
        dead.at.timestamp_millis(),
        dead.address,
    ])?;
    desk.set_knows_recipients();
    Ok(())
}
