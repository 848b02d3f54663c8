//! Users and broadcasts in SQLite.
//!
//! What writes runs inside the writer's transaction, and so alone: numbers of users have no gaps.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::write_transaction::WriteTransaction;
use super::{SqliteStore, accept, read, rows};
use crate::broadcasts::{BroadcastStore, UNKNOWN_IDS_LISTED_MAX, number_ranges, plan_registration};
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastAudience, BroadcastCounts, BroadcastId, FanOutStep,
    NewBroadcast, NewUser, User, UserInboxPage, UserRegistration,
};
use postrider_core::contact;
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};

static FIND_USER: &str = include_str!("../../../../sql/sqlite/broadcasts/read_user.sql");
static USER_NUMBER: &str = include_str!("../../../../sql/sqlite/broadcasts/find_user_number.sql");
static USER_LAST: &str = include_str!("../../../../sql/sqlite/broadcasts/read_last_user_number.sql");
static USER_INSERT: &str = include_str!("../../../../sql/sqlite/broadcasts/insert_user.sql");
static USER_CHANGE: &str = include_str!("../../../../sql/sqlite/broadcasts/update_user.sql");
static NEXT_NUMBER: &str = include_str!("../../../../sql/sqlite/broadcasts/allocate_number.sql");
static INSERT: &str = include_str!("../../../../sql/sqlite/broadcasts/insert_broadcast.sql");
static INSERT_LISTED_USER: &str = include_str!("../../../../sql/sqlite/broadcasts/insert_named_user.sql");
static NEXT_UNFINISHED: &str = include_str!("../../../../sql/sqlite/broadcasts/find_unfinished.sql");
static ALL_USERS_AFTER: &str = include_str!("../../../../sql/sqlite/broadcasts/list_all_users.sql");
static LISTED_USERS_AFTER: &str = include_str!("../../../../sql/sqlite/broadcasts/list_named_users.sql");
static ADVANCE: &str = include_str!("../../../../sql/sqlite/broadcasts/advance_fan_out.sql");
static INSERT_NUMBER_RANGE: &str = include_str!("../../../../sql/sqlite/broadcasts/insert_message_range.sql");
static ADD_MESSAGE_COUNTS: &str = include_str!("../../../../sql/sqlite/broadcasts/add_counts.sql");
static FIND_BROADCAST: &str = include_str!("../../../../sql/sqlite/broadcasts/read_broadcast.sql");
static COUNT_MESSAGES: &str = include_str!("../../../../sql/sqlite/broadcasts/count_deliveries.sql");
static LIST_BROADCASTS: &str = include_str!("../../../../sql/sqlite/broadcasts/list_broadcasts.sql");
static INBOX: &str = include_str!("../../../../sql/sqlite/read/list_user_inbox.sql");
static BROADCAST_OF_MESSAGE: &str = include_str!("../../../../sql/sqlite/broadcasts/find_by_message.sql");

