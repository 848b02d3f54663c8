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
        desk: &PgTransaction,
        hours: &mut HashSet<i64>,
        pieces: &[Self],
    ) -> Result<Vec<Vec<Acceptance>>, PgError> {
        let messages = pieces.iter().flat_map(|piece| &piece.0).collect::<Vec<_>>();
        let mut answers = accept(desk, hours, &messages).await?.into_iter();
        let of_piece = |piece: &Self| answers.by_ref().take(piece.0.len()).collect();
        Ok(pieces.iter().map(of_piece).collect())
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
    desk: &PgTransaction,
    hours: &mut HashSet<i64>,
    messages: &[&NewMessage],
) -> Result<Vec<Acceptance>, PgError> {
    let now = messages
        .iter()
        .map(|message| message.created_at.timestamp_millis());
    let now = now.min().unwrap_or_default();
    let keys = messages.iter().filter_map(|message| message.idempotency.as_ref());
    let keys = keys.map(|promise| promise.key.to_vec()).collect();
    let deliveries = messages.iter().flat_map(|message| &message.deliveries);
    // All asked without waiting between: the server takes them in order. Numbers that are not needed are left out.
    let fresh = messages.iter().filter(|message| !message.replay_only).count();
    let (promises, suppressed, numbers) = tokio::join!(
        load_idempotency_records(desk, keys, now),
        SuppressedAddresses::load_for_deliveries(desk, deliveries),
        allocate_numbers(desk, fresh)
    );
    let (mut promises, suppressed, mut numbers) = (promises?, suppressed?, numbers?.into_iter());
    let is_suppressed = |message: &NewMessage| {
        let mut deliveries = message.deliveries.iter();
        deliveries.all(|one| suppressed.suppress_all_of(one))
    };
    let mut answers = vec![None; messages.len()];
    let mut entering = Vec::new();
    let mut claimed = HashMap::new();
    for (place, message) in messages.iter().copied().enumerate() {
        let key = message.idempotency.as_ref().map(|promise| promise.key);
        // Whether a key was promised before, on disk or in this batch, is answered at the end.
        if key.is_some_and(|key| promises.contains_key(&key) || claimed.contains_key(&key)) {
            continue;
        }
        if message.replay_only {
            answers[place] = Some(Acceptance::NothingToReplay);
            continue;
        }
        if is_suppressed(message) {
            answers[place] = Some(Acceptance::Suppressed);
            continue;
        }
        claimed.extend(key.map(|key| (key, place)));
        let missing = || PgError::InvalidRow("a number is missing".to_owned());
        entering.push(NumberedMessage {
            index: place,
            message,
            number: numbers.next().ok_or_else(missing)?,
        });
    }
    save_idempotency_keys(desk, &mut entering, &mut promises, now).await?;
    for (one, retry_after) in remove_throttled(desk, &mut entering, &mut promises).await? {
        answers[one.index] = Some(Acceptance::Throttled { retry_after });
    }
    insert_messages(desk, hours, &entering, &suppressed).await?;
    for one in &entering {
        answers[one.index] = Some(Acceptance::Stored { number: one.number });
    }
    let first_with_key = |message: &NewMessage| {
        let asked = message.idempotency.as_ref()?;
        claimed.get(&asked.key).and_then(|place| answers[*place].clone())
    };
    let answered = answers
        .iter()
        .zip(messages)
        .map(|(answer, message)| match answer {
            Some(answer) => Ok(answer.clone()),
            None => find_replay(message, &promises, || first_with_key(message)),
        });
    answered.collect()
}

/// Takes those out whose users have had enough, and gives their keys back.
async fn remove_throttled<'m>(
    desk: &PgTransaction,
    entering: &mut Vec<NumberedMessage<'m>>,
    promises: &mut IdempotencyRecords,
) -> Result<Vec<(NumberedMessage<'m>, Duration)>, PgError> {
    let messages = entering.iter().map(|one| one.message).collect::<Vec<_>>();
    let mut waits = user_throttle::check_throttles(desk, &messages).await?.into_iter();
    let mut away = Vec::new();
    for one in std::mem::take(entering) {
        match waits.next().flatten() {
            Some(retry_after) => away.push((one, retry_after)),
            None => entering.push(one),
        }
    }
    let keys = away
        .iter()
        .filter_map(|(one, _)| one.message.idempotency.as_ref());
    let keys = keys.map(|asked| asked.key).collect::<Vec<_>>();
    if !keys.is_empty() {
        promises.retain(|key, _| !keys.contains(key));
        let keys = keys.iter().map(|key| key.to_vec()).collect::<Vec<_>>();
        desk.execute(DELETE_KEYS, bind![keys]).await?;
    }
    Ok(away)
}

