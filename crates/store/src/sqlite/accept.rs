//! Accepting messages in SQLite: a message with its deliveries and idempotency key, or nothing of it.

use async_trait::async_trait;
use rusqlite::{OptionalExtension, params};

use super::store::SqliteStore;
use super::suppressed::has_no_active_address;
use super::write_transaction::WriteTransaction;
use super::{events, user_throttle};
use crate::accept::{AcceptStore, SUPPRESSED_REASON, check_delivery_counts};
use crate::events::NewEvent;
use crate::rows::deliveries::decode_replay;
use crate::rows::priority_rank;
use postrider_core::clock::Timestamp;
use postrider_core::contact;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::error::Result;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage};

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
    messages.iter().map(|message| accept_one(transaction, message)).collect()
}

fn accept_one(transaction: &mut WriteTransaction<'_>, message: &NewMessage) -> rusqlite::Result<Acceptance> {
    let now = message.created_at;
    if let Some(key) = &message.idempotency
        && let Some(replay) = find_replay(transaction, key, now)?
    {
        return Ok(replay);
    }
    if message.replay_only {
        return Ok(Acceptance::NothingToReplay);
    }
    let suppressed = suppressed_deliveries(transaction, &message.deliveries)?;
    if suppressed.count_ones() as usize == message.deliveries.len() {
        return Ok(Acceptance::Suppressed);
    }
    if let Some(retry_after) = user_throttle::check_throttles(transaction, &message.throttles, now)? {
        return Ok(Acceptance::Throttled { retry_after });
    }
    let number = insert_message(transaction, message)?;
    for (position, delivery) in message.deliveries.iter().enumerate() {
        let id = DeliveryId::from_position(number, position);
        let failure = match &delivery.rejection_reason {
            Some(reason) => Some((Failure::InvalidRecipient, reason.as_str())),
            None if suppressed & (1 << position) != 0 => Some((Failure::Suppressed, SUPPRESSED_REASON)),
            None => None,
        };
        insert_delivery(transaction, id, delivery, failure, now)?;
        if let (Some(target), Some((failure, reason))) = (&message.event_target, failure) {
            let state = DeliveryState::failed(failure, reason, now);
            events::insert_event(transaction, &NewEvent::new(id, target, &state, None, now))?;
        }
    }
    if let Some(key) = &message.idempotency {
        save_idempotency_key(transaction, key, number, message.id)?;
    }
    Ok(Acceptance::Stored { number })
}

/// Returns the suppressed deliveries as a bit set of their positions.
fn suppressed_deliveries(
    transaction: &mut WriteTransaction<'_>,
    deliveries: &[NewDelivery],
) -> rusqlite::Result<u64> {
    let mut suppressed = 0;
    for (position, delivery) in deliveries.iter().enumerate() {
        if delivery.rejection_reason.is_none() && has_no_active_address(transaction, delivery)? {
            suppressed |= 1 << position;
        }
    }
    Ok(suppressed)
}

fn insert_message(transaction: &mut WriteTransaction<'_>, message: &NewMessage) -> rusqlite::Result<i64> {
    let created_at = message.created_at.timestamp_millis();
    let number = transaction.next_message_number(created_at)?;
    transaction.statement(INSERT_MESSAGE)?.execute(params![
        number,
        message.id.bytes(),
        message.body,
        message.user,
        created_at,
        message.subject,
        message.event_target.as_ref().map(EventTarget::encode)
    ])?;
    Ok(number)
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
        transaction.statement(INSERT_FAILED_DELIVERY)?.execute(params![
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
        ])?;
    } else {
        transaction.statement(INSERT_DELIVERY)?.execute(params![
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
        ])?;
    }
    Ok(())
}

/// Returns the result that was stored for an idempotency key.
pub fn find_replay(
    transaction: &mut WriteTransaction<'_>,
    key: &Idempotency,
    now: Timestamp,
) -> rusqlite::Result<Option<Acceptance>> {
    transaction
        .statement(FIND_KEY)?
        .query_row(params![key.key, now.timestamp_millis()], |row| decode_replay(row, key))
        .optional()
}

/// Stores the result of an idempotency key: a message or a broadcast.
pub fn save_idempotency_key(
    transaction: &mut WriteTransaction<'_>,
    key: &Idempotency,
    number: i64,
    id: MessageId,
) -> rusqlite::Result<()> {
    transaction.statement(INSERT_KEY)?.execute(params![
        key.key,
        key.request,
        number,
        id.bytes(),
        key.expires_at.timestamp_millis()
    ])?;
    Ok(())
}
