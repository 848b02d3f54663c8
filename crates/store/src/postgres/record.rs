//! Records completed rounds: new states, attempts, events, and the receipts that arrived before.
//!
//! A round that was superseded by a later claim changes no state, but its attempts are stored. The caller begins and
//! ends the transaction.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use tokio_postgres::Row;

use super::pool::{PgTransaction, bind, column};
use super::unmatched_receipts::{LateCopy, apply_unmatched, lock_references, settle_accepted};
use super::{
    errors::PgError, escape::escape_text, event_outbox::insert_events, group_commit::BatchOperation,
    suppressed::deactivate_addresses,
};
use crate::events::NewEvent;
use crate::receipts::{ReceiptResult, SentCopy};
use crate::rows::{SqlRow, deliveries::StateColumns, limit_to_sql};
use postrider_core::attempt::LOST_ROUND_REASON;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryStateKind;
use postrider_core::id::DeliveryId;
use postrider_core::round::{CompletedRound, RecordResult};

static RECORD_ROUNDS: &str = sql!("postgres/claim/record_round");
static FIND_RECORDED: &str = sql!("postgres/claim/check_recorded_round");
static FINISH_SETTLED: &str = sql!("postgres/claim/finish_settled_round");
static CLOSE_LOST: &str = sql!("postgres/claim/close_lost_rounds");
static MARK_SUPERSEDED: &str = sql!("postgres/claim/mark_superseded_round");
static INSERT_FIRST_ATTEMPTS: &str = sql!("postgres/claim/insert_first_attempt");
static INSERT_ATTEMPTS: &str = sql!("postgres/claim/insert_attempt");

/// The rounds that one worker has completed.
pub struct RecordOperation(pub Vec<CompletedRound>);

impl BatchOperation for RecordOperation {
    type Output = Vec<RecordResult>;
    type BatchCache = ();
    const BATCH_INTERVAL: Duration = Duration::from_millis(10);
    const ERROR_CONTEXT: &'static str = "cannot record rounds";

    async fn run(
        transaction: &PgTransaction,
        (): &mut (),
        operations: &[Self],
    ) -> Result<Vec<Vec<RecordResult>>, PgError> {
        let rounds = operations.iter().flat_map(|operation| &operation.0).collect::<Vec<_>>();
        let mut record_results = vec![RecordResult::Superseded; rounds.len()];
        for wave in split_by_delivery(&rounds) {
            let stored =
                record_rounds(transaction, &column(&wave, |round_index| rounds[*round_index])).await?;
            for round_index in wave {
                if let Some(record_result) = stored.get(&rounds[round_index].id) {
                    record_results[round_index] = *record_result;
                }
            }
        }
        let mut record_results = record_results.into_iter();
        let results_of_operation =
            |operation: &Self| record_results.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(results_of_operation).collect())
    }
}

