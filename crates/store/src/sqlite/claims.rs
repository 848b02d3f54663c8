//! The work of workers in SQLite: due deliveries, claims and records; receipts are in their own module.
//!
//! A claim moves `due_at` to the end of the lease. A superseded round changes no state.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::{Connection, params};

use super::{
    events, query::query_all, receipts, recipients::deactivate_address, store::SqliteStore,
    suppressed::active_contacts, write_transaction::WriteTransaction,
};
use crate::receipts::{ReceiptResult, ReceivedReceipt, SentCopy};
use crate::rows::deliveries::{StateColumns, decode_claimed_delivery};
use crate::rows::{SqlRow, limit_to_sql, priority_rank};
use crate::{events::NewEvent, work::WorkStore};
use postrider_core::attempt::{LOST_ROUND_REASON, Outcome};
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::round::{ClaimedDelivery, CompletedRound, RecordResult};
use postrider_core::{
    clock::Timestamp, error::Result, id::DeliveryId, inbound::LateAcceptance, name::ConfigName,
    priority::Priority, queue_entry::QueueEntry,
};

static DUE_DELIVERIES: &str = sql!("sqlite/claim/select_due");
static WAITING_CHANNELS: &str = sql!("sqlite/claim/list_waiting_channels");
static LOAD_CLAIMABLE: &str = sql!("sqlite/claim/load_claimed_deliveries");
static EXTEND_LEASE: &str = sql!("sqlite/claim/extend_lease");
static SAVE_LEASE: &str = sql!("sqlite/claim/acquire_lease");
static RECORD_ROUND: &str = sql!("sqlite/claim/record_round");
static FIND_RECORDED: &str = sql!("sqlite/claim/check_recorded_round");
static FINISH_SETTLED: &str = sql!("sqlite/claim/finish_settled_round");
static SELECT_LOST: &str = sql!("sqlite/claim/select_lost_rounds");
static CLOSE_LOST: &str = sql!("sqlite/claim/close_lost_rounds");
static MARK_SUPERSEDED: &str = sql!("sqlite/claim/mark_superseded_round");
static INSERT_ATTEMPT: &str = sql!("sqlite/claim/insert_attempt");

#[async_trait]
impl WorkStore for SqliteStore {
    async fn due(&self, now: Timestamp, capacity: &Capacity) -> Result<Vec<QueueEntry>> {
        let capacity = capacity.clone();
        self.read("cannot read due deliveries", move |connection| select_due(connection, now, &capacity))
            .await
    }