#[async_trait]
impl BroadcastStore for SqliteStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        self.write_thread
            .run("cannot register users", move |desk| register_users(desk, &users))
            .await
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let id = id.to_owned();
        self.readers
            .read("cannot look a user up", move |connection| {
                connection
                    .prepare_cached(FIND_USER)?
                    .query_row([&id], decode_user)
                    .optional()
            })
            .await
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        self.write_thread
            .run("cannot store a broadcast", move |desk| {
                create_broadcast(desk, &broadcast)
            })
            .await
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        self.readers
            .read("cannot look for broadcasts", move |connection| {
                connection
                    .prepare_cached(NEXT_UNFINISHED)?
                    .query_row([after], decode_broadcast)
                    .optional()
            })
            .await
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let (statement, values) = if broadcast.is_to_all {
            (ALL_USERS_AFTER, [broadcast.fan_out_position, broadcast.last_user])
        } else {
            (LISTED_USERS_AFTER, [broadcast.number, broadcast.fan_out_position])
        };
        self.readers
            .read("cannot look for a broadcast's users", move |connection| {
                connection
                    .prepare_cached(statement)?
                    .query_map([values[0], values[1], rows::limit_to_sql(limit)], decode_user)?
                    .collect()
            })
            .await
    }

    async fn fan_out(&self, reach: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        self.write_thread
            .run("cannot spread a broadcast", move |desk| {
                fan_out(desk, &reach, &messages)
            })
            .await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        self.readers
            .read("cannot look a broadcast up", move |connection| {
                find_with_counts(connection, id)
            })
            .await
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        self.readers
            .read("cannot list broadcasts", move |connection| {
                connection
                    .prepare_cached(LIST_BROADCASTS)?
                    .query_map(
                        [before.unwrap_or(i64::MAX), rows::limit_to_sql(limit)],
                        decode_broadcast,
                    )?
                    .collect()
            })
            .await
    }

    async fn user_inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<UserInboxPage> {
        let user = user.to_owned();
        self.readers
            .read("cannot read an inbox", move |connection| {
                user_inbox(connection, &user, before, limit)
            })
            .await
    }
}

fn register_users(
    desk: &mut WriteTransaction<'_>,
    users: &[NewUser],
) -> rusqlite::Result<Vec<UserRegistration>> {
    let mut known = Vec::new();
    for wanted in users {
        let found = desk
            .statement(FIND_USER)?
            .query_row([&wanted.id], decode_user)
            .optional()?;
        known.extend(found);
    }
    let last = desk.statement(USER_LAST)?.query_row([], |row| row.get(0))?;
    let plan = plan_registration(known, last, users);
    for user in &plan.new_users {
        desk.statement(USER_INSERT)?.execute(params![
            user.id,
            user.number,
            user.name,
            contact::encode_contacts(&user.contacts),
            user.created_at.timestamp_millis(),
        ])?;
    }
    for user in &plan.changed_users {
        desk.statement(USER_CHANGE)?.execute(params![
            user.id,
            user.name,
            contact::encode_contacts(&user.contacts)
        ])?;
    }
    Ok(plan.results)
}

fn create_broadcast(
    desk: &mut WriteTransaction<'_>,
    new: &NewBroadcast,
) -> rusqlite::Result<BroadcastAcceptance> {
    if let Some(promise) = &new.idempotency
        && let Some(earlier) = accept::find_replay(desk, promise, new.created_at)?
    {
        return Ok(match earlier {
            Acceptance::Replayed { id, .. } => BroadcastAcceptance::Replayed { id },
            _ => BroadcastAcceptance::KeyReused,
        });
    }
    let last_user = desk
        .statement(USER_LAST)?
        .query_row([], |row| row.get::<_, i64>(0))?;
    let listed = match &new.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(ids) => match user_numbers(desk, ids)? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = listed
        .as_ref()
        .map_or(last_user, |listed| rows::limit_to_sql(listed.len()));
    let number = desk
        .statement(NEXT_NUMBER)?
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
        desk.statement(INSERT_LISTED_USER)?.execute([number, user])?;
    }
    if let Some(promise) = &new.idempotency {
        accept::save_idempotency_key(desk, promise, number, new.id)?;
    }
    Ok(BroadcastAcceptance::Stored {
        users: u64::try_from(users).unwrap_or_default(),
    })
}

/// The numbers of those users, each once; or that some have not registered.
fn user_numbers(
    desk: &mut WriteTransaction<'_>,
    ids: &[String],
) -> rusqlite::Result<std::result::Result<Vec<i64>, BroadcastAcceptance>> {
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
                if first.len() < UNKNOWN_IDS_LISTED_MAX {
                    first.push(id.clone());
                }
            }
        }
    }
    if count > 0 {
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first, count }));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Ok(numbers))
}

