//! Storing new messages: message, deliveries and idempotency key, or nothing of it.
//!
//! Takes many messages at once, with one statement for each table. Never begins or ends a transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::errors::PgError;
use super::events;
use super::group_commit::BatchOperation;
use super::pool::{PgTransaction, bind};
use super::rows::{self, StateColumns, escape_text};
use super::suppressed::SuppressedAddresses;
use super::user_throttle;
use crate::events::NewEvent;
use crate::rollups::HOUR_MS;
use postrider_core::clock::Timestamp;
use postrider_core::contact;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, NewDelivery, NewMessage};

static FIND_KEYS: &str = sql!("postgres/accept/find_idempotency_key");
static DELETE_KEYS: &str = sql!("postgres/accept/delete_idempotency_keys");
/// Keeps keys with what they bring.
pub static INSERT_KEYS: &str = sql!("postgres/accept/insert_idempotency_key");
static LOCK_NUMBERS_SHARED: &str = sql!("postgres/accept/lock_numbers_shared");
static NEXT_NUMBERS: &str = sql!("postgres/accept/allocate_message_number");
static SAVE_HOURS: &str = sql!("postgres/accept/save_hour");
static INSERT_MESSAGES: &str = sql!("postgres/accept/insert_message");
static INSERT_DELIVERIES: &str = sql!("postgres/accept/insert_delivery");

/// The lock that says whether numbers are under way: shared by accepts, taken alone by the report.
pub const NUMBERS_LOCK: i64 = 0x506F_7374_0002;

/// Messages that came together.
pub struct AcceptOperation(pub Vec<NewMessage>);

impl BatchOperation for AcceptOperation {
    type Output = Vec<Acceptance>;
    /// Hours whose first number is on disk: numbers only grow, so there is nothing to add.
    type BatchCache = HashSet<i64>;
    const ERROR_CONTEXT: &'static str = "cannot store messages";

    async fn run(
        transaction: &PgTransaction,
        known_hours: &mut HashSet<i64>,
        operations: &[Self],
    ) -> Result<Vec<Vec<Acceptance>>, PgError> {
        let messages = operations
            .iter()
            .flat_map(|operation| &operation.0)
            .collect::<Vec<_>>();
        let mut results = accept(transaction, known_hours, &messages).await?.into_iter();
        let of_operation = |operation: &Self| results.by_ref().take(operation.0.len()).collect();
        Ok(operations.iter().map(of_operation).collect())
    }
}

/// What a key stands for.
struct IdempotencyRecord {
    request: [u8; 32],
    number: i64,
    message: MessageId,
}

type IdempotencyRecords = HashMap<[u8; 32], IdempotencyRecord>;

/// A message on its way in.
struct NumberedMessage<'m> {
    index: usize,
    message: &'m NewMessage,
    number: i64,
}

/// See [`crate::Store::accept`]. `hours` are those whose first number is known to be on disk.
pub async fn accept(
    transaction: &PgTransaction,
    known_hours: &mut HashSet<i64>,
    messages: &[&NewMessage],
) -> Result<Vec<Acceptance>, PgError> {
    let now = messages
        .iter()
        .map(|message| message.created_at.timestamp_millis());
    let now = now.min().unwrap_or_default();
    let keys = messages.iter().filter_map(|message| message.idempotency.as_ref());
    let keys = keys.map(|idempotency| idempotency.key.to_vec()).collect();
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    // All asked without waiting between: the server takes them in order. Numbers that are not needed are left out.
    let new_count = messages.iter().filter(|message| !message.replay_only).count();
    let (records, suppressed, numbers) = tokio::join!(
        load_idempotency_records(transaction, keys, now),
        SuppressedAddresses::load_for_deliveries(transaction, deliveries),
        allocate_numbers(transaction, new_count)
    );
    let (mut records, suppressed, mut numbers) = (records?, suppressed?, numbers?.into_iter());
    let is_suppressed = |message: &NewMessage| {
        let mut deliveries = message.deliveries.iter();
        deliveries.all(|one| suppressed.suppress_all_of(one))
    };
    let mut results = vec![None; messages.len()];
    let mut numbered = Vec::new();
    let mut claimed = HashMap::new();
    for (index, message) in messages.iter().copied().enumerate() {
        let key = message.idempotency.as_ref().map(|idempotency| idempotency.key);
        // Whether a key was promised before, on disk or in this batch, is answered at the end.
        if key.is_some_and(|key| records.contains_key(&key) || claimed.contains_key(&key)) {
            continue;
        }
        if message.replay_only {
            results[index] = Some(Acceptance::NothingToReplay);
            continue;
        }
        if is_suppressed(message) {
            results[index] = Some(Acceptance::Suppressed);
            continue;
        }
        claimed.extend(key.map(|key| (key, index)));
        let missing = || PgError::InvalidRow("a number is missing".to_owned());
        numbered.push(NumberedMessage {
            index,
            message,
            number: numbers.next().ok_or_else(missing)?,
        });
    }
    save_idempotency_keys(transaction, &mut numbered, &mut records, now).await?;
    for (one, retry_after) in remove_throttled(transaction, &mut numbered, &mut records).await? {
        results[one.index] = Some(Acceptance::Throttled { retry_after });
    }
    insert_messages(transaction, known_hours, &numbered, &suppressed).await?;
    for one in &numbered {
        results[one.index] = Some(Acceptance::Stored { number: one.number });
    }
    let first_with_key = |message: &NewMessage| {
        let idempotency = message.idempotency.as_ref()?;
        claimed
            .get(&idempotency.key)
            .and_then(|index| results[*index].clone())
    };
    let answered = results
        .iter()
        .zip(messages)
        .map(|(result, message)| match result {
            Some(result) => Ok(result.clone()),
            None => find_replay(message, &records, || first_with_key(message)),
        });
    answered.collect()
}

