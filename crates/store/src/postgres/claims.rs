//! The way of a delivery through the workers' hands: what is due, who wins it, what came of it.
//!
//! A claim is only a postponement, kept in a narrow table of its own, and a round that another claim has overtaken
//! changes no state.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use tokio_postgres::Row;

use super::errors::PgError;
use super::events;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::receipts;
use super::rows::{self, StateColumns, escape_text};
use super::suppressed::active_contacts;
use crate::events::NewEvent;
use postrider_core::attempt::Attempt;
use postrider_core::capacity::{Capacity, round_robin};
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind};
use postrider_core::id::DeliveryId;
use postrider_core::message::{
    ClaimedDelivery, CompletedRound, InvalidatedAddress, Priority, QueueEntry, RecordResult,
};

static DUE: &str = sql!("postgres/claim/select_due");
static DUE_CHANNELS: &str = sql!("postgres/claim/list_waiting_channels");
static TAKE_LEASES: &str = sql!("postgres/claim/acquire_lease");
static LOAD_CLAIMED: &str = sql!("postgres/claim/load_claimed_deliveries");
static RETURN_LEASES: &str = sql!("postgres/claim/release_lease");
static RECORD: &str = sql!("postgres/claim/record_round");
static FIND_RECORDED: &str = sql!("postgres/claim/check_recorded_round");
static MARK_SUPERSEDED: &str = sql!("postgres/claim/mark_superseded_round");
static INSERT_FIRST_ATTEMPTS: &str = sql!("postgres/claim/insert_first_attempt");
static INSERT_ATTEMPTS: &str = sql!("postgres/claim/insert_attempt");
static DEACTIVATE: &str = sql!("postgres/recipients/deactivate_recipient");

/// See [`crate::Store::due`].
pub async fn due(
    transaction: &PgTransaction,
    now: Timestamp,
    capacity: &Capacity,
) -> Result<Vec<QueueEntry>, PgError> {
    let mut channels = Vec::new();
    let mut capacities = Vec::new();
    for row in &transaction.query(DUE_CHANNELS, &[]).await? {
        let channel = rows::decode_name(row, 0)?;
        match capacity.for_channel(channel.as_str()) {
            0 => {}
            capacity => {
                channels.push(channel.to_string());
                capacities.push(rows::limit_to_sql(capacity));
            }
        }
    }
    let found = transaction
        .query(DUE, bind![now.timestamp_millis(), channels, capacities])
        .await?;
    let mut entries = Vec::with_capacity(found.len());
    for row in &found {
        entries.push(QueueEntry {
            id: rows::delivery_id(row, 0)?,
            due_at: rows::decode_time(row, 1)?,
            channel: rows::decode_name(row, 2)?,
            priority: rows::decode_priority(row, 3)?,
        });
    }
    let (wanted, _) = capacity.split(interleave_channels(entries), |entry| &entry.channel);
    Ok(wanted)
}

/// The same, within a priority one of each channel in turn.
fn interleave_channels(entries: Vec<QueueEntry>) -> Vec<QueueEntry> {
    let count = entries.len();
    let (high, normal): (Vec<QueueEntry>, Vec<QueueEntry>) = entries
        .into_iter()
        .partition(|entry| entry.priority == Priority::High);
    let mut interleaved = Vec::with_capacity(count);
    for entries_of_priority in [high, normal] {
        let mut rows: BTreeMap<ConfigName, Vec<QueueEntry>> = BTreeMap::new();
        for entry in entries_of_priority {
            rows.entry(entry.channel.clone()).or_default().push(entry);
        }
        interleaved.extend(round_robin(rows.into_values().collect(), count));
    }
    interleaved
}

/// What one worker asks for.
pub struct ClaimOperation {
    /// Which deliveries.
    pub ids: Vec<DeliveryId>,
    /// The moment at which they must be due.
    pub now: Timestamp,
    /// For how long.
    pub lease: Duration,
    /// When it asked: a lease begins when the claim is written, which can be later.
    pub requested_at: Instant,
}

impl BatchOperation for ClaimOperation {
    type Output = Vec<ClaimedDelivery>;
    type BatchCache = ();
    const ERROR_CONTEXT: &'static str = "cannot claim deliveries";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<ClaimedDelivery>>, PgError> {
        let mut requested = BTreeMap::new();
        for operation in operations {
            let waited = Duration::from_secs(operation.requested_at.elapsed().as_secs());
            let lease_expires_at = operation.now + operation.lease + waited;
            for id in &operation.ids {
                requested.entry(id.0).or_insert((
                    operation.now.timestamp_millis(),
                    lease_expires_at.timestamp_millis(),
                ));
            }
        }
        let mut claimed = take_leases(transaction, &requested).await?;
        remove_suppressed_contacts(transaction, &mut claimed).await?;
        let of_operation =
            |operation: &Self| operation.ids.iter().filter_map(|id| claimed.remove(id)).collect();
        Ok(operations.iter().map(of_operation).collect())
    }
}