fn fan_out(
    desk: &mut WriteTransaction<'_>,
    reach: &FanOutStep,
    messages: &[NewMessage],
) -> rusqlite::Result<Option<Vec<Acceptance>>> {
    let moved = desk.statement(ADVANCE)?.execute(params![
        reach.broadcast,
        reach.from,
        reach.to,
        rows::count_to_sql(reach.unreachable),
        i64::from(reach.is_last),
    ])?;
    if moved == 0 {
        return Ok(None);
    }
    let accepted = accept::accept(desk, messages)?;
    let (runs, refused) = number_ranges(&accepted);
    let mut stored = 0;
    for (first, last) in runs {
        stored += last - first + 1;
        desk.statement(INSERT_NUMBER_RANGE)?
            .execute([first, last, reach.broadcast])?;
    }
    desk.statement(ADD_MESSAGE_COUNTS)?
        .execute([reach.broadcast, stored, rows::count_to_sql(refused)])?;
    Ok(Some(accepted))
}

fn find_with_counts(
    connection: &Connection,
    id: BroadcastId,
) -> rusqlite::Result<Option<(Broadcast, BroadcastCounts)>> {
    let found = connection
        .prepare_cached(FIND_BROADCAST)?
        .query_row([id.bytes()], decode_broadcast)
        .optional()?;
    let Some(found) = found else {
        return Ok(None);
    };
    let tally = connection
        .prepare_cached(COUNT_MESSAGES)?
        .query_row([found.number], decode_counts)?;
    Ok(Some((found, tally)))
}

fn user_inbox(
    connection: &Connection,
    user: &str,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<UserInboxPage> {
    let wanted = rows::limit_to_sql(limit.saturating_add(1));
    let before = before
        .unwrap_or(read::MESSAGE_NUMBER_MAX)
        .min(read::MESSAGE_NUMBER_MAX);
    let numbers = connection
        .prepare_cached(INBOX)?
        .query_map(params![user, before, wanted], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let page = read::load_message_list(connection, numbers, limit)?;
    let mut of = connection.prepare_cached(BROADCAST_OF_MESSAGE)?;
    let messages = page.messages.into_iter().map(|message| {
        let broadcast = of
            .query_row([message.number], |row| rows::message_id(row, 0))
            .optional()?;
        Ok((message, broadcast))
    });
    Ok(UserInboxPage {
        messages: messages.collect::<rusqlite::Result<_>>()?,
        next: page.next,
    })
}

fn decode_user(row: &Row<'_>) -> rusqlite::Result<User> {
    Ok(User {
        number: row.get(0)?,
        id: row.get(1)?,
        name: row.get(2)?,
        contacts: rows::optional_contacts(row, 3)?.unwrap_or_default(),
        created_at: rows::decode_time(row, 4)?,
    })
}

fn decode_broadcast(row: &Row<'_>) -> rusqlite::Result<Broadcast> {
    Ok(Broadcast {
        number: row.get(0)?,
        id: rows::message_id(row, 1)?,
        body: row.get(2)?,
        channel: rows::decode_name(row, 3)?,
        caller: row.get(4)?,
        created_at: rows::decode_time(row, 5)?,
        is_to_all: row.get(6)?,
        last_user: row.get(7)?,
        users: rows::decode_count(row, 8)?,
        fan_out_position: row.get(9)?,
        messages: rows::decode_count(row, 10)?,
        unreachable: rows::decode_count(row, 11)?,
        refused: rows::decode_count(row, 12)?,
        is_fanned_out: row.get(13)?,
    })
}

fn decode_counts(row: &Row<'_>) -> rusqlite::Result<BroadcastCounts> {
    Ok(BroadcastCounts {
        messages: rows::decode_count(row, 0)?,
        waiting: rows::decode_count(row, 1)?,
        unconfirmed: rows::decode_count(row, 2)?,
        received: rows::decode_count(row, 3)?,
        failed: rows::decode_count(row, 4)?,
        opened: rows::decode_count(row, 5)?,
    })
}
