//! Users and broadcasts in SQLite.
//!
//! What writes runs inside the writer's transaction, and so alone: numbers of users have no gaps.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::desk::Desk;
use super::{SqliteStore, accept, look, rows};
use crate::domain::broadcast::{
    Announced, Audience, Broadcast, BroadcastId, Inbox, NewBroadcast, NewUser, Reach, Registered, Tally, User,
};
use crate::domain::contact;
use crate::domain::message::{Acceptance, NewMessage};
use crate::error::Result;
use crate::store::broadcasts::{Broadcasts, UNKNOWN_NAMED_MAX, plan, runs};

static USER: &str = include_str!("../../../sql/sqlite/user.sql");
static USER_NUMBER: &str = include_str!("../../../sql/sqlite/user_number.sql");
static USER_LAST: &str = include_str!("../../../sql/sqlite/user_last.sql");
static USER_INSERT: &str = include_str!("../../../sql/sqlite/user_insert.sql");
static USER_CHANGE: &str = include_str!("../../../sql/sqlite/user_change.sql");
static NUMBER: &str = include_str!("../../../sql/sqlite/broadcast_number.sql");
static INSERT: &str = include_str!("../../../sql/sqlite/broadcast_insert.sql");
static LISTED_INSERT: &str = include_str!("../../../sql/sqlite/broadcast_user.sql");
static OPEN: &str = include_str!("../../../sql/sqlite/broadcast_open.sql");
static ALL: &str = include_str!("../../../sql/sqlite/broadcast_all.sql");
static LISTED: &str = include_str!("../../../sql/sqlite/broadcast_listed.sql");
static ADVANCE: &str = include_str!("../../../sql/sqlite/broadcast_advance.sql");
static RUN: &str = include_str!("../../../sql/sqlite/broadcast_run.sql");
static COUNT: &str = include_str!("../../../sql/sqlite/broadcast_count.sql");
static BROADCAST: &str = include_str!("../../../sql/sqlite/broadcast.sql");
static COUNTS: &str = include_str!("../../../sql/sqlite/broadcast_counts.sql");
static BROADCASTS: &str = include_str!("../../../sql/sqlite/broadcasts.sql");
static INBOX: &str = include_str!("../../../sql/sqlite/inbox.sql");
static OF: &str = include_str!("../../../sql/sqlite/broadcast_of.sql");

#[async_trait]
impl Broadcasts for SqliteStore {
    async fn register(&self, users: Vec<NewUser>) -> Result<Vec<Registered>> {
        self.writer
            .run("cannot register users", move |desk| register(desk, &users))
            .await
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let id = id.to_owned();
        self.readers
            .read("cannot look a user up", move |connection| {
                connection.prepare_cached(USER)?.query_row([&id], user).optional()
            })
            .await
    }

    async fn announce(&self, broadcast: NewBroadcast) -> Result<Announced> {
        self.writer
            .run("cannot store a broadcast", move |desk| announce(desk, &broadcast))
            .await
    }

    async fn unspread(&self, after: i64) -> Result<Option<Broadcast>> {
        self.readers
            .read("cannot look for broadcasts", move |connection| {
                connection
                    .prepare_cached(OPEN)?
                    .query_row([after], broadcast)
                    .optional()
            })
            .await
    }

    async fn addressees(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let (statement, values) = if broadcast.is_to_all {
            (ALL, [broadcast.reached, broadcast.last_user])
        } else {
            (LISTED, [broadcast.number, broadcast.reached])
        };
        self.readers
            .read("cannot look for a broadcast's users", move |connection| {
                connection
                    .prepare_cached(statement)?
                    .query_map([values[0], values[1], rows::limit(limit)], user)?
                    .collect()
            })
            .await
    }

    async fn spread(&self, reach: Reach, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        self.writer
            .run("cannot spread a broadcast", move |desk| {
                spread(desk, &reach, &messages)
            })
            .await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, Tally)>> {
        self.readers
            .read("cannot look a broadcast up", move |connection| {
                counted(connection, id)
            })
            .await
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        self.readers
            .read("cannot list broadcasts", move |connection| {
                connection
                    .prepare_cached(BROADCASTS)?
                    .query_map([before.unwrap_or(i64::MAX), rows::limit(limit)], broadcast)?
                    .collect()
            })
            .await
    }

    async fn inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<Inbox> {
        let user = user.to_owned();
        self.readers
            .read("cannot read an inbox", move |connection| {
                inbox(connection, &user, before, limit)
            })
            .await
    }
}

fn register(desk: &mut Desk<'_>, users: &[NewUser]) -> rusqlite::Result<Vec<Registered>> {
    let mut known = Vec::new();
    for wanted in users {
        let found = desk.statement(USER)?.query_row([&wanted.id], user).optional()?;
        known.extend(found);
    }
    let last = desk.statement(USER_LAST)?.query_row([], |row| row.get(0))?;
    let plan = plan(known, last, users);
    for user in &plan.added {
        desk.statement(USER_INSERT)?.execute(params![
            user.id,
            user.number,
            user.name,
            contact::written(&user.contacts),
            user.created_at.timestamp_millis(),
        ])?;
    }
    for user in &plan.changed {
        desk.statement(USER_CHANGE)?.execute(params![
            user.id,
            user.name,
            contact::written(&user.contacts)
        ])?;
    }
    Ok(plan.outcomes)
}