/// Takes the leases that can be had, and gives those back of what is not due. `asked` says for each delivery when it
/// must be due and how long its lease is.
async fn take_leases(
    transaction: &PgTransaction,
    requested: &BTreeMap<i64, (i64, i64)>,
) -> Result<HashMap<DeliveryId, ClaimedDelivery>, PgError> {
    let ids = requested.keys().copied().collect::<Vec<_>>();
    let (now, lease_expires_at): (Vec<i64>, Vec<i64>) = requested.values().copied().unzip();
    let mut acquired = BTreeMap::new();
    for row in &transaction
        .query(TAKE_LEASES, bind![ids, now, lease_expires_at])
        .await?
    {
        acquired.insert(rows::get::<i64>(row, 0)?, rows::get::<i64>(row, 1)?);
    }
    if acquired.is_empty() {
        return Ok(HashMap::new());
    }
    let (ids, claims): (Vec<i64>, Vec<i64>) = acquired.into_iter().unzip();
    let now = ids.iter().filter_map(|id| requested.get(id)).map(|(now, _)| *now);
    let mut numbers = ids
        .iter()
        .map(|id| DeliveryId(*id).message_number())
        .collect::<Vec<_>>();
    numbers.dedup();
    let now = now.collect::<Vec<_>>();
    let mut claimed = HashMap::with_capacity(ids.len());
    for row in &transaction
        .query(LOAD_CLAIMED, bind![ids, claims, now, numbers])
        .await?
    {
        if rows::get(row, 15)? {
            let delivery = decode_claimed(row)?;
            claimed.insert(delivery.id, delivery);
        }
    }
    let not_due = ids
        .into_iter()
        .filter(|id| !claimed.contains_key(&DeliveryId(*id)));
    let not_due = not_due.collect::<Vec<_>>();
    if !not_due.is_empty() {
        transaction.execute(RETURN_LEASES, bind![not_due]).await?;
    }
    Ok(claimed)
}

/// Takes those contacts out that may no longer be written to.
async fn remove_suppressed_contacts(
    transaction: &PgTransaction,
    claimed: &mut HashMap<DeliveryId, ClaimedDelivery>,
) -> Result<(), PgError> {
    for delivery in claimed.values_mut() {
        if let Some(contacts) = delivery.contacts.take() {
            delivery.contacts = Some(active_contacts(transaction, &delivery.channel, contacts).await?);
        }
    }
    Ok(())
}

fn decode_claimed(row: &Row) -> Result<ClaimedDelivery, PgError> {
    Ok(ClaimedDelivery {
        id: rows::delivery_id(row, 12)?,
        message: rows::message_id(row, 10)?,
        channel: rows::decode_name(row, 0)?,
        address: rows::get(row, 1)?,
        spelling: rows::decode_text(row, 2)?,
        contacts: rows::optional_contacts(row, 13)?,
        subject: rows::optional_text(row, 14)?,
        body: rows::decode_text(row, 11)?,
        parts: rows::decode_count(row, 3)?,
        round: rows::decode_count(row, 4)?,
        tries: rows::decode_count(row, 5)?,
        unrecorded_claims: rows::decode_count(row, 6)?,
        avoid: rows::optional_name(row, 7)?,
        priority: rows::decode_priority(row, 8)?,
        expires_at: rows::decode_time(row, 9)?,
        event_target: rows::optional_watch(row, 16)?,
    })
}

/// Rounds that one worker has finished.
pub struct RecordOperation(pub Vec<CompletedRound>);

impl BatchOperation for RecordOperation {
    type Output = Vec<RecordResult>;
    type BatchCache = ();
    const BATCH_INTERVAL: Duration = Duration::from_millis(10);
    const ERROR_CONTEXT: &'static str = "cannot record what was sent";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<RecordResult>>, PgError> {
        let rounds = operations
            .iter()
            .flat_map(|operation| &operation.0)
            .collect::<Vec<_>>();
        let mut results = vec![RecordResult::Superseded; rounds.len()];
        for wave in split_by_delivery(&rounds) {
            let stored = record_rounds(
                transaction,
                &wave.iter().map(|index| rounds[*index]).collect::<Vec<_>>(),
            )
            .await?;
            for index in wave {
                if let Some(state) = stored.get(&rounds[index].id) {
                    results[index] = RecordResult::from_states(DeliveryStateKind::Sent, *state);
                }
            }
        }
        let mut results = results.into_iter();
        let of_operation = |operation: &Self| results.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(of_operation).collect())
    }
}

