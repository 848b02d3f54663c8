//! The way of a delivery through the workers' hands: what is due, who wins it, what came of it.
//!
//! A claim is only a postponement, and a round that another claim has overtaken changes no state.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::accept::is_suppressed;
use super::events;
use super::receipts;
use super::rows::{self, StateColumns};
use super::write_transaction::WriteTransaction;
use crate::events::NewEvent;
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::clock::Timestamp;
use postrider_core::contact::Contact;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::round::{ClaimedDelivery, CompletedRound, InvalidatedAddress, RecordResult};

static DUE: &str = include_str!("../../../../sql/sqlite/claim/select_due.sql");
static DUE_CHANNELS: &str = include_str!("../../../../sql/sqlite/claim/list_waiting_channels.sql");
static CLAIM: &str = include_str!("../../../../sql/sqlite/claim/load_claimed_deliveries.sql");
static SAVE_LEASE: &str = include_str!("../../../../sql/sqlite/claim/acquire_lease.sql");
static RECORD: &str = include_str!("../../../../sql/sqlite/claim/record_round.sql");
static FIND_RECORDED: &str = include_str!("../../../../sql/sqlite/claim/check_recorded_round.sql");
static MARK_SUPERSEDED: &str = include_str!("../../../../sql/sqlite/claim/mark_superseded_round.sql");
static INSERT_ATTEMPT: &str = include_str!("../../../../sql/sqlite/claim/insert_attempt.sql");
static DEACTIVATE: &str = include_str!("../../../../sql/sqlite/recipients/deactivate_recipient.sql");

/// See [`crate::Store::due`].
pub fn due(connection: &Connection, now: Timestamp, wish: &Capacity) -> rusqlite::Result<Vec<QueueEntry>> {
    let mut rooms = due_channels(connection)?
        .into_iter()
        .map(|channel| (wish.for_channel(channel.as_str()), channel))
        .collect::<Vec<_>>();
    let mut nudges = Vec::new();
    for priority in [Priority::High, Priority::Normal] {
        let mut rows = Vec::new();
        for (room, channel) in &mut rooms {
            let found = due_on_channel(connection, channel, priority, now, *room)?;
            *room -= found.len();
            rows.push(found);
        }
        nudges.extend(round_robin(rows, wish.limit - nudges.len()));
    }
    Ok(nudges)
}

fn due_channels(connection: &Connection) -> rusqlite::Result<Vec<ConfigName>> {
    let mut statement = connection.prepare_cached(DUE_CHANNELS)?;
    statement
        .query_map([], |row| rows::decode_name(row, 0))?
        .collect()
}

fn due_on_channel(
    connection: &Connection,
    channel: &ConfigName,
    priority: Priority,
    now: Timestamp,
    room: usize,
) -> rusqlite::Result<Vec<QueueEntry>> {
    if room == 0 {
        return Ok(Vec::new());
    }
    let mut statement = connection.prepare_cached(DUE)?;
    let asked = params![
        channel.as_str(),
        rows::priority_rank(priority),
        now.timestamp_millis(),
        rows::limit_to_sql(room)
    ];
    let nudge = |row: &rusqlite::Row<'_>| {
        Ok(QueueEntry {
            id: rows::delivery_id(row, 0)?,
            channel: channel.clone(),
            due_at: rows::decode_time(row, 1)?,
            priority,
        })
    };
    statement.query_map(asked, nudge)?.collect()
}

/// See [`crate::Store::claim`].
pub fn claim(
    desk: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<Vec<ClaimedDelivery>> {
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        claimed.extend(claim_one(desk, *id, now, now + lease)?);
    }
    Ok(claimed)
}

