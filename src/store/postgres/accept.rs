//! Storing new messages: message, deliveries and idempotency key, or nothing of it.
//!
//! Takes many messages at once, with one statement for each table. Never begins or ends a transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use super::events;
use super::fault::Trouble;
use super::gather::Gathered;
use super::link::{Desk, bind};
use super::rows::{self, Facts, kept};
use super::standing::Suppressed;
use super::throttle;
use crate::clock::Timestamp;
use crate::domain::contact;
use crate::domain::delivery::{Failure, State};
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Acceptance, NewDelivery, NewMessage};
use crate::store::outbox::Emission;
use crate::store::tally::HOUR_MS;

static KEY: &str = include_str!("../../../sql/postgres/accept_key.sql");
static KEY_DELETE: &str = include_str!("../../../sql/postgres/accept_key_delete.sql");
/// Keeps keys with what they bring.
pub static KEY_INSERT: &str = include_str!("../../../sql/postgres/accept_key_insert.sql");
static LOCK: &str = include_str!("../../../sql/postgres/accept_lock.sql");
static NUMBER: &str = include_str!("../../../sql/postgres/accept_number.sql");
static HOUR: &str = include_str!("../../../sql/postgres/accept_hour.sql");
static MESSAGE: &str = include_str!("../../../sql/postgres/accept_message.sql");
static DELIVERY: &str = include_str!("../../../sql/postgres/accept_delivery.sql");

/// The lock that says whether numbers are under way: shared by accepts, taken alone by the report.
pub const NUMBERS_LOCK: i64 = 0x506F_7374_0002;

/// Messages that came together.
pub struct Accept(pub Vec<NewMessage>);

impl Gathered for Accept {
    type Answer = Vec<Acceptance>;
    /// Hours whose first number is on disk: numbers only grow, so there is nothing to add.
    type Memory = HashSet<i64>;
    const ACT: &'static str = "cannot store messages";

    async fn run(
        desk: &Desk,
        hours: &mut HashSet<i64>,
        pieces: &[Self],
    ) -> Result<Vec<Vec<Acceptance>>, Trouble> {
        let messages = pieces.iter().flat_map(|piece| &piece.0).collect::<Vec<_>>();
        let mut answers = accept(desk, hours, &messages).await?.into_iter();
        let of_piece = |piece: &Self| answers.by_ref().take(piece.0.len()).collect();
        Ok(pieces.iter().map(of_piece).collect())
    }
}

/// What a key stands for.
struct Promised {
    request: [u8; 32],
    number: i64,
    message: MessageId,
}

type Promises = HashMap<[u8; 32], Promised>;

/// A message on its way in.
struct Entering<'m> {
    place: usize,
    message: &'m NewMessage,
    number: i64,
}

/// See [`crate::store::Store::accept`]. `hours` are those whose first number is known to be on disk.
pub async fn accept(
    desk: &Desk,
    hours: &mut HashSet<i64>,
    messages: &[&NewMessage],
) -> Result<Vec<Acceptance>, Trouble> {
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
        promises(desk, keys, now),
        Suppressed::of(desk, deliveries),
        numbers(desk, fresh)
    );
    let (mut promises, suppressed, mut numbers) = (promises?, suppressed?, numbers?.into_iter());
    let is_suppressed = |message: &NewMessage| {
        let mut deliveries = message.deliveries.iter();
        deliveries.all(|one| suppressed.leave_nobody_of(one))
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
            answers[place] = Some(Acceptance::NoEarlier);
            continue;
        }
        if is_suppressed(message) {
            answers[place] = Some(Acceptance::Suppressed);
            continue;
        }
        claimed.extend(key.map(|key| (key, place)));
        let missing = || Trouble::Row("a number is missing".to_owned());
        entering.push(Entering {
            place,
            message,
            number: numbers.next().ok_or_else(missing)?,
        });
    }
    remember(desk, &mut entering, &mut promises, now).await?;
    for (one, retry_after) in turn_away(desk, &mut entering, &mut promises).await? {
        answers[one.place] = Some(Acceptance::Throttled { retry_after });
    }
    store(desk, hours, &entering, &suppressed).await?;
    for one in &entering {
        answers[one.place] = Some(Acceptance::Stored { number: one.number });
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
            None => earlier(message, &promises, || first_with_key(message)),
        });
    answered.collect()
}