/// The rounds by place, so that none of a wave speak of the same delivery and the earlier comes first.
fn split_by_delivery(rounds: &[&CompletedRound]) -> Vec<Vec<usize>> {
    let mut seen = HashMap::new();
    let mut waves = Vec::<Vec<usize>>::new();
    for (index, round) in rounds.iter().enumerate() {
        let wave = seen.entry(round.id).or_insert(0_usize);
        if *wave == waves.len() {
            waves.push(Vec::new());
        }
        waves[*wave].push(index);
        *wave += 1;
    }
    for wave in &mut waves {
        wave.sort_by_key(|index| rounds[*index].id);
    }
    waves
}

/// Records rounds of different deliveries; returns those whose end is on disk, now or from an earlier time, and where
/// early receipts left them.
async fn record_rounds(
    transaction: &PgTransaction,
    rounds: &[&CompletedRound],
) -> Result<HashMap<DeliveryId, Option<DeliveryStateKind>>, PgError> {
    // The server takes them in order, so that what is looked for is looked for behind the lock.
    let (locked, found) = tokio::join!(
        receipts::lock_references(transaction),
        save_states(transaction, rounds)
    );
    locked?;
    let (mut stored, mut matched_early) = (HashSet::new(), HashSet::new());
    for row in &found? {
        let id = rows::delivery_id(row, 0)?;
        stored.insert(id);
        if rows::get(row, 1)? {
            matched_early.insert(id);
        }
    }
    let (ended, not_recorded): (Vec<&CompletedRound>, Vec<&CompletedRound>) =
        rounds.iter().partition(|round| stored.contains(&round.id));
    insert_attempts(transaction, &ended, false).await?;
    let moved_on = apply_side_effects(transaction, ended, &matched_early).await?;
    if !not_recorded.is_empty() {
        stored.extend(record_late(transaction, &not_recorded).await?);
    }
    Ok(stored
        .into_iter()
        .map(|id| (id, moved_on.get(&id).copied()))
        .collect())
}

/// Puts the ends of rounds down; a row for each that was the current one.
async fn save_states(transaction: &PgTransaction, rounds: &[&CompletedRound]) -> Result<Vec<Row>, PgError> {
    let columns = rounds
        .iter()
        .map(|round| StateColumns::from_state(&round.state))
        .collect::<Vec<_>>();
    transaction
        .query(
            RECORD,
            bind![
                rounds.iter().map(|round| round.id.0).collect::<Vec<_>>(),
                rounds
                    .iter()
                    .map(|round| i64::from(round.round))
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.state).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.failure).collect::<Vec<_>>(),
                columns
                    .iter()
                    .map(|columns| columns.reason.clone())
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.due_at).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.ended_at).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.provider).collect::<Vec<_>>(),
                columns
                    .iter()
                    .map(|columns| columns.reference.clone())
                    .collect::<Vec<_>>(),
                rounds
                    .iter()
                    .map(|round| i64::from(round.tries))
                    .collect::<Vec<_>>(),
            ],
        )
        .await
}

/// Rounds whose end is on disk, because the answer to an earlier record was lost, and ones that were overtaken: only
/// their attempts are kept, once. Returns the former.
async fn record_late(
    transaction: &PgTransaction,
    not_recorded: &[&CompletedRound],
) -> Result<Vec<DeliveryId>, PgError> {
    let numbers = not_recorded.iter().map(|round| round.id.0).collect::<Vec<_>>();
    transaction
        .execute(MARK_SUPERSEDED, bind![numbers.clone()])
        .await?;
    let tokens = not_recorded
        .iter()
        .map(|round| i64::from(round.round))
        .collect::<Vec<_>>();
    let (mut ended, mut overtaken) = (Vec::new(), HashSet::new());
    for row in &transaction.query(FIND_RECORDED, bind![numbers, tokens]).await? {
        let id = rows::delivery_id(row, 0)?;
        match (row.try_get(1)?, row.try_get(2)?) {
            (true, _) => ended.push(id),
            (false, false) => {
                overtaken.insert(id);
            }
            (false, true) => {}
        }
    }
    let unwritten = not_recorded
        .iter()
        .copied()
        .filter(|round| overtaken.contains(&round.id));
    insert_attempts(transaction, &unwritten.collect::<Vec<_>>(), true).await?;
    Ok(ended)
}