fn announce(desk: &mut Desk<'_>, new: &NewBroadcast) -> rusqlite::Result<Announced> {
    if let Some(promise) = &new.idempotency
        && let Some(earlier) = accept::earlier(desk, promise, new.created_at)?
    {
        return Ok(match earlier {
            Acceptance::Replayed { id, .. } => Announced::Replayed { id },
            _ => Announced::KeyReused,
        });
    }
    let last_user = desk
        .statement(USER_LAST)?
        .query_row([], |row| row.get::<_, i64>(0))?;
    let listed = match &new.audience {
        Audience::All => None,
        Audience::Listed(ids) => match numbers(desk, ids)? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = listed
        .as_ref()
        .map_or(last_user, |listed| rows::limit(listed.len()));
    let number = desk
        .statement(NUMBER)?
        .query_row([], |row| row.get::<_, i64>(0))?;
    desk.statement(INSERT)?.execute(params![
        number,
        new.id.bytes(),
        new.body,
        new.channel.as_str(),
        new.caller,
        new.created_at.timestamp_millis(),
        i64::from(listed.is_none()),
        last_user,
        users,
        i64::from(users == 0),
    ])?;
    for user in listed.into_iter().flatten() {
        desk.statement(LISTED_INSERT)?.execute([number, user])?;
    }
    if let Some(promise) = &new.idempotency {
        accept::remember(desk, promise, number, new.id)?;
    }
    Ok(Announced::Stored {
        users: u64::try_from(users).unwrap_or_default(),
    })
}

/// The numbers of those users, each once; or that some have not registered.
fn numbers(
    desk: &mut Desk<'_>,
    ids: &[String],
) -> rusqlite::Result<std::result::Result<Vec<i64>, Announced>> {
    let (mut numbers, mut first, mut count) = (Vec::with_capacity(ids.len()), Vec::new(), 0);
    for id in ids {
        let found = desk
            .statement(USER_NUMBER)?
            .query_row([id], |row| row.get::<_, i64>(0))
            .optional()?;
        match found {
            Some(number) => numbers.push(number),
            None => {
                count += 1;
                if first.len() < UNKNOWN_NAMED_MAX {
                    first.push(id.clone());
                }
            }
        }
    }
    if count > 0 {
        return Ok(Err(Announced::Unknown { first, count }));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Ok(numbers))
}

fn spread(
    desk: &mut Desk<'_>,
    reach: &Reach,
    messages: &[NewMessage],
) -> rusqlite::Result<Option<Vec<Acceptance>>> {
    let moved = desk.statement(ADVANCE)?.execute(params![
        reach.broadcast,
        reach.from,
        reach.to,
        rows::whole(reach.unreachable),
        i64::from(reach.is_last),
    ])?;
    if moved == 0 {
        return Ok(None);
    }
    let accepted = accept::accept(desk, messages)?;
    let (runs, refused) = runs(&accepted);
    let mut stored = 0;
    for (first, last) in runs {
        stored += last - first + 1;
        desk.statement(RUN)?.execute([first, last, reach.broadcast])?;
    }
    desk.statement(COUNT)?
        .execute([reach.broadcast, stored, rows::whole(refused)])?;
    Ok(Some(accepted))
}

fn counted(connection: &Connection, id: BroadcastId) -> rusqlite::Result<Option<(Broadcast, Tally)>> {
    let found = connection
        .prepare_cached(BROADCAST)?
        .query_row([id.bytes()], broadcast)
        .optional()?;
    let Some(found) = found else {
        return Ok(None);
    };
    let tally = connection
        .prepare_cached(COUNTS)?
        .query_row([found.number], tally)?;
    Ok(Some((found, tally)))
}

fn inbox(connection: &Connection, user: &str, before: Option<i64>, limit: usize) -> rusqlite::Result<Inbox> {
    let wanted = rows::limit(limit.saturating_add(1));
    let before = before.unwrap_or(look::NUMBER_MAX).min(look::NUMBER_MAX);
    let numbers = connection
        .prepare_cached(INBOX)?
        .query_map(params![user, before, wanted], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let page = look::page(connection, numbers, limit)?;
    let mut of = connection.prepare_cached(OF)?;
    let messages = page.messages.into_iter().map(|message| {
        let broadcast = of
            .query_row([message.number], |row| rows::message_id(row, 0))
            .optional()?;
        Ok((message, broadcast))
    });
    Ok(Inbox {
        messages: messages.collect::<rusqlite::Result<_>>()?,
        next: page.next,
    })
}

fn user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        number: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        contacts: rows::contacts_if_any(row, 3)?.unwrap_or_default(),
        created_at: rows::time(row, 4)?,
    })
}

fn broadcast(row: &Row<'_>) -> rusqlite::Result<Broadcast> {
    Ok(Broadcast {
        number: row.get(0)?,
        id: rows::message_id(row, 1)?,
        body: row.get(2)?,
        channel: rows::name(row, 3)?,
        caller: row.get(4)?,
        created_at: rows::time(row, 5)?,
        is_to_all: row.get(6)?,
        last_user: row.get(7)?,
        users: rows::count(row, 8)?,
        reached: row.get(9)?,
        messages: rows::count(row, 10)?,
        unreachable: rows::count(row, 11)?,
        refused: rows::count(row, 12)?,
        is_spread: row.get(13)?,
    })
}

fn tally(row: &Row<'_>) -> rusqlite::Result<Tally> {
    Ok(Tally {
        messages: rows::count(row, 0)?,
        waiting: rows::count(row, 1)?,
        unconfirmed: rows::count(row, 2)?,
        received: rows::count(row, 3)?,
        failed: rows::count(row, 4)?,
        opened: rows::count(row, 5)?,
    })
}