/// Takes those out whose users have had enough, and gives their keys back.
async fn turn_away<'m>(
    desk: &Desk,
    entering: &mut Vec<Entering<'m>>,
    promises: &mut Promises,
) -> Result<Vec<(Entering<'m>, Duration)>, Trouble> {
    let messages = entering.iter().map(|one| one.message).collect::<Vec<_>>();
    let mut waits = throttle::refuse(desk, &messages).await?.into_iter();
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
        desk.run(KEY_DELETE, bind![keys]).await?;
    }
    Ok(away)
}

/// What the same key brought before. One that came together with another under the same key which was turned away
/// is answered as that one.
fn earlier(
    message: &NewMessage,
    promises: &Promises,
    first_with_key: impl FnOnce() -> Option<Acceptance>,
) -> Result<Acceptance, Trouble> {
    let asked = message.idempotency.as_ref();
    let found = asked.and_then(|asked| Some((asked, promises.get(&asked.key)?)));
    match found {
        Some((asked, promised)) if asked.request == promised.request => Ok(Acceptance::Replayed {
            id: promised.message,
            number: promised.number,
        }),
        Some(_) => Ok(Acceptance::KeyReused),
        None => first_with_key().ok_or_else(|| Trouble::Row("a key that was taken is not there".to_owned())),
    }
}

/// What one key brought before: the request, the number and the name.
pub async fn promised(
    desk: &Desk,
    key: [u8; 32],
    now: i64,
) -> Result<Option<([u8; 32], i64, MessageId)>, Trouble> {
    let found = promises(desk, vec![key.to_vec()], now).await?.remove(&key);
    Ok(found.map(|found| (found.request, found.number, found.message)))
}

async fn promises(desk: &Desk, keys: Vec<Vec<u8>>, now: i64) -> Result<Promises, Trouble> {
    if keys.is_empty() {
        return Ok(Promises::new());
    }
    let found = desk.rows(KEY, bind![keys, now]).await?;
    let read = |row| {
        let promised = Promised {
            request: rows::bytes(row, 1)?,
            number: rows::get(row, 2)?,
            message: rows::message_id(row, 3)?,
        };
        Ok((rows::bytes(row, 0)?, promised))
    };
    found.iter().map(read).collect()
}

/// Numbers for so many messages.
async fn numbers(desk: &Desk, count: usize) -> Result<Vec<i64>, Trouble> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let count = rows::limit(count);
    let (locked, numbers) = tokio::join!(async { desk.rows(LOCK, bind![NUMBERS_LOCK]).await }, async {
        desk.rows(NUMBER, bind![count]).await
    },);
    locked?;
    numbers?.iter().map(|row| rows::get(row, 0)).collect()
}

/// Keeps the keys, and takes those out whose key another host has taken in the meantime.
async fn remember(
    desk: &Desk,
    entering: &mut Vec<Entering<'_>>,
    promises: &mut Promises,
    now: i64,
) -> Result<(), Trouble> {
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
        .rows(
            KEY_INSERT,
            bind![keys, requests, numbers, messages, expires_at, now],
        )
        .await?;
    for row in &won {
        let key = rows::bytes(row, 0)?;
        if let Some((asked, number, message)) = wanted.remove(&key) {
            let promised = Promised {
                request: asked.request,
                number,
                message,
            };
            promises.insert(key, promised);
        }
    }
    let lost = wanted.keys().map(|key| key.to_vec()).collect();
    promises.extend(self::promises(desk, lost, now).await?);
    let is_lost = |one: &Entering<'_>| {
        let asked = one.message.idempotency.as_ref();
        asked.is_some_and(|asked| wanted.contains_key(&asked.key))
    };
    entering.retain(|one| !is_lost(one));
    Ok(())
}