/// Splits the positions of rounds into waves. A wave contains every delivery at most once, and earlier rounds come in
/// earlier waves.
fn split_by_delivery(rounds: &[&CompletedRound]) -> Vec<Vec<usize>> {
    let mut next_wave = HashMap::new();
    let mut waves = Vec::<Vec<usize>>::new();
    for (index, round) in rounds.iter().enumerate() {
        let wave = next_wave.entry(round.id).or_insert(0_usize);
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

/// Records rounds of different deliveries. Returns the results of all but superseded rounds.
async fn record_rounds(
    transaction: &PgTransaction,
    rounds: &[&CompletedRound],
) -> Result<HashMap<DeliveryId, RecordResult>, PgError> {
    // Pipelined: the server takes the lock first and then reads the unmatched receipts.
    let (locked, recorded_rows) =
        tokio::join!(lock_references(transaction), save_states(transaction, rounds));
    let recorded_rows = locked.and(recorded_rows)?;
    let (mut stored, mut with_receipts) = (HashSet::new(), HashSet::new());
    for row in &recorded_rows {
        let delivery_id = row.delivery_id("id")?;
        stored.insert(delivery_id);
        if row.bool("has_unmatched_receipts")? {
            with_receipts.insert(delivery_id);
        }
    }
    let (recorded, not_recorded): (Vec<&CompletedRound>, Vec<&CompletedRound>) =
        rounds.iter().partition(|round| stored.contains(&round.id));
    insert_attempts(transaction, &recorded, false).await?;
    let states = apply_side_effects(transaction, &recorded, &with_receipts).await?;
    let result_of =
        |delivery_id| RecordResult::from_states(DeliveryStateKind::Sent, states.get(&delivery_id).copied());
    let mut record_results = stored
        .into_iter()
        .map(|delivery_id| (delivery_id, result_of(delivery_id)))
        .collect::<HashMap<_, _>>();
    if !not_recorded.is_empty() {
        record_results.extend(record_late(transaction, &not_recorded).await?);
    }
    Ok(record_results)
}

/// Writes the new states and returns a row for each round that was the current one.
async fn save_states(transaction: &PgTransaction, rounds: &[&CompletedRound]) -> Result<Vec<Row>, PgError> {
    let state_columns = column(rounds, |round| StateColumns::from_state(&round.state));
    let values = bind![
        column(rounds, |round| round.id.0),
        column(rounds, |round| i64::from(round.round)),
        column(&state_columns, |state| state.state),
        column(&state_columns, |state| state.failure),
        column(&state_columns, |state| state.reason.map(escape_text)),
        column(&state_columns, |state| state.due_at),
        column(&state_columns, |state| state.ended_at),
        column(&state_columns, |state| state.provider),
        column(&state_columns, |state| state.reference.map(escape_text)),
        column(rounds, |round| i64::from(round.tries)),
        column(rounds, |round| round.expires_at.timestamp_millis()),
    ];
    transaction.query(RECORD_ROUNDS, values).await
}

/// Stores the attempts of superseded rounds, and of rounds whose delivery a receipt settled during the call; each
/// attempt once. If a provider accepted a copy and the delivery still waits, the copy settles it. Returns the results
/// of all except superseded rounds. A round that an earlier call recorded (its answer was lost) counts as stored.
async fn record_late(
    transaction: &PgTransaction,
    rounds: &[&CompletedRound],
) -> Result<HashMap<DeliveryId, RecordResult>, PgError> {
    let delivery_ids = column(rounds, |round| round.id.0);
    transaction.execute(MARK_SUPERSEDED, bind![delivery_ids]).await?;
    let round_numbers = column(rounds, |round| i64::from(round.round));
    let (mut late_results, mut without_attempts) = (HashMap::new(), HashSet::new());
    for row in &transaction.query(FIND_RECORDED, bind![delivery_ids, round_numbers]).await? {
        let delivery_id = row.delivery_id("id")?;
        if row.bool("is_recorded")? {
            late_results.insert(delivery_id, RecordResult::Stored);
        } else if !row.bool("has_attempts")? {
            without_attempts.insert(delivery_id);
            if row.bool("is_settled")? {
                late_results.insert(delivery_id, RecordResult::AlreadySettled);
            }
        }
    }
    let late = rounds.iter().copied().filter(|round| without_attempts.contains(&round.id));
    let late = late.collect::<Vec<_>>();
    insert_attempts(transaction, &late, true).await?;
    let is_settled =
        |round: &&&CompletedRound| late_results.get(&round.id) == Some(&RecordResult::AlreadySettled);
    finish_settled(transaction, &late.iter().filter(is_settled).copied().collect::<Vec<_>>()).await?;
    let late_copy = |round: &&CompletedRound| {
        let copy = SentCopy::of_round(round)?;
        Some(LateCopy { id: round.id, copy, at: round.at, received_at: round.at })
    };
    let late_copies = late.iter().filter_map(late_copy).collect::<Vec<_>>();
    for (delivery_id, result) in settle_accepted(transaction, &late_copies).await? {
        if let ReceiptResult::Applied(delivery) = result {
            let state = Some(delivery.state.kind());
            late_results.insert(delivery_id, RecordResult::from_states(DeliveryStateKind::Sent, state));
        }
    }
    Ok(late_results)
}

/// Ends rounds whose delivery a receipt has settled, and releases their leases.
async fn finish_settled(transaction: &PgTransaction, rounds: &[&CompletedRound]) -> Result<(), PgError> {
    if rounds.is_empty() {
        return Ok(());
    }
    let values = bind![
        column(rounds, |round| round.id.0),
        column(rounds, |round| i64::from(round.round)),
        column(rounds, |round| i64::from(round.tries)),
    ];
    transaction.execute(FINISH_SETTLED, values).await.map(drop)
}

/// Names the rounds of settled deliveries that were never recorded; see
/// [`WorkStore::close_lost_rounds`](crate::WorkStore::close_lost_rounds).
pub async fn close_lost_rounds(
    transaction: &PgTransaction,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<DeliveryId>, PgError> {
    let values = bind![now.timestamp_millis(), limit_to_sql(limit), LOST_ROUND_REASON];
    transaction.query_all(CLOSE_LOST, values, |row: &Row| row.delivery_id("id")).await
}

/// Stores events, deactivates invalid addresses, and applies unmatched receipts to the deliveries in `with_receipts`.
/// Returns the states after those receipts.
async fn apply_side_effects(
    transaction: &PgTransaction,
    rounds: &[&CompletedRound],
    with_receipts: &HashSet<DeliveryId>,
) -> Result<HashMap<DeliveryId, DeliveryStateKind>, PgError> {
    let (mut events, mut invalidated, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    for round in rounds {
        events.extend(NewEvent::from_round(round));
        let addresses = round.invalidated_addresses().into_iter();
        invalidated.extend(addresses.map(|address| (round.id, address)));
        if with_receipts.contains(&round.id)
            && let Some(copy) = SentCopy::of_round(round)
        {
            sent.push((round.id, copy));
        }
    }
    insert_events(transaction, &events).await?;
    deactivate_addresses(transaction, &invalidated).await?;
    apply_unmatched(transaction, &sent).await
}

/// Stores the attempts of rounds. If `may_have_attempts` is false, deliveries in their first round have none yet.
async fn insert_attempts<'r>(
    transaction: &PgTransaction,
    rounds: &[&'r CompletedRound],
    may_have_attempts: bool,
) -> Result<(), PgError> {
    let attempts_of_round = |round: &'r CompletedRound| {
        let attempts = round.attempts.iter().zip(0_i64..);
        attempts.map(move |(attempt, sequence)| (round, sequence, attempt))
    };
    let attempts = rounds.iter().copied().flat_map(attempts_of_round).collect::<Vec<_>>();
    let delivery_ids = column(&attempts, |(round, ..)| round.id.0);
    let (Some(first_id), Some(last_id)) =
        (delivery_ids.iter().copied().min(), delivery_ids.iter().copied().max())
    else {
        return Ok(());
    };
    let (statement, parameter_count) =
        if may_have_attempts || attempts.iter().any(|(round, ..)| round.round > 1) {
            (INSERT_ATTEMPTS, 13)
        } else {
            (INSERT_FIRST_ATTEMPTS, 11)
        };
    let duration_ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    let values = bind![
        delivery_ids,
        column(&attempts, |(_, sequence, _)| *sequence),
        column(&attempts, |(round, ..)| i64::from(round.round)),
        column(&attempts, |(.., attempt)| attempt.provider.as_ref().map(|name| name.as_str())),
        column(&attempts, |(.., attempt)| attempt.outcome.as_str()),
        column(&attempts, |(.., attempt)| attempt.code.as_deref().map(escape_text)),
        column(&attempts, |(.., attempt)| attempt.outcome.reason().map(escape_text)),
        column(&attempts, |(.., attempt)| attempt.at.timestamp_millis()),
        column(&attempts, |(.., attempt)| duration_ms(attempt.duration)),
        column(&attempts, |(.., attempt)| attempt.address.as_deref()),
        column(&attempts, |(.., attempt)| attempt.outcome.reference().map(escape_text)),
        first_id,
        last_id,
    ];
    transaction.execute(statement, &values[..parameter_count]).await
}
