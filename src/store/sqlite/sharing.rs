//! What the processes on one file agree on: how fast providers are asked, how they do, whose turn it is.
//!
//! Runs inside the writer's transaction, which no other process shares, and never begins or ends one.

use std::time::Duration;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::desk::Desk;
use super::rows;
use crate::clock::Timestamp;
use crate::domain::fleet::{Known, Learned, News};
use crate::domain::throttle::{self, Kept, PaceWish};
use crate::domain::turn::{Owner, Task, Turn};
use crate::store::Probe;
use crate::store::sharing::{self, Columns};

static PACE: &str = include_str!("../../../sql/sqlite/pace.sql");
static PACE_KEEP: &str = include_str!("../../../sql/sqlite/pace_keep.sql");
static STANDINGS: &str = include_str!("../../../sql/sqlite/standings.sql");
static STANDING: &str = include_str!("../../../sql/sqlite/standing.sql");
static STANDING_KEEP: &str = include_str!("../../../sql/sqlite/standing_keep.sql");
static TURN: &str = include_str!("../../../sql/sqlite/turn.sql");
static TURN_TAKE: &str = include_str!("../../../sql/sqlite/turn_take.sql");
static TURN_RENEW: &str = include_str!("../../../sql/sqlite/turn_renew.sql");
static TURN_END: &str = include_str!("../../../sql/sqlite/turn_end.sql");

/// See [`crate::store::Store::pass`].
pub fn pass(
    desk: &mut Desk<'_>,
    wish: &PaceWish,
    now: Timestamp,
) -> rusqlite::Result<Vec<Result<(), Duration>>> {
    let provider = wish.provider.as_str();
    let kept = desk.statement(PACE)?.query_row([provider], kept).optional()?;
    let (kept, passages) = throttle::pass(kept, wish, now);
    desk.statement(PACE_KEEP)?.execute(params![
        provider,
        kept.tokens_micros,
        kept.counted_at.unwrap_or(now).timestamp_millis(),
        kept.next_slot.map(|slot| slot.timestamp_micros()),
        kept.paused_until.map(|until| until.timestamp_millis()),
    ])?;
    Ok(passages)
}

fn kept(row: &Row<'_>) -> rusqlite::Result<Kept> {
    Ok(Kept {
        tokens_micros: row.get(0)?,
        counted_at: rows::time_if_any(row, 1)?,
        next_slot: row.get::<_, Option<i64>>(2)?.map(sharing::from_micros),
        paused_until: rows::time_if_any(row, 3)?,
    })
}

/// See [`crate::store::Store::standings`].
pub fn standings(connection: &Connection) -> rusqlite::Result<Vec<Known>> {
    let mut statement = connection.prepare_cached(STANDINGS)?;
    statement.query_map([], known)?.collect()
}

/// See [`crate::store::Store::tell`].
pub fn tell(desk: &mut Desk<'_>, news: &[News], now: Timestamp) -> rusqlite::Result<Vec<Learned>> {
    let mut told = Vec::with_capacity(news.len());
    for news in news {
        let before = standing(desk, news.provider.as_str())?;
        let after = Learned::after(before.clone(), news.clone(), now);
        if before.as_ref() != Some(&after.known) {
            keep(desk, &after.known)?;
        }
        told.push(after);
    }
    Ok(told)
}

/// See [`crate::store::Store::probe`].
pub fn probe(
    desk: &mut Desk<'_>,
    provider: &str,
    patience: Duration,
    now: Timestamp,
) -> rusqlite::Result<Probe> {
    let Some(known) = standing(desk, provider)? else {
        return Ok(Probe::NotYours(None));
    };
    let Some(probing) = known.probed(patience, now) else {
        return Ok(Probe::NotYours(Some(known)));
    };
    keep(desk, &probing)?;
    Ok(Probe::Yours(probing))
}

fn standing(desk: &mut Desk<'_>, provider: &str) -> rusqlite::Result<Option<Known>> {
    desk.statement(STANDING)?.query_row([provider], known).optional()
}

fn keep(desk: &mut Desk<'_>, known: &Known) -> rusqlite::Result<()> {
    let columns = Columns::of(known);
    desk.statement(STANDING_KEEP)?.execute(params![
        known.provider.as_str(),
        columns.standing,
        columns.till,
        columns.times,
        columns.reason,
        known.paused_until.map(|until| until.timestamp_millis()),
        known.since.timestamp_millis(),
        known.version,
    ])?;
    Ok(())
}

fn known(row: &Row<'_>) -> rusqlite::Result<Known> {
    let since = rows::time(row, 6)?;
    let standing = row.get::<_, String>(1)?;
    let told = sharing::told(&standing, row.get(2)?, row.get(3)?, row.get(4)?, since);
    let impossible = || {
        let cause = format!("{standing:?} is no standing of a provider");
        rusqlite::Error::FromSqlConversionFailure(1, Type::Text, cause.into())
    };
    Ok(Known {
        provider: rows::name(row, 0)?,
        told: told.ok_or_else(impossible)?,
        paused_until: rows::time_if_any(row, 5)?,
        since,
        version: row.get(7)?,
    })
}

/// See [`crate::store::Store::take_turn`].
pub fn take_turn(
    desk: &mut Desk<'_>,
    task: Task,
    holder: &str,
    now: Timestamp,
    hold: Duration,
) -> rusqlite::Result<Turn> {
    let (ends_at, too_late) = (now + hold, now + hold * 2);
    let taken = desk.statement(TURN_TAKE)?.execute(params![
        task.word(),
        holder,
        now.timestamp_millis(),
        ends_at.timestamp_millis(),
        too_late.timestamp_millis(),
    ])?;
    if taken > 0 {
        return Ok(Turn::Yours);
    }
    desk.statement(TURN)?.query_row([task.word()], |row| {
        Ok(Turn::Taken(Owner {
            holder: row.get(0)?,
            began_at: rows::time(row, 1)?,
            ends_at: rows::time(row, 2)?,
            done: row.get(3)?,
        }))
    })
}

/// See [`crate::store::Store::renew_turn`].
pub fn renew_turn(
    desk: &mut Desk<'_>,
    task: Task,
    holder: &str,
    ends_at: Timestamp,
) -> rusqlite::Result<bool> {
    let values = params![task.word(), holder, ends_at.timestamp_millis()];
    Ok(desk.statement(TURN_RENEW)?.execute(values)? > 0)
}

/// See [`crate::store::Store::end_turn`].
pub fn end_turn(desk: &mut Desk<'_>, task: Task, holder: &str, ends_at: Timestamp) -> rusqlite::Result<()> {
    let values = params![task.word(), holder, ends_at.timestamp_millis()];
    desk.statement(TURN_END)?.execute(values).map(drop)
}
