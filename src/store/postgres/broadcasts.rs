//! Users and broadcasts on a server.
//!
//! Whoever gives out numbers of users holds a lock to the end of the transaction, so that they have no gaps and a
//! broadcast to all knows its users by the last number alone. A step of a broadcast is one transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use tokio_postgres::Row;

use super::accept::{self, KEY_INSERT};
use super::fault::Trouble;
use super::gather::COLLISIONS_MAX;
use super::link::{Desk, bind};
use super::rows::{self, kept};
use super::{PostgresStore, VERB_LIMIT, look, transact};
use crate::domain::broadcast::{
    Announced, Audience, Broadcast, BroadcastId, Inbox, NewBroadcast, NewUser, Reach, Registered, Tally, User,
};
use crate::domain::contact;
use crate::domain::message::{Acceptance, NewMessage};
use crate::error::Result;
use crate::store::broadcasts::{Broadcasts, UNKNOWN_NAMED_MAX, plan, runs};

static LOCK: &str = include_str!("../../../sql/postgres/user_lock.sql");
static USER: &str = include_str!("../../../sql/postgres/user.sql");
static USERS: &str = include_str!("../../../sql/postgres/users.sql");
static USER_LAST: &str = include_str!("../../../sql/postgres/user_last.sql");
static USER_INSERT: &str = include_str!("../../../sql/postgres/user_insert.sql");
static USER_CHANGE: &str = include_str!("../../../sql/postgres/user_change.sql");
static NUMBER: &str = include_str!("../../../sql/postgres/broadcast_number.sql");
static INSERT: &str = include_str!("../../../sql/postgres/broadcast_insert.sql");
static LISTED_INSERT: &str = include_str!("../../../sql/postgres/broadcast_user.sql");
static OPEN: &str = include_str!("../../../sql/postgres/broadcast_open.sql");
static ALL: &str = include_str!("../../../sql/postgres/broadcast_all.sql");
static LISTED: &str = include_str!("../../../sql/postgres/broadcast_listed.sql");
static ADVANCE: &str = include_str!("../../../sql/postgres/broadcast_advance.sql");
static RUN: &str = include_str!("../../../sql/postgres/broadcast_run.sql");
static COUNT: &str = include_str!("../../../sql/postgres/broadcast_count.sql");
static BROADCAST: &str = include_str!("../../../sql/postgres/broadcast.sql");
static COUNTS: &str = include_str!("../../../sql/postgres/broadcast_counts.sql");
static BROADCASTS: &str = include_str!("../../../sql/postgres/broadcasts.sql");
static INBOX: &str = include_str!("../../../sql/postgres/inbox.sql");
static OF: &str = include_str!("../../../sql/postgres/broadcast_of.sql");

/// The lock of whoever gives out numbers of users or of broadcasts.
const USERS_LOCK: i64 = 0x506F_7374_0004;

#[async_trait]
impl Broadcasts for PostgresStore {
    async fn register(&self, users: Vec<NewUser>) -> Result<Vec<Registered>> {
        let act = "cannot register users";
        transact!(self.write, act, |desk| register(&desk, &users))
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let act = "cannot look a user up";
        transact!(self.read, act, |desk| find_user(&desk, id))
    }

    async fn announce(&self, broadcast: NewBroadcast) -> Result<Announced> {
        let act = "cannot store a broadcast";
        transact!(self.write, act, |desk| announce(&desk, &broadcast))
    }

    async fn unspread(&self, after: i64) -> Result<Option<Broadcast>> {
        let act = "cannot look for broadcasts";
        transact!(self.read, act, |desk| open(&desk, after))
    }

    async fn addressees(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let act = "cannot look for a broadcast's users";
        transact!(self.read, act, |desk| addressees(&desk, broadcast, limit))
    }

    async fn spread(&self, reach: Reach, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        let act = "cannot spread a broadcast";
        transact!(self.write, act, |desk| spread(&desk, &reach, &messages))
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, Tally)>> {
        let act = "cannot look a broadcast up";
        transact!(self.read, act, |desk| counted(&desk, id))
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        let act = "cannot list broadcasts";
        transact!(self.read, act, |desk| list(&desk, before, limit))
    }

    async fn inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<Inbox> {
        let act = "cannot read an inbox";
        transact!(self.read, act, |desk| inbox(&desk, user, before, limit))
    }
}