/// Takes those out whose users have had enough, and gives their keys back.
async fn remove_throttled<'m>(
    transaction: &PgTransaction,
    numbered: &mut Vec<NumberedMessage<'m>>,
    records: &mut IdempotencyRecords,
) -> Result<Vec<(NumberedMessage<'m>, Duration)>, PgError> {
    let messages = numbered.iter().map(|one| one.message).collect::<Vec<_>>();
    let mut waits = user_throttle::check_throttles(transaction, &messages)
        .await?
        .into_iter();
    let mut throttled = Vec::new();
    for one in std::mem::take(numbered) {
        match waits.next().flatten() {
            Some(retry_after) => throttled.push((one, retry_after)),
            None => numbered.push(one),
        }
    }
    let keys = throttled
        .iter()
        .filter_map(|(one, _)| one.message.idempotency.as_ref());
    let keys = keys.map(|idempotency| idempotency.key).collect::<Vec<_>>();
    if !keys.is_empty() {
        records.retain(|key, _| !keys.contains(key));
        let keys = keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>();
        transaction.execute(DELETE_KEYS, bind![keys]).await?;
    }
    Ok(throttled)
}

/// What the same key brought before. One that came together with another under the same key which was turned away
/// is answered as that one.
fn find_replay(
    message: &NewMessage,
    records: &IdempotencyRecords,
    first_with_key: impl FnOnce() -> Option<Acceptance>,
) -> Result<Acceptance, PgError> {
    let idempotency = message.idempotency.as_ref();
    let found = idempotency.and_then(|idempotency| Some((idempotency, records.get(&idempotency.key)?)));
    match found {
        Some((idempotency, record)) if idempotency.request == record.request => Ok(Acceptance::Replayed {
            id: record.message,
            number: record.number,
        }),
        Some(_) => Ok(Acceptance::KeyReused),
        None => first_with_key()
            .ok_or_else(|| PgError::InvalidRow("a key that was taken is not there".to_owned())),
    }
}

/// What one key brought before: the request, the number and the name.
pub async fn find_idempotency_record(
    transaction: &PgTransaction,
    key: [u8; 32],
    now: i64,
) -> Result<Option<([u8; 32], i64, MessageId)>, PgError> {
    let found = load_idempotency_records(transaction, vec![key.to_vec()], now)
        .await?
        .remove(&key);
    Ok(found.map(|found| (found.request, found.number, found.message)))
}

async fn load_idempotency_records(
    transaction: &PgTransaction,
    keys: Vec<Vec<u8>>,
    now: i64,
) -> Result<IdempotencyRecords, PgError> {
    if keys.is_empty() {
        return Ok(IdempotencyRecords::new());
    }
    let found = transaction.query(FIND_KEYS, bind![keys, now]).await?;
    let read = |row| {
        let record = IdempotencyRecord {
            request: rows::decode_bytes(row, 1)?,
            number: rows::get(row, 2)?,
            message: rows::message_id(row, 3)?,
        };
        Ok((rows::decode_bytes(row, 0)?, record))
    };
    found.iter().map(read).collect()
}

