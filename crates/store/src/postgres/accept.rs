//! Accepting messages: stores a batch with deliveries, idempotency keys and events in one transaction.
//!
//! Runs a fixed number of statements per batch of any size. The caller begins and ends the transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::advisory_locks::{AdvisoryLock, lock_shared};
use super::idempotency::{self, IdempotencyRecord, IdempotencyRecords, KeyHash};
use super::pool::{PgTransaction, bind, column};
use super::{
    errors::PgError, escape::escape_text, event_outbox::insert_events, group_commit::BatchOperation,
    suppressed::SuppressedAddresses, user_throttle,
};
use crate::rows::{SqlRow, limit_to_sql, priority_rank};
use crate::{accept::status_of_all, events::NewEvent, rollups::HOUR_MS, rows::deliveries::StateColumns};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::message::{Acceptance, NewDelivery, NewMessage};
use postrider_core::user_throttle::ThrottleWait;
use postrider_core::{clock::Timestamp, contact, event::EventTarget, id::DeliveryId};

static ALLOCATE_NUMBERS: &str = sql!("postgres/accept/allocate_message_number");
static SAVE_HOURS: &str = sql!("postgres/accept/save_hour");
static INSERT_MESSAGES: &str = sql!("postgres/accept/insert_message");
static INSERT_DELIVERIES: &str = sql!("postgres/accept/insert_delivery");

/// Messages of one call of `accept`.
pub struct AcceptOperation(pub Vec<NewMessage>);

impl BatchOperation for AcceptOperation {
    type Output = Vec<Acceptance>;
    /// Hours whose first message number is stored already. Numbers only increase, so a stored first number stays
    /// correct.
    type BatchCache = HashSet<i64>;
    const ERROR_CONTEXT: &'static str = "cannot store messages";

    async fn run(
        transaction: &PgTransaction,
        stored_hours: &mut HashSet<i64>,
        operations: &[Self],
    ) -> Result<Vec<Vec<Acceptance>>, PgError> {
        let messages = operations.iter().flat_map(|operation| &operation.0).collect::<Vec<_>>();
        let mut acceptances = accept(transaction, stored_hours, &messages).await?.into_iter();
        let acceptances_of_operation =
            |operation: &Self| acceptances.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(acceptances_of_operation).collect())
    }
}

/// A message that is about to be stored.
struct NumberedMessage<'m> {
    /// Position in the batch.
    index: usize,
    message: &'m NewMessage,
    number: i64,
}

/// Stores messages and returns one result per message. `stored_hours` are the hours whose first number is stored.
pub async fn accept(
    transaction: &PgTransaction,
    stored_hours: &mut HashSet<i64>,
    messages: &[&NewMessage],
) -> Result<Vec<Acceptance>, PgError> {
    let created_at = messages.iter().map(|message| message.created_at.timestamp_millis());
    let now = created_at.min().unwrap_or_default();
    let idempotency_keys = messages.iter().filter_map(|message| key_of(message)).collect::<Vec<_>>();
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    let new_count = messages.iter().filter(|message| !message.replay_only).count();
    // The statements are pipelined: the server runs them in this order. A message that is not stored leaves a gap in
    // the numbers.
    let (records, suppressed, numbers) = tokio::join!(
        idempotency::load(transaction, &idempotency_keys, now),
        SuppressedAddresses::load_for_deliveries(transaction, deliveries),
        allocate_numbers(transaction, new_count)
    );
    let (mut records, suppressed, mut free_numbers) = (records?, suppressed?, numbers?.into_iter());
    let mut acceptances = vec![None; messages.len()];
    let mut numbered = Vec::new();
    let mut first_with_key = HashMap::new();
    for (index, message) in messages.iter().copied().enumerate() {
        let idempotency_key = key_of(message);
        // A key that is stored already, or repeated in this batch, is answered at the end.
        if idempotency_key.is_some_and(|idempotency_key| {
            records.contains_key(&idempotency_key) || first_with_key.contains_key(&idempotency_key)
        }) {
            continue;
        }
        if message.replay_only {
            acceptances[index] = Some(Acceptance::NothingToReplay);
            continue;
        }
        let statuses = column(&message.deliveries, |delivery| suppressed.status_of(delivery));
        if let Some(status) = status_of_all(&statuses) {
            acceptances[index] = Some(Acceptance::Suppressed(status));
            continue;
        }
        first_with_key.extend(idempotency_key.map(|idempotency_key| (idempotency_key, index)));
        let missing_number = || PgError::InvalidRow("a message number is missing".to_owned());
        let message_number = free_numbers.next().ok_or_else(missing_number)?;
        numbered.push(NumberedMessage { index, message, number: message_number });
    }
    save_idempotency_keys(transaction, &mut numbered, &mut records, now).await?;
    for (message, wait) in remove_throttled(transaction, &mut numbered, &mut records).await? {
        acceptances[message.index] = Some(Acceptance::Throttled(wait));
    }
    insert_messages(transaction, stored_hours, &numbered, &suppressed).await?;
    for NumberedMessage { index, number: message_number, .. } in numbered {
        acceptances[index] = Some(Acceptance::Stored { number: message_number });
    }
    let acceptance_or_replay = |(message, acceptance): (&&NewMessage, &Option<Acceptance>)| match acceptance {
        Some(acceptance) => Ok(acceptance.clone()),
        None => find_replay(message, &records, |idempotency_key| {
            acceptances[*first_with_key.get(idempotency_key)?].clone()
        }),
    };
    messages.iter().zip(&acceptances).map(acceptance_or_replay).collect()
}

