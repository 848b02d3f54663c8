//! Storing new messages: message, deliveries and idempotency key, or nothing of it.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::{OptionalExtension, params};

use super::write_transaction::WriteTransaction;
use super::{events, rows, user_throttle};
use crate::events::NewEvent;
use postrider_core::clock::Timestamp;
use postrider_core::contact;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Acceptance, Idempotency, NewDelivery, NewMessage};
use postrider_core::name::ConfigName;

static FIND_KEY: &str = include_str!("../../../../sql/sqlite/accept/find_idempotency_key.sql");
static INSERT_KEY: &str = include_str!("../../../../sql/sqlite/accept/insert_idempotency_key.sql");
static IS_SUPPRESSED: &str = include_str!("../../../../sql/sqlite/accept/find_suppressed_recipients.sql");
static INSERT_MESSAGE: &str = include_str!("../../../../sql/sqlite/accept/insert_message.sql");
static INSERT_DELIVERY: &str = include_str!("../../../../sql/sqlite/accept/insert_delivery.sql");
static INSERT_FAILED_DELIVERY: &str =
    include_str!("../../../../sql/sqlite/accept/insert_failed_delivery.sql");

const SUPPRESSED_REASON: &str = "the recipient is inactive or has opted out";

/// See [`crate::Store::accept`].
pub fn accept(desk: &mut WriteTransaction<'_>, messages: &[NewMessage]) -> rusqlite::Result<Vec<Acceptance>> {
    messages.iter().map(|message| accept_one(desk, message)).collect()
}

fn accept_one(desk: &mut WriteTransaction<'_>, message: &NewMessage) -> rusqlite::Result<Acceptance> {
    if let Some(promise) = &message.idempotency
        && let Some(earlier) = find_replay(desk, promise, message.created_at)?
    {
        return Ok(earlier);
    }
    if message.replay_only {
        return Ok(Acceptance::NothingToReplay);
    }
    let mut suppressed = 0_u64;
    for (place, delivery) in message.deliveries.iter().enumerate() {
        if delivery.rejection_reason.is_none() && has_no_active_address(desk, delivery)? {
            suppressed |= 1 << place;
        }
    }
    if suppressed.count_ones() as usize == message.deliveries.len() {
        return Ok(Acceptance::Suppressed);
    }
    if let Some(retry_after) = user_throttle::check_throttles(desk, &message.throttles, message.created_at)? {
        return Ok(Acceptance::Throttled { retry_after });
    }
    let created_at = message.created_at.timestamp_millis();
    let number = desk.next_message_number(created_at)?;
    desk.statement(INSERT_MESSAGE)?.execute(params![
        number,
        message.id.bytes(),
        message.body,
        message.user,
        created_at,
        message.subject,
        message.event_target.as_ref().map(EventTarget::encode)
    ])?;
    for (place, delivery) in message.deliveries.iter().enumerate() {
        let id = DeliveryId::from_position(number, place);
        let failure = match &delivery.rejection_reason {
            Some(refusal) => Some((Failure::InvalidRecipient, refusal.as_str())),
            None if suppressed & (1 << place) != 0 => Some((Failure::Suppressed, SUPPRESSED_REASON)),
            None => None,
        };
        insert_delivery(desk, id, delivery, failure, message.created_at)?;
        if let (Some(watch), Some((failure, reason))) = (&message.event_target, failure) {
            let state = DeliveryState::failed(failure, reason, message.created_at);
            events::insert_event(desk, &NewEvent::new(id, watch, &state, None, message.created_at))?;
        }
    }
    if let Some(promise) = &message.idempotency {
        save_idempotency_key(desk, promise, number, message.id)?;
    }
    Ok(Acceptance::Stored { number })
}

/// What the same key brought before.
pub fn find_replay(
    desk: &mut WriteTransaction<'_>,
    promise: &Idempotency,
    now: Timestamp,
) -> rusqlite::Result<Option<Acceptance>> {
    desk.statement(FIND_KEY)?
        .query_row(params![promise.key, now.timestamp_millis()], |row| {
            if row.get::<_, [u8; 32]>(0)? != promise.request {
                return Ok(Acceptance::KeyReused);
            }
            Ok(Acceptance::Replayed {
                id: rows::message_id(row, 2)?,
                number: row.get(1)?,
            })
        })
        .optional()
}

/// Keeps what a key has brought.
pub fn save_idempotency_key(
    desk: &mut WriteTransaction<'_>,
    promise: &Idempotency,
    number: i64,
    message: MessageId,
) -> rusqlite::Result<()> {
    desk.statement(INSERT_KEY)?.execute(params![
        promise.key,
        promise.request,
        number,
        message.bytes(),
        promise.expires_at.timestamp_millis()
    ])?;
    Ok(())
}

/// Whether none of the delivery's addresses may be written to.
fn has_no_active_address(desk: &mut WriteTransaction<'_>, delivery: &NewDelivery) -> rusqlite::Result<bool> {
    let channel = &delivery.channel;
    if delivery.contacts.is_empty() {
        return is_suppressed(desk, channel, &delivery.address);
    }
    for contact in &delivery.contacts {
        if !is_suppressed(desk, channel, &contact.address)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether that address must not be written to.
pub fn is_suppressed(
    desk: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<bool> {
    if !desk.has_recipients()? {
        return Ok(false);
    }
    let said = desk
        .statement(IS_SUPPRESSED)?
        .query_row([channel.as_str(), address], |row| row.get(0))
        .optional()?;
    Ok(said.unwrap_or(false))
}

fn insert_delivery(
    desk: &mut WriteTransaction<'_>,
    id: DeliveryId,
    delivery: &NewDelivery,
    failure: Option<(Failure, &str)>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (channel, priority) = (delivery.channel.as_str(), rows::priority_rank(delivery.priority));
    let expires_at = delivery.expires_at.timestamp_millis();
    if let Some((failure, reason)) = failure {
        desk.statement(INSERT_FAILED_DELIVERY)?.execute(params![
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
        desk.statement(INSERT_DELIVERY)?.execute(params![
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