async fn register(desk: &Desk, users: &[NewUser]) -> Result<Vec<Registered>, Trouble> {
    desk.rows(LOCK, bind![USERS_LOCK]).await?;
    let ids = users.iter().map(|user| kept(&user.id)).collect::<Vec<_>>();
    let known = desk.rows(USERS, bind![ids]).await?;
    let known = known.iter().map(user).collect::<Result<_, _>>()?;
    let plan = plan(known, last_user(desk).await?, users);
    if !plan.added.is_empty() {
        let added = plan.added.iter();
        desk.run(
            USER_INSERT,
            bind![
                added.clone().map(|user| kept(&user.id)).collect::<Vec<_>>(),
                added.clone().map(|user| user.number).collect::<Vec<_>>(),
                names(&plan.added),
                contacts(&plan.added),
                added
                    .map(|user| user.created_at.timestamp_millis())
                    .collect::<Vec<_>>(),
            ],
        )
        .await?;
    }
    if !plan.changed.is_empty() {
        let ids = plan.changed.iter().map(|user| kept(&user.id));
        let ids = ids.collect::<Vec<_>>();
        let (names, contacts) = (names(&plan.changed), contacts(&plan.changed));
        desk.run(USER_CHANGE, bind![ids, names, contacts]).await?;
    }
    Ok(plan.outcomes)
}

fn names(users: &[User]) -> Vec<Option<std::borrow::Cow<'_, str>>> {
    users.iter().map(|user| user.name.as_deref().map(kept)).collect()
}

fn contacts(users: &[User]) -> Vec<Option<String>> {
    users
        .iter()
        .map(|user| contact::written(&user.contacts))
        .collect()
}

async fn last_user(desk: &Desk) -> Result<i64, Trouble> {
    rows::get(&desk.one(USER_LAST, &[]).await?, 0)
}

async fn find_user(desk: &Desk, id: &str) -> Result<Option<User>, Trouble> {
    let found = desk.row(USER, bind![kept(id)]).await?;
    found.as_ref().map(user).transpose()
}

