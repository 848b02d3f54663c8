//! Due deliveries, claims and records in SQLite.
//!
//! A claim moves `due_at` to the end of the lease. A superseded round changes no state.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::recipients::deactivate_address;
use super::suppressed::active_contacts;
use super::write_transaction::WriteTransaction;
use super::{events, receipts};
use crate::events::NewEvent;
use crate::rows::deliveries::{StateColumns, decode_claimed_delivery};
use crate::rows::{SqlRow, limit_to_sql, priority_rank};
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};

static DUE: &str = sql!("sqlite/claim/select_due");
static WAITING_CHANNELS: &str = sql!("sqlite/claim/list_waiting_channels");
static CLAIM: &str = sql!("sqlite/claim/load_claimed_deliveries");
static SAVE_LEASE: &str = sql!("sqlite/claim/acquire_lease");
static RECORD: &str = sql!("sqlite/claim/record_round");
static FIND_RECORDED: &str = sql!("sqlite/claim/check_recorded_round");
static MARK_SUPERSEDED: &str = sql!("sqlite/claim/mark_superseded_round");
static INSERT_ATTEMPT: &str = sql!("sqlite/claim/insert_attempt");

/// Returns due deliveries; see [`WorkStore::due`](crate::WorkStore::due).
pub fn due(
    connection: &Connection,
    now: Timestamp,
    capacity: &Capacity,
) -> rusqlite::Result<Vec<QueueEntry>> {
    let mut channels = waiting_channels(connection)?
        .into_iter()
        .map(|channel| (capacity.for_channel(channel.as_str()), channel))
        .collect::<Vec<_>>();
    let mut entries = Vec::new();
    for priority in [Priority::High, Priority::Normal] {
        let mut by_channel = Vec::new();
        for (slots_left, channel) in &mut channels {
            let due_entries = due_on_channel(connection, channel, priority, now, *slots_left)?;
            *slots_left -= due_entries.len();
            by_channel.push(due_entries);
        }
        entries.extend(round_robin(by_channel, capacity.limit - entries.len()));
    }
    Ok(entries)
}

fn waiting_channels(connection: &Connection) -> rusqlite::Result<Vec<ConfigName>> {
    connection.prepare_cached(WAITING_CHANNELS)?.query_map([], |row| row.name("channel"))?.collect()
}

fn due_on_channel(
    connection: &Connection,
    channel: &ConfigName,
    priority: Priority,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<QueueEntry>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let values =
        params![channel.as_str(), priority_rank(priority), now.timestamp_millis(), limit_to_sql(limit)];
    connection
        .prepare_cached(DUE)?
        .query_map(values, |row| {
            Ok(QueueEntry {
                id: row.delivery_id("id")?,
                channel: channel.clone(),
                due_at: row.time("due_at")?,
                priority,
            })
        })?
        .collect()
}

/// Claims deliveries; see [`WorkStore::claim`](crate::WorkStore::claim).
pub fn claim(
    transaction: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    lease: Duration,
) -> rusqlite::Result<Vec<ClaimedDelivery>> {
    let mut claimed = Vec::with_capacity(ids.len());
    for id in ids {
        claimed.extend(claim_one(transaction, *id, now, now + lease)?);
    }
    Ok(claimed)
}

fn claim_one(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    now: Timestamp,
    lease_expires_at: Timestamp,
) -> rusqlite::Result<Option<ClaimedDelivery>> {
    let claimed = transaction
        .statement(CLAIM)?
        .query_row([id.0, now.timestamp_millis()], |row| decode_claimed_delivery(row))
        .optional()?;
    let Some(mut claimed) = claimed else {
        return Ok(None);
    };
    transaction.statement(SAVE_LEASE)?.execute([id.0, lease_expires_at.timestamp_millis()])?;
    if let Some(contacts) = claimed.contacts.take() {
        claimed.contacts = Some(active_contacts(transaction, &claimed.channel, contacts)?);
    }
    Ok(Some(claimed))
}

/// Records rounds; see [`WorkStore::record`](crate::WorkStore::record).
pub fn record(
    transaction: &mut WriteTransaction<'_>,
    rounds: &[CompletedRound],
) -> rusqlite::Result<Vec<RecordResult>> {
    rounds.iter().map(|round| record_one(transaction, round)).collect()
}

fn record_one(
    transaction: &mut WriteTransaction<'_>,
    round: &CompletedRound,
) -> rusqlite::Result<RecordResult> {
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(&round.state);
    let changed = transaction.statement(RECORD)?.execute(params![
        round.id.0,
        round.round,
        columns.state,
        columns.failure,
        columns.reason,
        columns.due_at,
        columns.ended_at,
        columns.provider,
        columns.reference,
        round.tries,
        rollup_position,
    ])?;
    if changed == 0 {
        return record_late(transaction, round, rollup_position);
    }
    insert_attempts(transaction, round)?;
    if let Some(event) = NewEvent::from_round(round) {
        events::insert_event(transaction, &event)?;
    }
    for invalidated in round.invalidated_addresses() {
        deactivate_address(transaction, round.id, &invalidated)?;
    }
    if let DeliveryState::Sent { provider, reference: Some(reference), .. } = &round.state {
        let after = receipts::apply_unmatched(transaction, round.id, provider, reference)?;
        return Ok(RecordResult::from_states(DeliveryStateKind::Sent, after));
    }
    Ok(RecordResult::Stored)
}

/// Records a round that was recorded before (the answer was lost) or was superseded: stores only its attempts, once.
fn record_late(
    transaction: &mut WriteTransaction<'_>,
    round: &CompletedRound,
    rollup_position: i64,
) -> rusqlite::Result<RecordResult> {
    let recorded = transaction
        .statement(FIND_RECORDED)?
        .query_row([round.id.0, i64::from(round.round)], |row| {
            Ok((row.bool("is_recorded")?, row.bool("has_attempts")?))
        })
        .optional()?;
    match recorded {
        Some((true, _)) => return Ok(RecordResult::Stored),
        Some((false, false)) => {
            transaction.statement(MARK_SUPERSEDED)?.execute([round.id.0, rollup_position])?;
            insert_attempts(transaction, round)?;
        }
        Some((false, true)) | None => {}
    }
    Ok(RecordResult::Superseded)
}

fn insert_attempts(transaction: &mut WriteTransaction<'_>, round: &CompletedRound) -> rusqlite::Result<()> {
    for attempt in &round.attempts {
        transaction.statement(INSERT_ATTEMPT)?.execute(params![
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