fn key_of(message: &NewMessage) -> Option<KeyHash> {
    message.idempotency.as_ref().map(|idempotency| idempotency.key)
}

/// Removes messages whose throttles are used up, deletes their keys, and returns them with their waiting times.
async fn remove_throttled<'m>(
    transaction: &PgTransaction,
    numbered: &mut Vec<NumberedMessage<'m>>,
    records: &mut IdempotencyRecords,
) -> Result<Vec<(NumberedMessage<'m>, ThrottleWait)>, PgError> {
    let messages = column(numbered, |numbered| numbered.message);
    let mut waits = user_throttle::check_throttles(transaction, &messages).await?.into_iter();
    let mut throttled = Vec::new();
    for message in std::mem::take(numbered) {
        match waits.next().flatten() {
            Some(wait) => throttled.push((message, wait)),
            None => numbered.push(message),
        }
    }
    let throttled_keys =
        throttled.iter().filter_map(|(throttled, _)| key_of(throttled.message)).collect::<Vec<_>>();
    records.retain(|key, _| !throttled_keys.contains(key));
    idempotency::delete(transaction, &throttled_keys).await?;
    Ok(throttled)
}

/// Returns the result for a message whose key was used before. `first_with_key` returns the result of an earlier message
/// of the batch with the same key that was not stored.
fn find_replay(
    message: &NewMessage,
    records: &IdempotencyRecords,
    first_with_key: impl FnOnce(&KeyHash) -> Option<Acceptance>,
) -> Result<Acceptance, PgError> {
    let missing_key = || PgError::InvalidRow("an idempotency key that was stored is missing".to_owned());
    let idempotency = message.idempotency.as_ref().ok_or_else(missing_key)?;
    match records.get(&idempotency.key) {
        Some(record) if record.request == idempotency.request => {
            Ok(Acceptance::Replayed { id: record.id, number: record.number })
        }
        Some(_) => Ok(Acceptance::KeyReused),
        None => first_with_key(&idempotency.key).ok_or_else(missing_key),
    }
}

async fn allocate_numbers(transaction: &PgTransaction, number_count: usize) -> Result<Vec<i64>, PgError> {
    if number_count == 0 {
        return Ok(Vec::new());
    }
    let number_count = bind![limit_to_sql(number_count)];
    let (locked, numbers) = tokio::join!(
        lock_shared(transaction, AdvisoryLock::MessageNumbers),
        transaction.query_all(ALLOCATE_NUMBERS, number_count, |row| row.integer("number"))
    );
    locked?;
    numbers
}

/// Stores the keys, and removes messages whose key another process has stored in the meantime.
async fn save_idempotency_keys(
    transaction: &PgTransaction,
    numbered: &mut Vec<NumberedMessage<'_>>,
    records: &mut IdempotencyRecords,
    now: i64,
) -> Result<(), PgError> {
    // Sorted by key, so that two processes do not deadlock.
    let mut requested_keys = BTreeMap::new();
    for NumberedMessage { message, number, .. } in numbered.iter() {
        if let Some(idempotency) = &message.idempotency {
            requested_keys.insert(idempotency.key, (idempotency, *number, message.id));
        }
    }
    if requested_keys.is_empty() {
        return Ok(());
    }
    let new_keys = requested_keys.values().copied().collect::<Vec<_>>();
    for idempotency_key in idempotency::insert(transaction, &new_keys, now).await? {
        if let Some((idempotency, number, id)) = requested_keys.remove(&idempotency_key) {
            let request = idempotency.request;
            records.insert(idempotency_key, IdempotencyRecord { request, number, id });
        }
    }
    let stored_elsewhere = requested_keys.into_keys().collect::<Vec<_>>();
    records.extend(idempotency::load(transaction, &stored_elsewhere, now).await?);
    numbered.retain(|numbered| {
        !key_of(numbered.message).is_some_and(|idempotency_key| stored_elsewhere.contains(&idempotency_key))
    });
    Ok(())
}

