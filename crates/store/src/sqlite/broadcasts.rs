//! Users and broadcasts in SQLite.
//!
//! Write transactions are exclusive, so user numbers have no gaps.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::accept;
use super::messages::{MESSAGE_NUMBER_MAX, load_message_list};
use super::store::SqliteStore;
use super::write_transaction::WriteTransaction;
use crate::broadcasts::{BroadcastStore, UNKNOWN_IDS_LISTED_MAX, number_ranges, plan_registration};
use crate::rows::broadcasts::{decode_broadcast, decode_broadcast_counts, decode_user};
use crate::rows::{SqlRow, count_to_sql, limit_to_sql};
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastAudience, BroadcastCounts, BroadcastId, FanOutStep,
    NewBroadcast, NewUser, User, UserInboxPage, UserRegistration,
};
use postrider_core::contact;
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};

static FIND_USER: &str = sql!("sqlite/broadcasts/read_user");
static USER_NUMBER: &str = sql!("sqlite/broadcasts/find_user_number");
static LAST_USER_NUMBER: &str = sql!("sqlite/broadcasts/read_last_user_number");
static INSERT_USER: &str = sql!("sqlite/broadcasts/insert_user");
static UPDATE_USER: &str = sql!("sqlite/broadcasts/update_user");
static NEXT_NUMBER: &str = sql!("sqlite/broadcasts/allocate_number");
static INSERT: &str = sql!("sqlite/broadcasts/insert_broadcast");
static INSERT_LISTED_USER: &str = sql!("sqlite/broadcasts/insert_named_user");
static NEXT_UNFINISHED: &str = sql!("sqlite/broadcasts/find_unfinished");
static ALL_USERS_AFTER: &str = sql!("sqlite/broadcasts/list_all_users");
static LISTED_USERS_AFTER: &str = sql!("sqlite/broadcasts/list_named_users");
static ADVANCE: &str = sql!("sqlite/broadcasts/advance_fan_out");
static INSERT_NUMBER_RANGE: &str = sql!("sqlite/broadcasts/insert_message_range");
static ADD_MESSAGE_COUNTS: &str = sql!("sqlite/broadcasts/add_counts");
static FIND_BROADCAST: &str = sql!("sqlite/broadcasts/read_broadcast");
static COUNT_DELIVERIES: &str = sql!("sqlite/broadcasts/count_deliveries");
static LIST_BROADCASTS: &str = sql!("sqlite/broadcasts/list_broadcasts");
static INBOX: &str = sql!("sqlite/read/list_user_inbox");
static BROADCAST_OF_MESSAGE: &str = sql!("sqlite/broadcasts/find_by_message");

#[async_trait]
impl BroadcastStore for SqliteStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        self.write("cannot register users", move |transaction| register_users(transaction, &users)).await
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let id = id.to_owned();
        self.read("cannot read a user", move |connection| {
            connection.prepare_cached(FIND_USER)?.query_row([&id], |row| decode_user(row)).optional()
        })
        .await
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        self.write("cannot store a broadcast", move |transaction| create_broadcast(transaction, &broadcast))
            .await
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        self.read("cannot read unfinished broadcasts", move |connection| {
            connection
                .prepare_cached(NEXT_UNFINISHED)?
                .query_row([after], |row| decode_broadcast(row))
                .optional()
        })
        .await
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let (sql, values) = if broadcast.is_to_all {
            (ALL_USERS_AFTER, [broadcast.fan_out_position, broadcast.last_user])
        } else {
            (LISTED_USERS_AFTER, [broadcast.number, broadcast.fan_out_position])
        };
        self.read("cannot read the users of a broadcast", move |connection| {
            connection
                .prepare_cached(sql)?
                .query_map([values[0], values[1], limit_to_sql(limit)], |row| decode_user(row))?
                .collect()
        })
        .await
    }

    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        self.write("cannot fan out a broadcast", move |transaction| fan_out(transaction, &step, &messages))
            .await
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        self.read("cannot read a broadcast", move |connection| find_with_counts(connection, id)).await
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        self.read("cannot list broadcasts", move |connection| {
            connection
                .prepare_cached(LIST_BROADCASTS)?
                .query_map([before.unwrap_or(i64::MAX), limit_to_sql(limit)], |row| decode_broadcast(row))?
                .collect()
        })
        .await
    }

    async fn user_inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<UserInboxPage> {
        let user = user.to_owned();
        self.read("cannot read a user inbox", move |connection| user_inbox(connection, &user, before, limit))
            .await
    }
}

fn register_users(
    transaction: &mut WriteTransaction<'_>,
    users: &[NewUser],
) -> rusqlite::Result<Vec<UserRegistration>> {
    let mut stored_users = Vec::new();
    for user in users {
        let stored_user =
            transaction.statement(FIND_USER)?.query_row([&user.id], |row| decode_user(row)).optional()?;
        stored_users.extend(stored_user);
    }
    let last = read_last_user_number(transaction)?;
    let plan = plan_registration(stored_users, last, users);
    for user in &plan.new_users {
        transaction.statement(INSERT_USER)?.execute(params![
            user.id,
            user.number,
            user.name,
            contact::encode_contacts(&user.contacts),
            user.created_at.timestamp_millis(),
        ])?;
    }
    for user in &plan.changed_users {
        transaction.statement(UPDATE_USER)?.execute(params![
            user.id,
            user.name,
            contact::encode_contacts(&user.contacts)
        ])?;
    }
    Ok(plan.results)
}