/// What a new state brings with it: receipts that came early, as they may have for those named, an address that is dead.
/// Where those stand whom such receipts moved on.
async fn apply_side_effects(
    transaction: &PgTransaction,
    rounds: Vec<&CompletedRound>,
    matched_early: &HashSet<DeliveryId>,
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    let mut sent = Vec::new();
    let mut dead = Vec::new();
    let mut events = Vec::new();
    for round in rounds {
        events.extend(NewEvent::from_round(round));
        dead.extend(
            round
                .invalidated_addresses()
                .into_iter()
                .map(|dead| (round.id, dead)),
        );
        if let DeliveryState::Sent {
            provider,
            reference: Some(reference),
            ..
        } = &round.state
            && matched_early.contains(&round.id)
        {
            sent.push((round.id, provider.as_str(), reference.as_str()));
        }
    }
    events::insert_events(transaction, &events).await?;
    deactivate_addresses(transaction, &dead).await?;
    receipts::apply_unmatched(transaction, &sent).await
}

/// Keeps the attempts of rounds. Where `may_have_some` is false, the deliveries of first rounds have none yet.
async fn insert_attempts(
    transaction: &PgTransaction,
    rounds: &[&CompletedRound],
    may_have_some: bool,
) -> Result<(), PgError> {
    let rows_to_insert = rounds.iter().flat_map(|round| {
        let attempts = round.attempts.iter().zip(0_i64..);
        attempts.map(move |(attempt, index)| (round, index, attempt))
    });
    let rows_to_insert = rows_to_insert.collect::<Vec<_>>();
    if rows_to_insert.is_empty() {
        return Ok(());
    }
    let ids = rows_to_insert.iter().map(|(round, ..)| round.id.0);
    let attempts = rows_to_insert.iter().map(|(.., attempt)| *attempt);
    let provider = |attempt: &'_ Attempt| attempt.provider.as_ref().map(|name| name.as_str().to_owned());
    let providers = attempts.clone().map(provider).collect::<Vec<_>>();
    let durations = attempts
        .clone()
        .map(|attempt| i64::try_from(attempt.duration.as_millis()).unwrap_or(i64::MAX));
    let counted_on = may_have_some || rows_to_insert.iter().any(|(round, ..)| round.round > 1);
    let (statement, columns) = if counted_on {
        (INSERT_ATTEMPTS, 12)
    } else {
        (INSERT_FIRST_ATTEMPTS, 10)
    };
    transaction
        .execute(
            statement,
            &bind![
                ids.clone().collect::<Vec<_>>(),
                rows_to_insert
                    .iter()
                    .map(|(_, index, _)| *index)
                    .collect::<Vec<_>>(),
                rows_to_insert
                    .iter()
                    .map(|(round, ..)| i64::from(round.round))
                    .collect::<Vec<_>>(),
                providers.iter().map(Option::as_deref).collect::<Vec<_>>(),
                attempts
                    .clone()
                    .map(|attempt| attempt.outcome.as_str())
                    .collect::<Vec<_>>(),
                attempts
                    .clone()
                    .map(|attempt| attempt.code.as_deref().map(escape_text))
                    .collect::<Vec<_>>(),
                attempts
                    .clone()
                    .map(|attempt| attempt.outcome.reason().map(escape_text))
                    .collect::<Vec<_>>(),
                attempts
                    .clone()
                    .map(|attempt| attempt.at.timestamp_millis())
                    .collect::<Vec<_>>(),
                durations.collect::<Vec<_>>(),
                attempts
                    .map(|attempt| attempt.address.as_deref())
                    .collect::<Vec<_>>(),
                ids.clone().min().unwrap_or_default(),
                ids.max().unwrap_or_default(),
            ][..columns],
        )
        .await?;
    Ok(())
}

/// Makes addresses of deliveries inactive.
pub async fn deactivate_addresses(
    transaction: &PgTransaction,
    dead: &[(DeliveryId, InvalidatedAddress<'_>)],
) -> Result<(), PgError> {
    if dead.is_empty() {
        return Ok(());
    }
    transaction
        .execute(
            DEACTIVATE,
            bind![
                dead.iter().map(|(id, _)| id.0).collect::<Vec<_>>(),
                dead.iter()
                    .map(|(_, dead)| escape_text(dead.reason))
                    .collect::<Vec<_>>(),
                dead.iter()
                    .map(|(_, dead)| dead.provider.as_str())
                    .collect::<Vec<_>>(),
                dead.iter()
                    .map(|(_, dead)| dead.at.timestamp_millis())
                    .collect::<Vec<_>>(),
                dead.iter().map(|(_, dead)| dead.address).collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}
