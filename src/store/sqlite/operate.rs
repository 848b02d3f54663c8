//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::{Connection, OptionalExtension, params};

use super::desk::Desk;
use super::events;
use super::rows::{self, Facts};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::State;
use crate::domain::event::Watch;
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::{Nudge, Priority};
use crate::domain::recipient::{Recipient, Standing};
use crate::store::outbox::Emission;
use crate::store::{Cancelled, ProviderPlace};

static NUMBER: &str = include_str!("../../../sql/sqlite/number.sql");
static LOAD: &str = include_str!("../../../sql/sqlite/change_load.sql");
static APPLY: &str = include_str!("../../../sql/sqlite/change_apply.sql");
static RECIPIENT: &str = include_str!("../../../sql/sqlite/recipient.sql");
static RECIPIENT_SET: &str = include_str!("../../../sql/sqlite/recipient_set.sql");
static WAITING: &str = include_str!("../../../sql/sqlite/suppress_waiting.sql");
static PROVIDER: &str = include_str!("../../../sql/sqlite/provider_name.sql");
static PING: &str = include_str!("../../../sql/sqlite/ping.sql");

/// See [`crate::store::Store::cancel`].
pub fn cancel(desk: &mut Desk<'_>, id: MessageId, now: Timestamp) -> rusqlite::Result<Cancelled> {
    let number = desk
        .statement(NUMBER)?
        .query_row([id.bytes()], |row| row.get(0))
        .optional()?;
    let Some(number) = number else {
        return Ok(Cancelled::Missing);
    };
    let (first, last) = rows::range(number);
    let mut channels = Vec::new();
    for free in load(desk, first, last)? {
        if let Some(called_off) = free.state.cancel(now) {
            apply(desk, &free, &called_off, now, now)?;
            channels.push(free.channel);
        }
    }
    Ok(if channels.is_empty() {
        Cancelled::TooLate
    } else {
        Cancelled::Done(channels)
    })
}

/// See [`crate::store::Store::revive`].
pub fn revive(
    desk: &mut Desk<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<Vec<Nudge>> {
    let mut nudges = Vec::new();
    for id in ids {
        for free in load(desk, id.0, id.0)? {
            let Some(revived) = free.state.revive(now) else {
                continue;
            };
            apply(desk, &free, &revived, now, expires_at)?;
            nudges.push(Nudge {
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
pub fn suppress(desk: &mut Desk<'_>, channel: &Name, address: &str, now: Timestamp) -> rusqlite::Result<()> {
    let waiting = desk
        .statement(WAITING)?
        .query_map([address, channel.as_str()], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    for id in waiting {
        for free in load(desk, id, id)? {
            if let Some(suppressed) = free.state.suppress(now) {
                apply(desk, &free, &suppressed, now, now)?;
            }
        }
    }
    Ok(())
}

/// A delivery that is in no worker's hands.
struct Free {
    id: DeliveryId,
    state: State,
    channel: Name,
    priority: Priority,
    watch: Option<Watch>,
}

fn load(desk: &mut Desk<'_>, first: i64, last: i64) -> rusqlite::Result<Vec<Free>> {
    let mut found = desk.statement(LOAD)?.query([first, last])?;
    let mut free = Vec::new();
    while let Some(row) = found.next()? {
        if row.get(10)? {
            free.push(Free {
                state: rows::state(row)?,
                id: rows::delivery_id(row, 7)?,
                channel: rows::name(row, 8)?,
                priority: rows::priority(row, 9)?,
                watch: rows::watch_if_any(row, 11)?,
            });
        }
    }
    Ok(free)
}

/// Writes the new state; what had failed expires at `expires_at` at the earliest.
fn apply(
    desk: &mut Desk<'_>,
    free: &Free,
    next: &State,
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<()> {
    let folded = desk.folded()?;
    let facts = Facts::of(next);
    desk.statement(APPLY)?.execute(params![
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
        && free.state.standing() != next.standing()
    {
        events::emit(desk, &Emission::new(free.id, watch, next, None, now))?;
    }
    Ok(())
}

/// See [`crate::store::Store::recipient`].
pub fn recipient(
    connection: &Connection,
    channel: &Name,
    address: &str,
) -> rusqlite::Result<Option<Recipient>> {
    connection
        .prepare_cached(RECIPIENT)?
        .query_row([channel.as_str(), address], |row| {
            Ok(Recipient {
                channel: channel.clone(),
                address: address.to_owned(),
                standing: rows::word(row, 0, Standing::from_word)?,
                reason: row.get(1)?,
                changed_by: row.get(2)?,
                changed_at: rows::time(row, 3)?,
            })
        })
        .optional()
}

/// See [`crate::store::Store::set_recipient`].
pub fn set_recipient(desk: &mut Desk<'_>, recipient: &Recipient) -> rusqlite::Result<()> {
    desk.statement(RECIPIENT_SET)?.execute(params![
        recipient.channel.as_str(),
        recipient.address,
        recipient.standing.word(),
        recipient.reason,
        recipient.changed_by,
        recipient.changed_at.timestamp_millis(),
    ])?;
    desk.set_knows_recipients();
    match recipient.standing {
        Standing::Active => Ok(()),
        Standing::Inactive | Standing::OptedOut => {
            suppress(desk, &recipient.channel, &recipient.address, recipient.changed_at)
        }
    }
}

/// See [`crate::store::Store::name_providers`].
pub fn name_providers(desk: &mut Desk<'_>, providers: &[ProviderPlace]) -> rusqlite::Result<()> {
    for provider in providers {
        desk.statement(PROVIDER)?
            .execute(params![provider.name.as_str(), provider.host, provider.port])?;
    }
    Ok(())
}

/// See [`crate::store::Store::ping`].
pub fn ping(desk: &mut Desk<'_>) -> rusqlite::Result<()> {
    desk.statement(PING)?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(drop)
}