fn read_last_user_number(transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<i64> {
    transaction.statement(LAST_USER_NUMBER)?.query_row([], |row| row.integer("number"))
}

fn create_broadcast(
    transaction: &mut WriteTransaction<'_>,
    new: &NewBroadcast,
) -> rusqlite::Result<BroadcastAcceptance> {
    if let Some(key) = &new.idempotency
        && let Some(replay) = accept::find_replay(transaction, key, new.created_at)?
    {
        return Ok(match replay {
            Acceptance::Replayed { id, .. } => BroadcastAcceptance::Replayed { id },
            _ => BroadcastAcceptance::KeyReused,
        });
    }
    let last_user = read_last_user_number(transaction)?;
    let listed = match &new.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(ids) => match user_numbers(transaction, ids)? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = listed.as_ref().map_or(last_user, |listed| limit_to_sql(listed.len()));
    let number = transaction.statement(NEXT_NUMBER)?.query_row([], |row| row.integer("number"))?;
    transaction.statement(INSERT)?.execute(params![
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
        transaction.statement(INSERT_LISTED_USER)?.execute([number, user])?;
    }
    if let Some(key) = &new.idempotency {
        accept::save_idempotency_key(transaction, key, number, new.id)?;
    }
    Ok(BroadcastAcceptance::Stored { users: u64::try_from(users).unwrap_or_default() })
}

/// Returns the numbers of users without repetitions, or the result that names the users that are not registered.
fn user_numbers(
    transaction: &mut WriteTransaction<'_>,
    ids: &[String],
) -> rusqlite::Result<std::result::Result<Vec<i64>, BroadcastAcceptance>> {
    let (mut numbers, mut first_unknown, mut count) = (Vec::with_capacity(ids.len()), Vec::new(), 0);
    for id in ids {
        let stored_number =
            transaction.statement(USER_NUMBER)?.query_row([id], |row| row.integer("number")).optional()?;
        match stored_number {
            Some(number) => numbers.push(number),
            None => {
                count += 1;
                if first_unknown.len() < UNKNOWN_IDS_LISTED_MAX {
                    first_unknown.push(id.clone());
                }
            }
        }
    }
    if count > 0 {
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first: first_unknown, count }));
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(Ok(numbers))
}

fn fan_out(
    transaction: &mut WriteTransaction<'_>,
    step: &FanOutStep,
    messages: &[NewMessage],
) -> rusqlite::Result<Option<Vec<Acceptance>>> {
    let advanced = transaction.statement(ADVANCE)?.execute(params![
        step.broadcast,
        step.from,
        step.to,
        count_to_sql(step.unreachable),
        i64::from(step.is_last),
    ])?;
    if advanced == 0 {
        return Ok(None);
    }
    let accepted = accept::accept(transaction, messages)?;
    let (ranges, refused) = number_ranges(&accepted);
    let mut stored = 0;
    for (first, last) in ranges {
        stored += last - first + 1;
        transaction.statement(INSERT_NUMBER_RANGE)?.execute([first, last, step.broadcast])?;
    }
    transaction.statement(ADD_MESSAGE_COUNTS)?.execute([step.broadcast, stored, count_to_sql(refused)])?;
    Ok(Some(accepted))
}

fn find_with_counts(
    connection: &Connection,
    id: BroadcastId,
) -> rusqlite::Result<Option<(Broadcast, BroadcastCounts)>> {
    let broadcast = connection
        .prepare_cached(FIND_BROADCAST)?
        .query_row([id.bytes()], |row| decode_broadcast(row))
        .optional()?;
    let Some(broadcast) = broadcast else {
        return Ok(None);
    };
    let counts = connection
        .prepare_cached(COUNT_DELIVERIES)?
        .query_row([broadcast.number], |row| decode_broadcast_counts(row))?;
    Ok(Some((broadcast, counts)))
}

fn user_inbox(
    connection: &Connection,
    user: &str,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<UserInboxPage> {
    let before = before.map_or(MESSAGE_NUMBER_MAX, |before| before.min(MESSAGE_NUMBER_MAX));
    let numbers = connection
        .prepare_cached(INBOX)?
        .query_map(params![user, before, limit_to_sql(limit.saturating_add(1))], |row| row.integer("number"))?
        .collect::<rusqlite::Result<_>>()?;
    let page = load_message_list(connection, numbers, limit)?;
    let mut statement = connection.prepare_cached(BROADCAST_OF_MESSAGE)?;
    let messages = page.messages.into_iter().map(|message| {
        let broadcast = statement.query_row([message.number], |row| row.message_id("id")).optional()?;
        Ok((message, broadcast))
    });
    Ok(UserInboxPage { messages: messages.collect::<rusqlite::Result<_>>()?, next: page.next })
}