/// What the same key brought before. One that came together with another under the same key which was turned away
/// is answered as that one.
fn find_replay(
    message: &NewMessage,
    promises: &IdempotencyRecords,
    first_with_key: impl FnOnce() -> Option<Acceptance>,
) -> Result<Acceptance, PgError> {
    let asked = message.idempotency.as_ref();
    let found = asked.and_then(|asked| Some((asked, promises.get(&asked.key)?)));
    match found {
        Some((asked, promised)) if asked.request == promised.request => Ok(Acceptance::Replayed {
            id: promised.message,
            number: promised.number,
        }),
        Some(_) => Ok(Acceptance::KeyReused),
        None => first_with_key()
            .ok_or_else(|| PgError::InvalidRow("a key that was taken is not there".to_owned())),
    }
}

/// What one key brought before: the request, the number and the name.
pub async fn find_idempotency_record(
    desk: &PgTransaction,
    key: [u8; 32],
    now: i64,
) -> Result<Option<([u8; 32], i64, MessageId)>, PgError> {
    let found = load_idempotency_records(desk, vec![key.to_vec()], now)
        .await?
        .remove(&key);
    Ok(found.map(|found| (found.request, found.number, found.message)))
}

async fn load_idempotency_records(
    desk: &PgTransaction,
    keys: Vec<Vec<u8>>,
    now: i64,
) -> Result<IdempotencyRecords, PgError> {
    if keys.is_empty() {
        return Ok(IdempotencyRecords::new());
    }
    let found = desk.query(FIND_KEYS, bind![keys, now]).await?;
    let read = |row| {
        let promised = IdempotencyRecord {
            request: rows::decode_bytes(row, 1)?,
            number: rows::get(row, 2)?,
            message: rows::message_id(row, 3)?,
        };
        Ok((rows::decode_bytes(row, 0)?, promised))
    };
    found.iter().map(read).collect()
}

/// Numbers for so many messages.
async fn allocate_numbers(desk: &PgTransaction, count: usize) -> Result<Vec<i64>, PgError> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = rows::limit_to_sql(count);
    let (locked, numbers) = tokio::join!(
        async { desk.query(LOCK_NUMBERS_SHARED, bind![NUMBERS_LOCK]).await },
        async { desk.query(NEXT_NUMBERS, bind![count]).await },
    );
    locked?;
    numbers?.iter().map(|row| rows::get(row, 0)).collect()
}

/// Keeps the keys, and takes those out whose key another host has taken in the meantime.
async fn save_idempotency_keys(
    desk: &PgTransaction,
    entering: &mut Vec<NumberedMessage<'_>>,
    promises: &mut IdempotencyRecords,
    now: i64,
) -> Result<(), PgError> {
    // In the order of the keys, so that two hosts do not wait for each other.
    let mut wanted = BTreeMap::new();
    for one in entering.iter() {
        if let Some(asked) = &one.message.idempotency {
            wanted.insert(asked.key, (asked, one.number, one.message.id));
        }
    }
    if wanted.is_empty() {
        return Ok(());
    }
    let keys = wanted.keys().map(|key| key.to_vec()).collect::<Vec<_>>();
    let asked = wanted.values();
    let requests = asked
        .clone()
        .map(|(asked, ..)| asked.request.to_vec())
        .collect::<Vec<_>>();
    let numbers = asked.clone().map(|(_, number, _)| *number).collect::<Vec<_>>();
    let messages = asked
        .clone()
        .map(|(.., id)| id.bytes().to_vec())
        .collect::<Vec<_>>();
    let expires_at = asked.map(|(asked, ..)| asked.expires_at.timestamp_millis());
    let expires_at = expires_at.collect::<Vec<_>>();
    let won = desk
        .query(
            INSERT_KEYS,
            bind![keys, requests, numbers, messages, expires_at, now],
        )
        .await?;
    for row in &won {
        let key = rows::decode_bytes(row, 0)?;
        if let Some((asked, number, message)) = wanted.remove(&key) {
            let promised = IdempotencyRecord {
                request: asked.request,
                number,
                message,
            };
            promises.insert(key, promised);
        }
    }
    let lost = wanted.keys().map(|key| key.to_vec()).collect();
    promises.extend(self::load_idempotency_records(desk, lost, now).await?);
    let is_lost = |one: &NumberedMessage<'_>| {
        let asked = one.message.idempotency.as_ref();
        asked.is_some_and(|asked| wanted.contains_key(&asked.key))
    };
    entering.retain(|one| !is_lost(one));
    Ok(())
}

