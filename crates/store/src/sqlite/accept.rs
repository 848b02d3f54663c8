//! Accepting messages in SQLite: a message is stored with its deliveries and idempotency key, or not at all.

use async_trait::async_trait;
use rusqlite::params;

use super::{
    events, store::SqliteStore, suppressed::has_no_active_address, user_throttle,
    write_transaction::WriteTransaction,
};
use crate::accept::{AcceptStore, SUPPRESSED_REASON, check_delivery_counts};
use crate::{events::NewEvent, rows::deliveries::decode_replay, rows::priority_rank};
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage};
use postrider_core::{clock::Timestamp, contact, error::Result, event::EventTarget};

static FIND_KEY: &str = sql!("sqlite/accept/find_idempotency_key");
static INSERT_KEY: &str = sql!("sqlite/accept/insert_idempotency_key");
static INSERT_MESSAGE: &str = sql!("sqlite/accept/insert_message");
static INSERT_DELIVERY: &str = sql!("sqlite/accept/insert_delivery");
static INSERT_FAILED_DELIVERY: &str = sql!("sqlite/accept/insert_failed_delivery");

#[async_trait]
impl AcceptStore for SqliteStore {
    async fn accept(&self, messages: Vec<NewMessage>) -> Result<Vec<Acceptance>> {
        check_delivery_counts(&messages)?;
        self.write("cannot store messages", move |transaction| accept(transaction, &messages)).await
    }
}

/// Stores messages; see [`AcceptStore::accept`].
pub fn accept(
    transaction: &mut WriteTransaction<'_>,
    messages: &[NewMessage],
) -> rusqlite::Result<Vec<Acceptance>> {
    messages.iter().map(|message| accept_message(transaction, message)).collect()
}

fn accept_message(
    transaction: &mut WriteTransaction<'_>,
    message: &NewMessage,
) -> rusqlite::Result<Acceptance> {
    let now = message.created_at;
    if let Some(idempotency_key) = &message.idempotency
        && let Some(replay) = find_replay(transaction, idempotency_key, now)?
    {
        return Ok(replay);
    }
    if message.replay_only {
        return Ok(Acceptance::NothingToReplay);
    }
    let suppressed_positions = find_suppressed_positions(transaction, &message.deliveries)?;
    if suppressed_positions.count_ones() as usize == message.deliveries.len() {
        return Ok(Acceptance::Suppressed);
    }
    if let Some(wait) = user_throttle::check_throttles(transaction, &message.throttles, now)? {
        return Ok(Acceptance::Throttled(wait));
    }
    let message_number = insert_message(transaction, message)?;
    for (position, delivery) in message.deliveries.iter().enumerate() {
        let delivery_id = DeliveryId::from_position(message_number, position);
        let is_suppressed = suppressed_positions & (1 << position) != 0;
        let failure = match &delivery.rejection_reason {
            Some(reason) => Some((Failure::InvalidRecipient, reason.as_str())),
            None => is_suppressed.then_some((Failure::Suppressed, SUPPRESSED_REASON)),
        };
        insert_delivery(transaction, delivery_id, delivery, failure, now)?;
        if let (Some(event_target), Some((failure, reason))) = (&message.event_target, failure) {
            let state = DeliveryState::failed(failure, reason, now);
            events::insert_event(transaction, &NewEvent::new(delivery_id, event_target, &state, None, now))?;
        }
    }
    if let Some(idempotency_key) = &message.idempotency {
        save_idempotency_key(transaction, idempotency_key, message_number, message.id)?;
    }
    Ok(Acceptance::Stored { number: message_number })
}

/// Returns the positions of suppressed deliveries as a bit set.
fn find_suppressed_positions(
    transaction: &mut WriteTransaction<'_>,
    deliveries: &[NewDelivery],
) -> rusqlite::Result<u64> {
    let mut suppressed_positions = 0;
    for (position, delivery) in deliveries.iter().enumerate() {
        if delivery.rejection_reason.is_none() && has_no_active_address(transaction, delivery)? {
            suppressed_positions |= 1 << position;
        }
    }
    Ok(suppressed_positions)
}

fn insert_message(transaction: &mut WriteTransaction<'_>, message: &NewMessage) -> rusqlite::Result<i64> {
    let created_at = message.created_at.timestamp_millis();
    let message_number = transaction.next_message_number(created_at)?;
    let event_target = message.event_target.as_ref().map(EventTarget::encode);
    let message_values = params![
        message_number,
        message.id.bytes(),
        message.body,
        message.user,
        created_at,
        message.subject,
        event_target,
        message.owner,
        message.at_most_once,
        message.client_expires_at.map(|at| at.timestamp_millis()),
    ];
    transaction.execute(INSERT_MESSAGE, message_values)?;
    Ok(message_number)
}

fn insert_delivery(
    transaction: &mut WriteTransaction<'_>,
    id: DeliveryId,
    delivery: &NewDelivery,
    failure: Option<(Failure, &str)>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (channel, priority) = (delivery.channel.as_str(), priority_rank(delivery.priority));
    let expires_at = delivery.expires_at.timestamp_millis();
    if let Some((failure, reason)) = failure {
        let failed_delivery_values = params![
            id.0,
            channel,
            delivery.address,
            delivery.spelling,
            delivery.parts,
            priority,
            failure.as_str(),
            reason,
            delivery.resends_left,
            expires_at,
            now.timestamp_millis(),
        ];
        return transaction.execute(INSERT_FAILED_DELIVERY, failed_delivery_values).map(drop);
    }
    let delivery_values = params![
        id.0,
        channel,
        delivery.address,
        delivery.spelling,
        delivery.parts,
        priority,
        delivery.resends_left,
        delivery.due_at.timestamp_millis(),
        expires_at,
        contact::encode_contacts(&delivery.contacts),
    ];
    transaction.execute(INSERT_DELIVERY, delivery_values).map(drop)
}

/// Returns the result that was stored for an idempotency key.
pub fn find_replay(
    transaction: &mut WriteTransaction<'_>,
    key: &Idempotency,
    now: Timestamp,
) -> rusqlite::Result<Option<Acceptance>> {
    let key_and_time = params![key.key, now.timestamp_millis()];
    transaction.query_optional(FIND_KEY, key_and_time, |row| decode_replay(row, key))
}

/// Stores the result of an idempotency key: a message or a broadcast.
pub fn save_idempotency_key(
    transaction: &mut WriteTransaction<'_>,
    key: &Idempotency,
    number: i64,
    id: MessageId,
) -> rusqlite::Result<()> {
    let key_values = params![key.key, key.request, number, id.bytes(), key.expires_at.timestamp_millis()];
    transaction.execute(INSERT_KEY, key_values).map(drop)
}