async fn store(
    desk: &Desk,
    hours: &mut HashSet<i64>,
    entering: &[Entering<'_>],
    suppressed: &Suppressed,
) -> Result<(), Trouble> {
    if entering.is_empty() {
        return Ok(());
    }
    note_hours(desk, hours, entering).await?;
    let numbers = entering.iter().map(|one| one.number).collect::<Vec<_>>();
    let messages = entering.iter().map(|one| one.message);
    let ids = messages
        .clone()
        .map(|message| message.id.bytes().to_vec())
        .collect::<Vec<_>>();
    let bodies = messages
        .clone()
        .map(|message| kept(&message.body))
        .collect::<Vec<_>>();
    let users = messages.clone().map(|message| message.user.as_deref().map(kept));
    let users = users.collect::<Vec<_>>();
    let subjects = messages
        .clone()
        .map(|message| message.subject.as_deref().map(kept))
        .collect::<Vec<_>>();
    let watches = messages
        .clone()
        .map(|message| message.watch.as_ref().map(Watch::written))
        .collect::<Vec<_>>();
    let created_at = messages.map(|message| message.created_at.timestamp_millis());
    let created_at = created_at.collect::<Vec<_>>();
    // Both are on their way before the first is answered.
    let (messages, deliveries) = tokio::join!(
        async {
            desk.run(
                MESSAGE,
                bind![numbers, ids, bodies, users, created_at, subjects, watches],
            )
            .await
        },
        store_deliveries(desk, entering, suppressed),
    );
    messages?;
    deliveries?;
    events::emit(desk, &told(entering, suppressed)).await
}

/// What those who watch are told already: which deliveries end here.
fn told(entering: &[Entering<'_>], suppressed: &Suppressed) -> Vec<Emission> {
    let mut told = Vec::new();
    for one in entering {
        let Some(watch) = &one.message.watch else {
            continue;
        };
        let now = one.message.created_at;
        for (place, delivery) in one.message.deliveries.iter().enumerate() {
            let state = state(delivery, now, suppressed);
            if matches!(state, State::Failed { .. }) {
                let id = DeliveryId::of(one.number, place);
                told.push(Emission::new(id, watch, &state, None, now));
            }
        }
    }
    told
}

async fn note_hours(desk: &Desk, hours: &mut HashSet<i64>, entering: &[Entering<'_>]) -> Result<(), Trouble> {
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
    desk.run(HOUR, bind![new, numbers]).await?;
    hours.extend(new);
    Ok(())
}

async fn store_deliveries(
    desk: &Desk,
    entering: &[Entering<'_>],
    suppressed: &Suppressed,
) -> Result<(), Trouble> {
    let states = states(entering, suppressed);
    let facts = states.iter().map(Facts::of).collect::<Vec<_>>();
    let mut ids = Vec::with_capacity(states.len());
    let mut deliveries = Vec::with_capacity(states.len());
    for one in entering {
        for (place, delivery) in one.message.deliveries.iter().enumerate() {
            ids.push(DeliveryId::of(one.number, place).0);
            deliveries.push(delivery);
        }
    }
    let deliveries = deliveries.iter();
    let expires_at = deliveries.clone().map(|one| one.expires_at.timestamp_millis());
    desk.run(
        DELIVERY,
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
                .map(|one| kept(&one.spelling))
                .collect::<Vec<_>>(),
            deliveries
                .clone()
                .map(|one| i64::from(one.parts))
                .collect::<Vec<_>>(),
            deliveries
                .clone()
                .map(|one| rows::rank(one.priority))
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
                .map(|one| contact::written(&one.contacts))
                .collect::<Vec<_>>(),
        ],
    )
    .await?;
    Ok(())
}

/// The state each delivery begins in.
fn states(entering: &[Entering<'_>], suppressed: &Suppressed) -> Vec<State> {
    let mut states = Vec::new();
    for one in entering {
        let now = one.message.created_at;
        let deliveries = one.message.deliveries.iter();
        states.extend(deliveries.map(|delivery| state(delivery, now, suppressed)));
    }
    states
}

fn state(delivery: &NewDelivery, now: Timestamp, suppressed: &Suppressed) -> State {
    if let Some(refusal) = &delivery.refusal {
        State::failed(Failure::InvalidRecipient, refusal.clone(), now)
    } else if suppressed.leave_nobody_of(delivery) {
        let reason = "the recipient is inactive or has opted out";
        State::failed(Failure::Suppressed, reason, now)
    } else {
        State::Waiting {
            due_at: delivery.due_at,
            reason: None,
        }
    }
}
