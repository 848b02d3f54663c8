//! What operators and clients change by hand: calling off, sending again, recipients, places of providers.
//!
//! Runs inside the writer's transaction and never begins or ends one.

use rusqlite::{Connection, OptionalExtension, params};

use super::desk::Desk;
use super::rows::{self, Facts};
use crate::clock::Timestamp;
use crate::domain::channel::Name;
use crate::domain::delivery::{Failure, State};
use crate::domain::id::{DeliveryId, MessageId};
use crate::domain::message::Nudge;
use crate::domain::recipient::{Recipient, Standing};
use crate::store::{Cancelled, ProviderPlace};

static NUMBER: &str = include_str!("../../../sql/sqlite/number.sql");
static CANCEL: &str = include_str!("../../../sql/sqlite/cancel.sql");
static REVIVE_FAILED: &str = include_str!("../../../sql/sqlite/revive_failed.sql");
static REVIVE_WAITING: &str = include_str!("../../../sql/sqlite/revive_waiting.sql");
static RECIPIENT: &str = include_str!("../../../sql/sqlite/recipient.sql");
static RECIPIENT_SET: &str = include_str!("../../../sql/sqlite/recipient_set.sql");
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
    let waiting = State::Waiting {
        due_at: now,
        reason: None,
    };
    let Some(called_off) = waiting.cancel(now) else {
        return Ok(Cancelled::TooLate);
    };
    let facts = Facts::of(&called_off);
    let (first, last) = rows::range(number);
    let folded = desk.folded()?;
    let changed = desk.statement(CANCEL)?.execute(params![
        first,
        last,
        facts.failure,
        facts.reason,
        facts.ended_at,
        folded
    ])?;
    Ok(match changed {
        0 => Cancelled::TooLate,
        changed => Cancelled::Done(changed),
    })
}

/// See [`crate::store::Store::revive`].
pub fn revive(
    desk: &mut Desk<'_>,
    ids: &[DeliveryId],
    now: Timestamp,
    expires_at: Timestamp,
) -> rusqlite::Result<Vec<Nudge>> {
    let failed = State::failed(Failure::Exhausted, "", now);
    let Some(revived) = failed.revive(now) else {
        return Ok(Vec::new());
    };
    let reason = Facts::of(&revived).reason;
    let (due_at, expires_at) = (now.timestamp_millis(), expires_at.timestamp_millis());
    let called = |row: &rusqlite::Row<'_>| Ok((rows::priority(row, 0)?, rows::name(row, 1)?));
    let mut nudges = Vec::new();
    for id in ids {
        let folded = desk.folded()?;
        let mut changed = desk
            .statement(REVIVE_FAILED)?
            .query_row(params![id.0, due_at, reason, expires_at, folded], called)
            .optional()?;
        if changed.is_none() {
            changed = desk
                .statement(REVIVE_WAITING)?
                .query_row([id.0, due_at], called)
                .optional()?;
        }
        nudges.extend(changed.map(|(priority, channel)| Nudge {
            id: *id,
            channel,
            due_at: now,
            priority,
        }));
    }
    Ok(nudges)
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
    Ok(())
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