async fn insert_messages(
    desk: &PgTransaction,
    hours: &mut HashSet<i64>,
    entering: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    if entering.is_empty() {
        return Ok(());
    }
    save_hours(desk, hours, entering).await?;
    let numbers = entering.iter().map(|one| one.number).collect::<Vec<_>>();
    let messages = entering.iter().map(|one| one.message);
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
    let watches = messages
        .clone()
        .map(|message| message.event_target.as_ref().map(EventTarget::encode))
        .collect::<Vec<_>>();
    let created_at = messages.map(|message| message.created_at.timestamp_millis());
    let created_at = created_at.collect::<Vec<_>>();
    // Both are on their way before the first is answered.
    let (messages, deliveries) = tokio::join!(
        async {
            desk.execute(
                INSERT_MESSAGES,
                bind![numbers, ids, bodies, users, created_at, subjects, watches],
            )
            .await
        },
        insert_deliveries(desk, entering, suppressed),
    );
    messages?;
    deliveries?;
    events::insert_events(desk, &initial_events(entering, suppressed)).await
}

/// What those who watch are told already: which deliveries end here.
fn initial_events(entering: &[NumberedMessage<'_>], suppressed: &SuppressedAddresses) -> Vec<NewEvent> {
    let mut told = Vec::new();
    for one in entering {
        let Some(watch) = &one.message.event_target else {
            continue;
        };
        let now = one.message.created_at;
        for (place, delivery) in one.message.deliveries.iter().enumerate() {
            let state = initial_state(delivery, now, suppressed);
            if matches!(state, DeliveryState::Failed { .. }) {
                let id = DeliveryId::from_position(one.number, place);
                told.push(NewEvent::new(id, watch, &state, None, now));
            }
        }
    }
    told
}

async fn save_hours(
    desk: &PgTransaction,
    hours: &mut HashSet<i64>,
    entering: &[NumberedMessage<'_>],
) -> Result<(), PgError> {
    let mut firsts = BTreeMap::new();
    for one in entering {
        let hour = one.message.created_at.timestamp_millis().div_euclid(HOUR_MS);
        if !hours.contains(&hour) {
            firsts.entry(hour).or_insert(one.number);
        }
    }
    if firsts.is_empty() {
        return Ok(());
    }
    let (new, numbers): (Vec<i64>, Vec<i64>) = firsts.into_iter().unzip();
    desk.execute(SAVE_HOURS, bind![new, numbers]).await?;
    hours.extend(new);
    Ok(())
}

async fn insert_deliveries(
    desk: &PgTransaction,
    entering: &[NumberedMessage<'_>],
    suppressed: &SuppressedAddresses,
) -> Result<(), PgError> {
    let states = initial_states(entering, suppressed);
    let facts = states.iter().map(StateColumns::from_state).collect::<Vec<_>>();
    let mut ids = Vec::with_capacity(states.len());
    let mut deliveries = Vec::with_capacity(states.len());
    for one in entering {
        for (place, delivery) in one.message.deliveries.iter().enumerate() {
            ids.push(DeliveryId::from_position(one.number, place).0);
            deliveries.push(delivery);
        }
    }
    let deliveries = deliveries.iter();
    let expires_at = deliveries.clone().map(|one| one.expires_at.timestamp_millis());
    desk.execute(
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
            facts.iter().map(|facts| facts.state).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.failure).collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.reason.clone()).collect::<Vec<_>>(),
            deliveries
                .clone()
                .map(|one| i64::from(one.resends_left))
                .collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.due_at).collect::<Vec<_>>(),
            expires_at.collect::<Vec<_>>(),
            facts.iter().map(|facts| facts.ended_at).collect::<Vec<_>>(),
            deliveries
                .map(|one| contact::encode_contacts(&one.contacts))
                .collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// The state each delivery begins in.
fn initial_states(entering: &[NumberedMessage<'_>], suppressed: &SuppressedAddresses) -> Vec<DeliveryState> {
    let mut states = Vec::new();
    for one in entering {
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
