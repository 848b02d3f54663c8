//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::{Connection, OptionalExtension, params};

use super::events;
use super::rows::{self, StateColumns};
use super::write_transaction::WriteTransaction;
use crate::events::NewEvent;
use crate::{Cancelled, ProviderEndpoint};
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::queue_entry::QueueEntry;
use postrider_core::recipient::{Recipient, RecipientStatus};

static MESSAGE_NUMBER: &str = include_str!("../../../../sql/sqlite/read/find_message_number.sql");
static LOAD: &str = include_str!("../../../../sql/sqlite/claim/load_for_change.sql");
static SAVE_STATE: &str = include_str!("../../../../sql/sqlite/claim/apply_change.sql");
static RECIPIENT: &str = include_str!("../../../../sql/sqlite/recipients/read_recipient.sql");
static RECIPIENT_SET: &str = include_str!("../../../../sql/sqlite/recipients/save_recipient.sql");
static WAITING_FOR_ADDRESS: &str =
    include_str!("../../../../sql/sqlite/recipients/select_waiting_deliveries.sql");
static SAVE_PROVIDER: &str = include_str!("../../../../sql/sqlite/maintenance/save_provider.sql");
static PING: &str = include_str!("../../../../sql/sqlite/maintenance/ping_store.sql");

/// See [`crate::Store::cancel`].
pub fn cancel_message(
    desk: &mut WriteTransaction<'_>,
    id: MessageId,
    now: Timestamp,
) -> rusqlite::Result<Cancelled> {
    let number = desk
        .statement(MESSAGE_NUMBER)?
        .query_row([id.bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else {
        return Ok(Cancelled::NotFound);
    };
    let (first, last) = rows::delivery_id_range(number);
    let mut channels = Vec::new();
    for free in load_unleased(desk, first, last)? {
        if let Some(called_off) = free.state.cancel(now) {
            save_state(desk, &free, &called_off, now, now)?;
            channels.push(free.channel);
        }
    }
    Ok(if channels.is_empty() {
        Cancelled::TooLate
    } else {
        Cancelled::Done(channels)
    })
}

/// See [`crate::Store::call_off`].
pub fn cancel_deliveries(
    desk: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
) -> rusqlite::Result<Vec<ConfigName>> {
    let mut channels = Vec::new();
    for id in ids {
        for free in load_unleased(desk, id.0, id.0)? {
            if let Some(called_off) = free.state.cancel(now) {
                save_state(desk, &free, &called_off, now, now)?;
                channels.push(free.channel);
            }
        }
    }
    Ok(channels)
}

/// See [`crate::Store::revive`].
pub fn requeue(
    desk: &mut WriteTransaction<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<Vec<QueueEntry>> {
    let mut nudges = Vec::new();
    for id in ids {
        for free in load_unleased(desk, id.0, id.0)? {
            let Some(revived) = free.state.requeue(now) else {
                continue;
            };
            save_state(desk, &free, &revived, now, expires_at)?;
            nudges.push(QueueEntry {
                id: *id,
                channel: free.channel,
                due_at: now,
                priority: free.priority,
            });
        }
    }
    Ok(nudges)
}

/// Calls off what waits for an address that may not be written to any more and is in no worker's hands.
pub fn suppress_waiting(
    desk: &mut WriteTransaction<'_>,
    channel: &ConfigName,
    address: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let waiting = desk
        .statement(WAITING_FOR_ADDRESS)?
        .query_map([address, channel.as_str()], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in waiting {
        for free in load_unleased(desk, id, id)? {
            if let Some(suppressed) = free.state.suppress(now) {
                save_state(desk, &free, &suppressed, now, now)?;
            }
        }
    }
    Ok(())
}

/// A delivery that is in no worker's hands.
struct UnleasedDelivery {
    id: DeliveryId,
    state: DeliveryState,
    channel: ConfigName,
    priority: Priority,
    watch: Option<EventTarget>,
}

fn load_unleased(
    desk: &mut WriteTransaction<'_>,
    first: i64,
    last: i64,
) -> rusqlite::Result<Vec<UnleasedDelivery>> {
    let mut found = desk.statement(LOAD)?.query([first, last])?;
    let mut free = Vec::new();
    while let Some(row) = found.next()? {
        if row.get(10)? {
            free.push(UnleasedDelivery {
                state: rows::decode_state(row)?,
                id: rows::delivery_id(row, 7)?,
                channel: rows::decode_name(row, 8)?,
                priority: rows::decode_priority(row, 9)?,
                watch: rows::optional_watch(row, 11)?,
            });
        }
    }
    Ok(free)
}

/// Writes the new state; what had failed expires at `expires_at` at the earliest.
fn save_state(
    desk: &mut WriteTransaction<'_>,
    free: &UnleasedDelivery,
    next: &DeliveryState,
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<()> {
    let folded = desk.rollup_position()?;
    let facts = StateColumns::from_state(next);
    desk.statement(SAVE_STATE)?.execute(params![
        free.id.0,
        facts.state,
        facts.failure,
        facts.reason,
        facts.due_at,
        facts.ended_at,
        expires_at.timestamp_millis(),
        folded,
    ])?;
    if let Some(watch) = &free.watch
        && free.state.kind() != next.kind()
    {
        events::insert_event(desk, &NewEvent::new(free.id, watch, next, None, now))?;
    }
    Ok(())
}

/// See [`crate::Store::recipient`].
pub fn recipient(
    connection: &Connection,
    channel: &ConfigName,
    address: &str,
) -> rusqlite::Result<Option<Recipient>> {
    connection
        .prepare_cached(RECIPIENT)?
        .query_row([channel.as_str(), address], |row| {
            Ok(Recipient {
                channel: channel.clone(),
                address: address.to_owned(),
                status: rows::decode_word(row, 0, RecipientStatus::parse)?,
                reason: row.get(1)?,
                changed_by: row.get(2)?,
                changed_at: rows::decode_time(row, 3)?,
            })
        })
        .optional()
}

/// See [`crate::Store::set_recipient`].
pub fn set_recipient(desk: &mut WriteTransaction<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
    desk.statement(RECIPIENT_SET)?.execute(params![
        recipient.channel.as_str(),
        recipient.address,
        recipient.status.as_str(),
        recipient.reason,
        recipient.changed_by,
        recipient.changed_at.timestamp_millis(),
    ])?;
    desk.mark_has_recipients();
    match recipient.status {
        RecipientStatus::Active => Ok(()),
        RecipientStatus::Inactive | RecipientStatus::OptedOut => {
            suppress_waiting(desk, &recipient.channel, &recipient.address, recipient.changed_at)
        }
    }
}

/// See [`crate::Store::name_providers`].
pub fn save_provider_endpoints(
    desk: &mut WriteTransaction<'_>,
    providers: &[ProviderEndpoint],
) -> rusqlite::Result<()> {
    for provider in providers {
        desk.statement(SAVE_PROVIDER)?.execute(params![
            provider.name.as_str(),
            provider.host,
            provider.port
        ])?;
    }
    Ok(())
}

/// See [`crate::Store::ping`].
pub fn ping(desk: &mut WriteTransaction<'_>) -> rusqlite::Result<()> {
    desk.statement(PING)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(drop)
}