/// Numbers for so many messages.
async fn allocate_numbers(transaction: &PgTransaction, count: usize) -> Result<Vec<i64>, PgError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = rows::limit_to_sql(count);
    let (locked, numbers) = tokio::join!(
        async { transaction.query(LOCK_NUMBERS_SHARED, bind![NUMBERS_LOCK]).await },
        async { transaction.query(NEXT_NUMBERS, bind![count]).await },
    );
    locked?;
    numbers?.iter().map(|row| rows::get(row, 0)).collect()
}

/// Keeps the keys, and takes those out whose key another host has taken in the meantime.
async fn save_idempotency_keys(
    transaction: &PgTransaction,
    numbered: &mut Vec<NumberedMessage<'_>>,
    records: &mut IdempotencyRecords,
    now: i64,
) -> Result<(), PgError> {
    // In the order of the keys, so that two hosts do not wait for each other.
    let mut wanted = BTreeMap::new();
    for one in numbered.iter() {
        if let Some(idempotency) = &one.message.idempotency {
            wanted.insert(idempotency.key, (idempotency, one.number, one.message.id));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let keys = wanted.keys().map(|key| key.to_vec()).collect::<Vec<_>>();
    let idempotency = wanted.values();
    let requests = idempotency
        .clone()
        .map(|(idempotency, ..)| idempotency.request.to_vec())
        .collect::<Vec<_>>();
    let numbers = idempotency
        .clone()
        .map(|(_, number, _)| *number)
        .collect::<Vec<_>>();
    let messages = idempotency
        .clone()
        .map(|(.., id)| id.bytes().to_vec())
        .collect::<Vec<_>>();
    let expires_at = idempotency.map(|(idempotency, ..)| idempotency.expires_at.timestamp_millis());
    let expires_at = expires_at.collect::<Vec<_>>();
    let inserted = transaction
        .query(
            INSERT_KEYS,
            bind![keys, requests, numbers, messages, expires_at, now],
        )
        .await?;
    for row in &inserted {
        let key = rows::decode_bytes(row, 0)?;
        if let Some((idempotency, number, message)) = wanted.remove(&key) {
            let record = IdempotencyRecord {
                request: idempotency.request,
                number,
                message,
            };
            records.insert(key, record);
        }
    }
    let existing = wanted.keys().map(|key| key.to_vec()).collect();
    records.extend(self::load_idempotency_records(transaction, existing, now).await?);
    let exists_already = |one: &NumberedMessage<'_>| {
        let idempotency = one.message.idempotency.as_ref();
        idempotency.is_some_and(|idempotency| wanted.contains_key(&idempotency.key))
    };
    numbered.retain(|one| !exists_already(one));
    Ok(())
}

async fn insert_messages(
    transaction: &PgTransaction,
    known_hours: &mut HashSet<i64>,
    numbered: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    if numbered.is_empty() {
        return Ok(());
    }
    save_hours(transaction, known_hours, numbered).await?;
    let numbers = numbered.iter().map(|one| one.number).collect::<Vec<_>>();
    let messages = numbered.iter().map(|one| one.message);
    let ids = messages
        .clone()
        .map(|message| message.id.bytes().to_vec())
        .collect::<Vec<_>>();
    let bodies = messages
        .clone()
        .map(|message| escape_text(&message.body))
        .collect::<Vec<_>>();
    let users = messages
        .clone()
        .map(|message| message.user.as_deref().map(escape_text));
    let users = users.collect::<Vec<_>>();
    let subjects = messages
        .clone()
        .map(|message| message.subject.as_deref().map(escape_text))
        .collect::<Vec<_>>();
    let event_targets = messages
        .clone()
        .map(|message| message.event_target.as_ref().map(EventTarget::encode))
        .collect::<Vec<_>>();
    let created_at = messages.map(|message| message.created_at.timestamp_millis());
    let created_at = created_at.collect::<Vec<_>>();
    // Both are on their way before the first is answered.
    let (messages, deliveries) = tokio::join!(
        async {
            transaction
                .execute(
                    INSERT_MESSAGES,
                    bind![numbers, ids, bodies, users, created_at, subjects, event_targets],
                )
                .await
        },
        insert_deliveries(transaction, numbered, suppressed),
    );
    messages?;
    deliveries?;
    events::insert_events(transaction, &initial_events(numbered, suppressed)).await
}

/// What those who watch are told already: which deliveries end here.
fn initial_events(numbered: &[NumberedMessage<'_>], suppressed: &SuppressedAddresses) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for one in numbered {
        let Some(event_target) = &one.message.event_target else {
            continue;
        };
        let now = one.message.created_at;
        for (index, delivery) in one.message.deliveries.iter().enumerate() {
            let state = initial_state(delivery, now, suppressed);
            if matches!(state, DeliveryState::Failed { .. }) {
                let id = DeliveryId::from_position(one.number, index);
                events.push(NewEvent::new(id, event_target, &state, None, now));
            }
        }
    }
    events
}

async fn save_hours(
    transaction: &PgTransaction,
    known_hours: &mut HashSet<i64>,
    numbered: &[NumberedMessage<'_>],
) -> Result<(), PgError> {
    let mut firsts = BTreeMap::new();
    for one in numbered {
        let hour = one.message.created_at.timestamp_millis().div_euclid(HOUR_MS);
        if !known_hours.contains(&hour) {
            firsts.entry(hour).or_insert(one.number);
        }
    }
    if firsts.is_empty() {
        return Ok(());
    }
    let (new, numbers): (Vec<i64>, Vec<i64>) = firsts.into_iter().unzip();
    transaction.execute(SAVE_HOURS, bind![new, numbers]).await?;
    known_hours.extend(new);
    Ok(())
}

async fn insert_deliveries(
    transaction: &PgTransaction,
    numbered: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    let states = initial_states(numbered, suppressed);
    let columns = states.iter().map(StateColumns::from_state).collect::<Vec<_>>();
    let mut ids = Vec::with_capacity(states.len());
    let mut deliveries = Vec::with_capacity(states.len());
    for one in numbered {
        for (index, delivery) in one.message.deliveries.iter().enumerate() {
            ids.push(DeliveryId::from_position(one.number, index).0);
            deliveries.push(delivery);
        }
    }
    let deliveries = deliveries.iter();
    let expires_at = deliveries.clone().map(|one| one.expires_at.timestamp_millis());
    transaction
        .execute(
            INSERT_DELIVERIES,
            bind![
                ids,
                deliveries
                    .clone()
                    .map(|one| one.channel.as_str())
                    .collect::<Vec<_>>(),
                deliveries
                    .clone()
                    .map(|one| one.address.as_str())
                    .collect::<Vec<_>>(),
                deliveries
                    .clone()
                    .map(|one| escape_text(&one.spelling))
                    .collect::<Vec<_>>(),
                deliveries
                    .clone()
                    .map(|one| i64::from(one.parts))
                    .collect::<Vec<_>>(),
                deliveries
                    .clone()
                    .map(|one| rows::priority_rank(one.priority))
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.state).collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.failure).collect::<Vec<_>>(),
                columns
                    .iter()
                    .map(|columns| columns.reason.clone())
                    .collect::<Vec<_>>(),
                deliveries
                    .clone()
                    .map(|one| i64::from(one.resends_left))
                    .collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.due_at).collect::<Vec<_>>(),
                expires_at.collect::<Vec<_>>(),
                columns.iter().map(|columns| columns.ended_at).collect::<Vec<_>>(),
                deliveries
                    .map(|one| contact::encode_contacts(&one.contacts))
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    Ok(())
}

/// The state each delivery begins in.
fn initial_states(numbered: &[NumberedMessage<'_>], suppressed: &SuppressedAddresses) -> Vec<DeliveryState> {
    let mut states = Vec::new();
    for one in numbered {
        let now = one.message.created_at;
        let deliveries = one.message.deliveries.iter();
        states.extend(deliveries.map(|delivery| initial_state(delivery, now, suppressed)));
    }
    states
}

fn initial_state(delivery: &NewDelivery, now: Timestamp, suppressed: &SuppressedAddresses) -> DeliveryState {
    if let Some(refusal) = &delivery.rejection_reason {
        DeliveryState::failed(Failure::InvalidRecipient, refusal.clone(), now)
    } else if suppressed.suppress_all_of(delivery) {
        let reason = "the recipient is inactive or has opted out";
        DeliveryState::failed(Failure::Suppressed, reason, now)
    } else {
        DeliveryState::Waiting {
            due_at: delivery.due_at,
            reason: None,
        }
    }
}