async fn insert_messages(
    transaction: &PgTransaction,
    stored_hours: &mut HashSet<i64>,
    numbered: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    if numbered.is_empty() {
        return Ok(());
    }
    save_hours(transaction, stored_hours, numbered).await?;
    let messages = column(numbered, |numbered| numbered.message);
    let message_values = bind![
        column(numbered, |numbered| numbered.number),
        column(&messages, |message| message.id.bytes().to_vec()),
        column(&messages, |message| escape_text(&message.body)),
        column(&messages, |message| message.user.as_deref().map(escape_text)),
        column(&messages, |message| message.created_at.timestamp_millis()),
        column(&messages, |message| message.subject.as_deref().map(escape_text)),
        column(&messages, |message| message.event_target.as_ref().map(EventTarget::encode)),
        column(&messages, |message| escape_text(&message.owner)),
        column(&messages, |message| i64::from(message.at_most_once)),
        column(&messages, |message| message.client_expires_at.map(|at| at.timestamp_millis())),
        column(&messages, |message| message.sender.as_deref().map(escape_text)),
    ];
    // The two statements are pipelined. Only the first error is the cause; later errors say that the transaction is
    // aborted.
    let (messages_inserted, deliveries_inserted) = tokio::join!(
        transaction.execute(INSERT_MESSAGES, message_values),
        insert_deliveries(transaction, numbered, suppressed)
    );
    messages_inserted.and(deliveries_inserted)?;
    insert_events(transaction, &failure_events(numbered, suppressed)).await
}

/// Returns the events of deliveries that fail at once.
fn failure_events(numbered: &[NumberedMessage<'_>], suppressed: &SuppressedAddresses) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for NumberedMessage { message, number, .. } in numbered {
        let Some(target) = &message.event_target else {
            continue;
        };
        for (position, delivery) in message.deliveries.iter().enumerate() {
            let first_state = initial_state(delivery, message.created_at, suppressed);
            if matches!(first_state, DeliveryState::Failed { .. }) {
                let id = DeliveryId::from_position(*number, position);
                events.push(NewEvent::new(id, target, &first_state, None, message.created_at));
            }
        }
    }
    events
}

async fn save_hours(
    transaction: &PgTransaction,
    stored_hours: &mut HashSet<i64>,
    numbered: &[NumberedMessage<'_>],
) -> Result<(), PgError> {
    let mut first_numbers = BTreeMap::new();
    for NumberedMessage { message, number, .. } in numbered {
        let hour = message.created_at.timestamp_millis().div_euclid(HOUR_MS);
        if !stored_hours.contains(&hour) {
            first_numbers.entry(hour).or_insert(*number);
        }
    }
    if first_numbers.is_empty() {
        return Ok(());
    }
    let (hours, numbers): (Vec<i64>, Vec<i64>) = first_numbers.into_iter().unzip();
    transaction.execute(SAVE_HOURS, bind![hours, numbers]).await?;
    stored_hours.extend(hours);
    Ok(())
}

async fn insert_deliveries(
    transaction: &PgTransaction,
    numbered: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    let (mut ids, mut deliveries, mut states) = (Vec::new(), Vec::new(), Vec::new());
    for NumberedMessage { message, number, .. } in numbered {
        for (position, delivery) in message.deliveries.iter().enumerate() {
            ids.push(DeliveryId::from_position(*number, position).0);
            deliveries.push(delivery);
            states.push(initial_state(delivery, message.created_at, suppressed));
        }
    }
    let state_columns = column(&states, StateColumns::from_state);
    let values = bind![
        ids,
        column(&deliveries, |delivery| delivery.channel.as_str()),
        column(&deliveries, |delivery| delivery.address.as_str()),
        column(&deliveries, |delivery| escape_text(&delivery.spelling)),
        column(&deliveries, |delivery| i64::from(delivery.parts)),
        column(&deliveries, |delivery| priority_rank(delivery.priority)),
        column(&state_columns, |state| state.state),
        column(&state_columns, |state| state.failure),
        column(&state_columns, |state| state.reason.map(escape_text)),
        column(&deliveries, |delivery| i64::from(delivery.resends_left)),
        column(&state_columns, |state| state.due_at),
        column(&deliveries, |delivery| delivery.expires_at.timestamp_millis()),
        column(&state_columns, |state| state.ended_at),
        column(&deliveries, |delivery| contact::encode_contacts(&delivery.contacts)),
    ];
    transaction.execute(INSERT_DELIVERIES, values).await
}

/// Returns the state in which a delivery is stored.
fn initial_state(delivery: &NewDelivery, now: Timestamp, suppressed: &SuppressedAddresses) -> DeliveryState {
    if let Some(reason) = &delivery.rejection_reason {
        return DeliveryState::failed(Failure::InvalidRecipient, reason.clone(), now);
    }
    if let Some(status) = suppressed.status_of(delivery) {
        return DeliveryState::failed(Failure::Suppressed, status.refusal_reason(), now);
    }
    DeliveryState::Waiting { due_at: delivery.due_at, reason: None }
}