    async fn claim(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedDelivery>> {
        let requested_at = Instant::now();
        // The lease begins when the claim is written. A lock of another process can delay that.
        self.write("cannot claim deliveries", move |transaction| {
            let waited = Duration::from_secs(requested_at.elapsed().as_secs());
            claim(transaction, &ids, now, now + lease + waited)
        })
        .await
    }

    async fn extend_lease(&self, claimed: &ClaimedDelivery, lease_expires_at: Timestamp) -> Result<bool> {
        let lease_values = [claimed.id.0, i64::from(claimed.round), lease_expires_at.timestamp_millis()];
        self.write("cannot extend a lease", move |transaction| {
            Ok(transaction.execute(EXTEND_LEASE, lease_values)? == 1)
        })
        .await
    }

    async fn record(&self, rounds: Vec<CompletedRound>) -> Result<Vec<RecordResult>> {
        self.write("cannot record rounds", move |transaction| {
            rounds.iter().map(|round| record_round(transaction, round)).collect()
        })
        .await
    }

    async fn apply_receipts(&self, receipts: Vec<ReceivedReceipt>) -> Result<Vec<ReceiptResult>> {
        self.write("cannot apply receipts", move |transaction| {
            receipts::apply_receipts(transaction, &receipts)
        })
        .await
    }

    async fn apply_late_acceptance(
        &self,
        provider: ConfigName,
        acceptance: LateAcceptance,
        received_at: Timestamp,
    ) -> Result<ReceiptResult> {
        self.write("cannot apply a late answer", move |transaction| {
            receipts::apply_late_acceptance(transaction, &provider, &acceptance, received_at)
        })
        .await
    }

    async fn close_lost_rounds(&self, now: Timestamp, limit: usize) -> Result<Vec<DeliveryId>> {
        let context = "cannot close lost rounds";
        // Reads first: without a lost round, which is almost always, nothing is written.
        let expired = [now.timestamp_millis(), limit_to_sql(limit)];
        let found = self.read(context, move |connection| {
            query_all(connection, SELECT_LOST, expired, |row| row.delivery_id("id"))
        });
        if found.await?.is_empty() {
            return Ok(Vec::new());
        }
        self.write(context, move |transaction| close_lost_rounds(transaction, expired)).await
    }
}

fn select_due(
    connection: &Connection,
    now: Timestamp,
    capacity: &Capacity,
) -> rusqlite::Result<Vec<QueueEntry>> {
    let mut channels = query_all(connection, WAITING_CHANNELS, [], |row| row.name("channel"))?
        .into_iter()
        .map(|channel| (capacity.for_channel(channel.as_str()), channel))
        .collect::<Vec<_>>();
    let mut due_entries = Vec::new();
    for priority in [Priority::High, Priority::Normal] {
        let mut entries_by_channel = Vec::new();
        for (slots_left, channel) in &mut channels {
            let channel_entries = select_due_on_channel(connection, channel, priority, now, *slots_left)?;
            *slots_left -= channel_entries.len();
            entries_by_channel.push(channel_entries);
        }
        due_entries.extend(round_robin(entries_by_channel, capacity.limit - due_entries.len()));
    }
    Ok(due_entries)
}

fn select_due_on_channel(
    connection: &Connection,
    channel: &ConfigName,
    priority: Priority,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<QueueEntry>> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let due_filter =
        params![channel.as_str(), priority_rank(priority), now.timestamp_millis(), limit_to_sql(limit)];
    query_all(connection, DUE_DELIVERIES, due_filter, |row| {
        let (id, due_at) = (row.delivery_id("id")?, row.time("due_at")?);
        Ok(QueueEntry { id, channel: channel.clone(), due_at, priority })
    })
}

fn claim(
    transaction: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    lease_expires_at: Timestamp,
) -> rusqlite::Result<Vec<ClaimedDelivery>> {
    let mut claims = Vec::with_capacity(ids.len());
    for delivery_id in ids {
        let id_and_time = [delivery_id.0, now.timestamp_millis()];
        let claim =
            transaction.query_optional(LOAD_CLAIMABLE, id_and_time, |row| decode_claimed_delivery(row))?;
        let Some(mut claim) = claim else {
            continue;
        };
        transaction.execute(SAVE_LEASE, [delivery_id.0, lease_expires_at.timestamp_millis()])?;
        if let Some(contacts) = claim.contacts.take() {
            claim.contacts = Some(active_contacts(transaction, &claim.channel, contacts)?);
        }
        claims.push(claim);
    }
    Ok(claims)
}

fn record_round(
    transaction: &mut WriteTransaction<'_>,
    round: &CompletedRound,
) -> rusqlite::Result<RecordResult> {
    let rollup_position = transaction.rollup_position()?;
    let columns = StateColumns::from_state(&round.state);
    let round_values = params![
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
        round.expires_at.timestamp_millis(),
    ];
    if transaction.execute(RECORD_ROUND, round_values)? == 0 {
        return record_late(transaction, round, rollup_position);
    }
    insert_attempts(transaction, round)?;
    if let Some(event) = NewEvent::from_round(round) {
        events::insert_event(transaction, &event)?;
    }
    for invalidated_address in round.invalidated_addresses() {
        deactivate_address(transaction, round.id, &invalidated_address)?;
    }
    if let Some(copy) = SentCopy::of_round(round) {
        let state_after_receipts = receipts::apply_unmatched(transaction, round.id, &copy)?;
        return Ok(RecordResult::from_states(DeliveryStateKind::Sent, state_after_receipts));
    }
    Ok(RecordResult::Stored)
}

/// Records a round that was recorded before (the answer was lost), was superseded, or whose delivery a receipt has settled
/// in the meantime: stores its attempts, once. A copy that a provider accepted settles a delivery that still waits.
fn record_late(
    transaction: &mut WriteTransaction<'_>,
    round: &CompletedRound,
    rollup_position: i64,
) -> rusqlite::Result<RecordResult> {
    let id_and_round = [round.id.0, i64::from(round.round)];
    let stored_parts = transaction.query_optional(FIND_RECORDED, id_and_round, |row| {
        Ok((row.bool("is_recorded")?, row.bool("is_settled")?, row.bool("has_attempts")?))
    })?;
    let is_settled = match stored_parts {
        Some((true, ..)) => return Ok(RecordResult::Stored),
        None | Some((false, _, true)) => return Ok(RecordResult::Superseded),
        Some((false, is_settled, false)) => is_settled,
    };
    insert_attempts(transaction, round)?;
    if is_settled {
        transaction.execute(FINISH_SETTLED, params![round.id.0, round.tries, rollup_position])?;
    } else {
        transaction.execute(MARK_SUPERSEDED, [round.id.0, rollup_position])?;
    }
    if let Some(copy) = SentCopy::of_round(round) {
        let settled = receipts::settle_accepted(transaction, round.id, &copy, round.at, round.at)?;
        if let ReceiptResult::Applied(delivery) = settled {
            let state = Some(delivery.state.kind());
            return Ok(RecordResult::from_states(DeliveryStateKind::Sent, state));
        }
    }
    Ok(if is_settled { RecordResult::AlreadySettled } else { RecordResult::Superseded })
}

/// Ends the unrecorded rounds of settled deliveries; `expired` is the current time and the maximum number of deliveries.
fn close_lost_rounds(
    transaction: &mut WriteTransaction<'_>,
    expired: [i64; 2],
) -> rusqlite::Result<Vec<DeliveryId>> {
    let rollup_position = transaction.rollup_position()?;
    let lost = transaction.query_all(SELECT_LOST, expired, |row| {
        Ok((row.delivery_id("id")?, row.integer("round")?, row.integer("lost_rounds")?))
    })?;
    for (id, round, lost_rounds) in &lost {
        transaction.execute(CLOSE_LOST, [id.0, *round, rollup_position])?;
        for _ in 0..*lost_rounds {
            let (none, outcome) = (None::<&str>, Outcome::Unknown { reason: LOST_ROUND_REASON.to_owned() });
            let attempt_values = params![
                id.0,
                round,
                none,
                outcome.as_str(),
                none,
                outcome.reason(),
                expired[0],
                0,
                none,
                none
            ];
            transaction.execute(INSERT_ATTEMPT, attempt_values)?;
        }
    }
    Ok(lost.into_iter().map(|(id, ..)| id).collect())
}

fn insert_attempts(transaction: &mut WriteTransaction<'_>, round: &CompletedRound) -> rusqlite::Result<()> {
    for attempt in &round.attempts {
        let attempt_values = params![
            round.id.0,
            round.round,
            attempt.provider.as_ref().map(ConfigName::as_str),
            attempt.outcome.as_str(),
            attempt.code,
            attempt.outcome.reason(),
            attempt.at.timestamp_millis(),
            i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX),
            attempt.address,
            attempt.outcome.reference(),
        ];
        transaction.execute(INSERT_ATTEMPT, attempt_values)?;
    }
    Ok(())
}