async fn announce(desk: &Desk, new: &NewBroadcast) -> Result<Announced, Trouble> {
    desk.rows(LOCK, bind![USERS_LOCK]).await?;
    let now = new.created_at.timestamp_millis();
    if let Some(promise) = &new.idempotency
        && let Some((request, _, id)) = accept::promised(desk, promise.key, now).await?
    {
        return Ok(if request == promise.request {
            Announced::Replayed { id }
        } else {
            Announced::KeyReused
        });
    }
    let last_user = last_user(desk).await?;
    let listed = match &new.audience {
        Audience::All => None,
        Audience::Listed(ids) => match numbers(desk, ids).await? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = listed
        .as_ref()
        .map_or(last_user, |listed| rows::limit(listed.len()));
    let number = rows::get::<i64>(&desk.one(NUMBER, &[]).await?, 0)?;
    let id = new.id.bytes().to_vec();
    desk.run(
        INSERT,
        bind![
            number,
            id,
            kept(&new.body),
            new.channel.as_str(),
            kept(&new.caller),
            now,
            i64::from(listed.is_none()),
            last_user,
            users,
            i64::from(users == 0),
        ],
    )
    .await?;
    if let Some(listed) = listed {
        desk.run(LISTED_INSERT, bind![number, listed]).await?;
    }
    if let Some(promise) = &new.idempotency {
        let (keys, requests) = (vec![promise.key.to_vec()], vec![promise.request.to_vec()]);
        let expires_at = vec![promise.expires_at.timestamp_millis()];
        let (numbers, ids) = (vec![number], vec![id]);
        desk.rows(KEY_INSERT, bind![keys, requests, numbers, ids, expires_at, now])
            .await?;
    }
    Ok(Announced::Stored {
        users: u64::try_from(users).unwrap_or_default(),
    })
}

/// The numbers of those users, each once; or that some have not registered.
async fn numbers(desk: &Desk, ids: &[String]) -> Result<Result<Vec<i64>, Announced>, Trouble> {
    let wanted = ids.iter().map(|id| kept(id)).collect::<Vec<_>>();
    let mut found = HashMap::with_capacity(ids.len());
    for row in &desk.rows(USERS, bind![wanted]).await? {
        found.insert(rows::text(row, 1)?, rows::get::<i64>(row, 0)?);
    }
    let unknown = ids.iter().filter(|id| !found.contains_key(*id));
    let count = unknown.clone().count();
    if count > 0 {
        let first = unknown.take(UNKNOWN_NAMED_MAX).cloned().collect();
        return Ok(Err(Announced::Unknown { first, count }));
    }
    Ok(Ok(found.into_values().collect()))
}

async fn open(desk: &Desk, after: i64) -> Result<Option<Broadcast>, Trouble> {
    let found = desk.row(OPEN, bind![after]).await?;
    found.as_ref().map(broadcast).transpose()
}

async fn addressees(desk: &Desk, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>, Trouble> {
    let limit = rows::limit(limit);
    let found = if broadcast.is_to_all {
        let values = bind![broadcast.reached, broadcast.last_user, limit];
        desk.rows(ALL, values).await?
    } else {
        let values = bind![broadcast.number, broadcast.reached, limit];
        desk.rows(LISTED, values).await?
    };
    found.iter().map(user).collect()
}

async fn spread(
    desk: &Desk,
    reach: &Reach,
    messages: &[NewMessage],
) -> Result<Option<Vec<Acceptance>>, Trouble> {
    let unreachable = whole(reach.unreachable);
    let is_last = i64::from(reach.is_last);
    let values = bind![reach.broadcast, reach.from, reach.to, unreachable, is_last];
    if desk.run(ADVANCE, values).await? == 0 {
        return Ok(None);
    }
    let messages = messages.iter().collect::<Vec<_>>();
    let accepted = accept::accept(desk, &mut HashSet::new(), &messages).await?;
    let (runs, refused) = runs(&accepted);
    let (firsts, lasts): (Vec<i64>, Vec<i64>) = runs.into_iter().unzip();
    let stored = firsts.iter().zip(&lasts).map(|(first, last)| last - first + 1);
    let stored = stored.sum::<i64>();
    if stored > 0 {
        desk.run(RUN, bind![firsts, lasts, reach.broadcast]).await?;
    }
    desk.run(COUNT, bind![reach.broadcast, stored, whole(refused)])
        .await?;
    Ok(Some(accepted))
}

async fn counted(desk: &Desk, id: BroadcastId) -> Result<Option<(Broadcast, Tally)>, Trouble> {
    let Some(found) = desk.row(BROADCAST, bind![id.bytes().to_vec()]).await? else {
        return Ok(None);
    };
    let found = broadcast(&found)?;
    let row = desk.one(COUNTS, bind![found.number]).await?;
    let tally = Tally {
        messages: rows::count(&row, 0)?,
        waiting: rows::count(&row, 1)?,
        unconfirmed: rows::count(&row, 2)?,
        received: rows::count(&row, 3)?,
        failed: rows::count(&row, 4)?,
        opened: rows::count(&row, 5)?,
    };
    Ok(Some((found, tally)))
}

async fn list(desk: &Desk, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>, Trouble> {
    let (before, limit) = (before.unwrap_or(i64::MAX), rows::limit(limit));
    desk.rows(BROADCASTS, bind![before, limit])
        .await?
        .iter()
        .map(broadcast)
        .collect()
}

async fn inbox(desk: &Desk, user: &str, before: Option<i64>, limit: usize) -> Result<Inbox, Trouble> {
    let wanted = rows::limit(limit.saturating_add(1));
    let before = before.unwrap_or(look::NUMBER_MAX).min(look::NUMBER_MAX);
    let numbers = desk.rows(INBOX, bind![kept(user), before, wanted]).await?;
    let numbers = numbers.iter().map(|row| rows::get(row, 0));
    let page = look::page(desk, numbers.collect::<Result<_, _>>()?, limit).await?;
    let asked = page.messages.iter().map(|message| message.number);
    let mut of = HashMap::new();
    for row in &desk.rows(OF, bind![asked.collect::<Vec<_>>()]).await? {
        of.insert(rows::get::<i64>(row, 0)?, rows::message_id(row, 1)?);
    }
    let messages = page.messages.into_iter().map(|message| {
        let of = of.get(&message.number).copied();
        (message, of)
    });
    Ok(Inbox {
        messages: messages.collect(),
        next: page.next,
    })
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn user(row: &Row) -> Result<User, Trouble> {
    Ok(User {
        number: rows::get(row, 0)?,
        id: rows::text(row, 1)?,
        name: rows::text_if_any(row, 2)?,
        contacts: rows::contacts_if_any(row, 3)?.unwrap_or_default(),
        created_at: rows::time(row, 4)?,
    })
}

fn broadcast(row: &Row) -> Result<Broadcast, Trouble> {
    Ok(Broadcast {
        number: rows::get(row, 0)?,
        id: rows::message_id(row, 1)?,
        body: rows::text(row, 2)?,
        channel: rows::name(row, 3)?,
        caller: rows::text(row, 4)?,
        created_at: rows::time(row, 5)?,
        is_to_all: rows::get::<i64>(row, 6)? == 1,
        last_user: rows::get(row, 7)?,
        users: rows::count(row, 8)?,
        reached: rows::get(row, 9)?,
        messages: rows::count(row, 10)?,
        unreachable: rows::count(row, 11)?,
        refused: rows::count(row, 12)?,
        is_spread: rows::get::<i64>(row, 13)? == 1,
    })
}