fn claim_one(
    desk: &mut WriteTransaction<'_>,
    id: DeliveryId,
    now: Timestamp,
    until: Timestamp,
) -> rusqlite::Result<Option<ClaimedDelivery>> {
    let mut won = desk
        .statement(CLAIM)?
        .query_row([id.0, now.timestamp_millis()], |row| {
            Ok(ClaimedDelivery {
                id,
                message: rows::message_id(row, 10)?,
                channel: rows::decode_name(row, 0)?,
                address: row.get(1)?,
                spelling: row.get(2)?,
                contacts: rows::optional_contacts(row, 12)?,
                subject: row.get(13)?,
                body: row.get(11)?,
                parts: row.get(3)?,
                round: row.get(4)?,
                tries: row.get(5)?,
                unrecorded_claims: row.get(6)?,
                avoid: rows::optional_name(row, 7)?,
                priority: rows::decode_priority(row, 8)?,
                expires_at: rows::decode_time(row, 9)?,
                event_target: rows::optional_watch(row, 14)?,
            })
        })
        .optional()?;
    if let Some(claimed) = &mut won {
        desk.statement(SAVE_LEASE)?
            .execute([id.0, until.timestamp_millis()])?;
        if let Some(contacts) = claimed.contacts.take() {
            claimed.contacts = Some(active_contacts(desk, &claimed.channel, contacts)?);
        }
    }
    Ok(won)
}

/// The contacts that may still be written to.
pub fn active_contacts(
    desk: &mut WriteTransaction<'_>,
    channel: &ConfigName,
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

/// See [`crate::Store::record`].
pub fn record(
    desk: &mut WriteTransaction<'_>,
    rounds: &[CompletedRound],
) -> rusqlite::Result<Vec<RecordResult>> {
    rounds.iter().map(|round| record_one(desk, round)).collect()
}

fn record_one(desk: &mut WriteTransaction<'_>, round: &CompletedRound) -> rusqlite::Result<RecordResult> {
    let folded = desk.rollup_position()?;
    let facts = StateColumns::from_state(&round.state);
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
    insert_attempts(desk, round)?;
    if let Some(emission) = NewEvent::from_round(round) {
        events::insert_event(desk, &emission)?;
    }
    for dead in round.invalidated_addresses() {
        deactivate_address(desk, round.id, &dead)?;
    }
    if let DeliveryState::Sent {
        provider,
        reference: Some(reference),
        ..
    } = &round.state
    {
        let stands = receipts::apply_unmatched(desk, round.id, provider, reference)?;
        return Ok(RecordResult::from_states(DeliveryStateKind::Sent, stands));
    }
    Ok(RecordResult::Stored)
}

/// A round whose end is on disk, because the answer to an earlier record was lost, or one that was overtaken: only its
/// attempts are kept, once.
fn record_late(
    desk: &mut WriteTransaction<'_>,
    round: &CompletedRound,
    folded: i64,
) -> rusqlite::Result<RecordResult> {
    let written = desk
        .statement(FIND_RECORDED)?
        .query_row([round.id.0, i64::from(round.round)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    match written {
        Some((true, _)) => return Ok(RecordResult::Stored),
        Some((false, false)) => {
            desk.statement(MARK_SUPERSEDED)?.execute([round.id.0, folded])?;
            insert_attempts(desk, round)?;
        }
        Some((false, true)) | None => {}
    }
    Ok(RecordResult::Superseded)
}

fn insert_attempts(desk: &mut WriteTransaction<'_>, round: &CompletedRound) -> rusqlite::Result<()> {
    for attempt in &round.attempts {
        desk.statement(INSERT_ATTEMPT)?.execute(params![
            round.id.0,
            round.round,
            attempt.provider.as_ref().map(|name| name.as_str()),
            attempt.outcome.as_str(),
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
pub fn deactivate_address(
    desk: &mut WriteTransaction<'_>,
    id: DeliveryId,
    dead: &InvalidatedAddress<'_>,
) -> rusqlite::Result<()> {
    desk.statement(DEACTIVATE)?.execute(params![
        id.0,
        dead.reason,
        dead.provider.as_str(),
        dead.at.timestamp_millis(),
        dead.address,
    ])?;
    desk.mark_has_recipients();
    Ok(())
}
