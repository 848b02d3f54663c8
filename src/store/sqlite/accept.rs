//! Storing new messages: message, deliveries and idempotency key, or nothing of it.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::{OptionalExtension, params};

use super::desk::Desk;
use super::{events, rows, throttle};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::contact;
use crate::domain::delivery::{Failure, State};
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Acceptance, Idempotency, NewDelivery, NewMessage};
use crate::store::outbox::Emission;

static KEY: &str = include_str!("../../../sql/sqlite/accept_key.sql");
static KEY_INSERT: &str = include_str!("../../../sql/sqlite/accept_key_insert.sql");
static STANDING: &str = include_str!("../../../sql/sqlite/accept_standing.sql");
static MESSAGE: &str = include_str!("../../../sql/sqlite/accept_message.sql");
static DELIVERY: &str = include_str!("../../../sql/sqlite/accept_delivery.sql");
static FAILED: &str = include_str!("../../../sql/sqlite/accept_failed.sql");

const SUPPRESSED: &str = "the recipient is inactive or has opted out";

/// See [`crate::store::Store::accept`].
pub fn accept(desk: &mut Desk<'_>, messages: &[NewMessage]) -> rusqlite::Result<Vec<Acceptance>> {
    messages.iter().map(|message| accept_one(desk, message)).collect()
}

fn accept_one(desk: &mut Desk<'_>, message: &NewMessage) -> rusqlite::Result<Acceptance> {
    if let Some(promise) = &message.idempotency
        && let Some(earlier) = earlier(desk, promise, message.created_at)?
    {
        return Ok(earlier);
    }
    if message.replay_only {
        return Ok(Acceptance::NoEarlier);
    }
    let mut suppressed = 0_u64;
    for (place, delivery) in message.deliveries.iter().enumerate() {
        if delivery.refusal.is_none() && nobody_is_left(desk, delivery)? {
            suppressed |= 1 << place;
        }
    }
    if suppressed.count_ones() as usize == message.deliveries.len() {
        return Ok(Acceptance::Suppressed);
    }
    if let Some(retry_after) = throttle::refuse(desk, &message.throttles, message.created_at)? {
        return Ok(Acceptance::Throttled { retry_after });
    }
    let created_at = message.created_at.timestamp_millis();
    let number = desk.number(created_at)?;
    desk.statement(MESSAGE)?.execute(params![
        number,
        message.id.bytes(),
        message.body,
        message.user,
        created_at,
        message.subject,
        message.watch.as_ref().map(Watch::written)
    ])?;
    for (place, delivery) in message.deliveries.iter().enumerate() {
        let id = DeliveryId::of(number, place);
        let failure = match &delivery.refusal {
            Some(refusal) => Some((Failure::InvalidRecipient, refusal.as_str())),
            None if suppressed & (1 << place) != 0 => Some((Failure::Suppressed, SUPPRESSED)),
            None => None,
        };
        insert(desk, id, delivery, failure, message.created_at)?;
        if let (Some(watch), Some((failure, reason))) = (&message.watch, failure) {
            let state = State::failed(failure, reason, message.created_at);
            events::emit(desk, &Emission::new(id, watch, &state, None, message.created_at))?;
        }
    }
    if let Some(promise) = &message.idempotency {
        remember(desk, promise, number, message.id)?;
    }
    Ok(Acceptance::Stored { number })
}

/// What the same key brought before.
pub fn earlier(
    desk: &mut Desk<'_>,
    promise: &Idempotency,
    now: Timestamp,
) -> rusqlite::Result<Option<Acceptance>> {
    desk.statement(KEY)?
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
pub fn remember(
    desk: &mut Desk<'_>,
    promise: &Idempotency,
    number: i64,
    message: MessageId,
) -> rusqlite::Result<()> {
    desk.statement(KEY_INSERT)?.execute(params![
        promise.key,
        promise.request,
        number,
        message.bytes(),
        promise.expires_at.timestamp_millis()
    ])?;
    Ok(())
}

/// Whether none of the delivery's addresses may be written to.
fn nobody_is_left(desk: &mut Desk<'_>, delivery: &NewDelivery) -> rusqlite::Result<bool> {
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
pub fn is_suppressed(desk: &mut Desk<'_>, channel: &Name, address: &str) -> rusqlite::Result<bool> {
    if !desk.knows_recipients()? {
        return Ok(false);
    }
    let said = desk
        .statement(STANDING)?
        .query_row([channel.as_str(), address], |row| row.get(0))
        .optional()?;
    Ok(said.unwrap_or(false))
}

fn insert(
    desk: &mut Desk<'_>,
    id: DeliveryId,
    delivery: &NewDelivery,
    failure: Option<(Failure, &str)>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let (channel, priority) = (delivery.channel.as_str(), rows::rank(delivery.priority));
    let expires_at = delivery.expires_at.timestamp_millis();
    if let Some((failure, reason)) = failure {
        desk.statement(FAILED)?.execute(params![
            id.0,
            channel,
            delivery.address,
            delivery.spelling,
            delivery.parts,
            priority,
            failure.word(),
            reason,
            delivery.resends_left,
            expires_at,
            now.timestamp_millis(),
        ])?;
    } else {
        desk.statement(DELIVERY)?.execute(params![
            id.0,
            channel,
            delivery.address,
            delivery.spelling,
            delivery.parts,
            priority,
            delivery.resends_left,
            delivery.due_at.timestamp_millis(),
            expires_at,
            contact::written(&delivery.contacts),
        ])?;
    }
    Ok(())
}
