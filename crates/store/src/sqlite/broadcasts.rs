//! Users and broadcasts in SQLite.
//!
//! Write transactions are exclusive, so user numbers have no gaps.

use async_trait::async_trait;
use rusqlite::{Connection, OptionalExtension, params};

use super::messages::{load_message_list, page_end};
use super::query::{query_all, query_one, query_optional};
use super::{accept, store::SqliteStore, user_throttle, write_transaction::WriteTransaction};
use crate::broadcasts::{
    BroadcastStore, UNKNOWN_IDS_LISTED_MAX, number_ranges, plan_registration, throttles_of_users,
};
use crate::rows::broadcasts::{decode_broadcast, decode_broadcast_counts, decode_user};
use crate::rows::{SqlRow, count_to_sql, limit_to_sql};
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastAudience, BroadcastCounts, BroadcastId, FanOutStep,
    NewBroadcast, NewUser, User, UserInboxPage, UserRegistration,
};
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::{contact, error::Result};

static USERS_WITH_ID: &str = sql!("common/broadcasts/list_users_with_id");
static FIND_USER: &str = sql!("sqlite/broadcasts/read_user");
static COUNT_USERS: &str = sql!("common/broadcasts/count_users");
static LAST_USER_NUMBER: &str = sql!("common/broadcasts/read_last_user_number");
static INSERT_USER: &str = sql!("sqlite/broadcasts/insert_user");
static UPDATE_USER: &str = sql!("sqlite/broadcasts/update_user");
static NEXT_NUMBER: &str = sql!("common/broadcasts/allocate_number");
static INSERT_BROADCAST: &str = sql!("common/broadcasts/insert_broadcast");
static INSERT_LISTED_USER: &str = sql!("sqlite/broadcasts/insert_named_user");
static NEXT_UNFINISHED: &str = sql!("common/broadcasts/find_unfinished");
static ALL_USERS_AFTER: &str = sql!("common/broadcasts/list_all_users");
static LISTED_USERS_AFTER: &str = sql!("common/broadcasts/list_named_users");
static ADVANCE_FAN_OUT: &str = sql!("sqlite/broadcasts/advance_fan_out");
static INSERT_NUMBER_RANGE: &str = sql!("sqlite/broadcasts/insert_message_range");
static ADD_MESSAGE_COUNTS: &str = sql!("sqlite/broadcasts/add_counts");
static FIND_BROADCAST: &str = sql!("common/broadcasts/read_broadcast");
static COUNT_DELIVERIES: &str = sql!("common/broadcasts/count_deliveries");
static LIST_BROADCASTS: &str = sql!("common/broadcasts/list_broadcasts");
static INBOX: &str = sql!("sqlite/read/list_user_inbox");
static BROADCAST_OF_MESSAGE: &str = sql!("sqlite/broadcasts/find_by_message");

#[async_trait]
impl BroadcastStore for SqliteStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        self.write("cannot register users", move |transaction| register_users(transaction, &users)).await
    }

    async fn users_with_id(&self, id: &str) -> Result<Vec<User>> {
        let id = id.to_owned();
        self.read("cannot read users", move |connection| {
            query_all(connection, USERS_WITH_ID, [&id], |row| decode_user(row))
        })
        .await
    }

    async fn has_users(&self) -> Result<bool> {
        self.read("cannot count users", |connection| {
            query_one(connection, LAST_USER_NUMBER, [], |row| Ok(row.integer("number")? > 0))
        })
        .await
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        self.write("cannot store a broadcast", move |transaction| create_broadcast(transaction, &broadcast))
            .await
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        self.read("cannot read unfinished broadcasts", move |connection| {
            query_optional(connection, NEXT_UNFINISHED, [after], |row| decode_broadcast(row))
        })
        .await
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, users_max: usize) -> Result<Vec<User>> {
        let users_max = limit_to_sql(users_max);
        let Broadcast { number, fan_out_position, last_user, is_to_all, .. } = *broadcast;
        let owner = broadcast.owner.clone();
        self.read("cannot read the users of a broadcast", move |connection| {
            if is_to_all {
                let step_bounds = params![fan_out_position, last_user, owner, users_max];
                query_all(connection, ALL_USERS_AFTER, step_bounds, |row| decode_user(row))
            } else {
                let step_bounds = [number, fan_out_position, users_max];
                query_all(connection, LISTED_USERS_AFTER, step_bounds, |row| decode_user(row))
            }
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

    async fn broadcasts(
        &self,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Broadcast>> {
        let owner = owner.map(str::to_owned);
        self.read("cannot list broadcasts", move |connection| {
            let page_bounds = params![before.unwrap_or(i64::MAX), owner, limit_to_sql(limit)];
            query_all(connection, LIST_BROADCASTS, page_bounds, |row| decode_broadcast(row))
        })
        .await
    }

    async fn user_inbox(
        &self,
        user: &str,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UserInboxPage> {
        let (user, owner) = (user.to_owned(), owner.map(str::to_owned));
        self.read("cannot read a user inbox", move |connection| {
            user_inbox(connection, &user, owner.as_deref(), before, limit)
        })
        .await
    }
}

fn register_users(
    transaction: &mut WriteTransaction<'_>,
    users: &[NewUser],
) -> rusqlite::Result<Vec<UserRegistration>> {
    let mut stored_users = Vec::new();
    for user in users {
        stored_users
            .extend(transaction.query_optional(FIND_USER, [&user.id, &user.owner], |row| decode_user(row))?);
    }
    let plan = plan_registration(stored_users, read_last_user_number(transaction)?, users);
    for user in &plan.new_users {
        let (contacts, created_at) =
            (contact::encode_contacts(&user.contacts), user.created_at.timestamp_millis());
        let user_values = params![user.id, user.owner, user.number, user.name, contacts, created_at];
        transaction.execute(INSERT_USER, user_values)?;
    }
    for user in &plan.changed_users {
        let contacts = contact::encode_contacts(&user.contacts);
        transaction.execute(UPDATE_USER, params![user.number, user.name, contacts])?;
    }
    Ok(plan.results)
}

fn read_last_user_number(transaction: &mut WriteTransaction<'_>) -> rusqlite::Result<i64> {
    transaction.query_one(LAST_USER_NUMBER, [], |row| row.integer("number"))
}

fn create_broadcast(
    transaction: &mut WriteTransaction<'_>,
    new_broadcast: &NewBroadcast,
) -> rusqlite::Result<BroadcastAcceptance> {
    if let Some(idempotency_key) = &new_broadcast.idempotency
        && let Some(replay) = accept::find_replay(transaction, idempotency_key, new_broadcast.created_at)?
    {
        return Ok(match replay {
            Acceptance::Replayed { id, .. } => BroadcastAcceptance::Replayed { id },
            _ => BroadcastAcceptance::KeyReused,
        });
    }
    let last_user = read_last_user_number(transaction)?;
    let listed_users = match &new_broadcast.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(ids) => match find_user_numbers(transaction, &new_broadcast.owner, ids)? {
            Ok(numbers) => Some(numbers),
            Err(unknown_users) => return Ok(unknown_users),
        },
    };
    let user_count = match &listed_users {
        Some(numbers) => limit_to_sql(numbers.len()),
        None => transaction.query_one(COUNT_USERS, [&new_broadcast.owner], |row| row.integer("number"))?,
    };
    let throttles = throttles_of_users(&new_broadcast.throttles, user_count);
    if let Some(wait) = user_throttle::check_throttles(transaction, &throttles, new_broadcast.created_at)? {
        return Ok(BroadcastAcceptance::Throttled { retry_after: wait.retry_after });
    }
    let broadcast_number = transaction.query_one(NEXT_NUMBER, [], |row| row.integer("number"))?;
    let broadcast_values = params![
        broadcast_number,
        new_broadcast.id.bytes(),
        new_broadcast.body,
        new_broadcast.channel.as_str(),
        new_broadcast.caller,
        new_broadcast.created_at.timestamp_millis(),
        i64::from(listed_users.is_none()),
        last_user,
        user_count,
        i64::from(user_count == 0),
        new_broadcast.owner,
    ];
    transaction.execute(INSERT_BROADCAST, broadcast_values)?;
    for user_number in listed_users.into_iter().flatten() {
        transaction.execute(INSERT_LISTED_USER, [broadcast_number, user_number])?;
    }
    if let Some(idempotency_key) = &new_broadcast.idempotency {
        accept::save_idempotency_key(transaction, idempotency_key, broadcast_number, new_broadcast.id)?;
    }
    Ok(BroadcastAcceptance::Stored { users: u64::try_from(user_count).unwrap_or_default() })
}

/// Returns the numbers of users without repetitions, or the result that names the users that are not registered.
fn find_user_numbers(
    transaction: &mut WriteTransaction<'_>,
    owner: &str,
    ids: &[String],
) -> rusqlite::Result<std::result::Result<Vec<i64>, BroadcastAcceptance>> {
    let (mut numbers, mut unknown_ids) = (Vec::with_capacity(ids.len()), Vec::new());
    for user_id in ids {
        match transaction.query_optional(FIND_USER, [user_id.as_str(), owner], |row| row.integer("number"))? {
            Some(number) => numbers.push(number),
            None => unknown_ids.push(user_id),
        }
    }
    if !unknown_ids.is_empty() {
        let count = unknown_ids.len();
        let first = unknown_ids.into_iter().take(UNKNOWN_IDS_LISTED_MAX).cloned().collect();
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first, count }));
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
    let (unreachable, is_last) = (count_to_sql(step.unreachable), i64::from(step.is_last));
    let step_values = [step.broadcast, step.from, step.to, unreachable, is_last];
    if transaction.execute(ADVANCE_FAN_OUT, step_values)? == 0 {
        return Ok(None);
    }
    let acceptances = accept::accept(transaction, messages)?;
    let (ranges, refused_count) = number_ranges(&acceptances);
    let mut stored_count = 0;
    for (first_number, last_number) in ranges {
        stored_count += last_number - first_number + 1;
        transaction.execute(INSERT_NUMBER_RANGE, [first_number, last_number, step.broadcast])?;
    }
    let count_values = [step.broadcast, stored_count, count_to_sql(refused_count)];
    transaction.execute(ADD_MESSAGE_COUNTS, count_values)?;
    Ok(Some(acceptances))
}

fn find_with_counts(
    connection: &Connection,
    id: BroadcastId,
) -> rusqlite::Result<Option<(Broadcast, BroadcastCounts)>> {
    let broadcast = query_optional(connection, FIND_BROADCAST, [id.bytes()], |row| decode_broadcast(row))?;
    let Some(broadcast) = broadcast else {
        return Ok(None);
    };
    let counts =
        query_one(connection, COUNT_DELIVERIES, [broadcast.number], |row| decode_broadcast_counts(row))?;
    Ok(Some((broadcast, counts)))
}

fn user_inbox(
    connection: &Connection,
    user: &str,
    owner: Option<&str>,
    before: Option<i64>,
    limit: usize,
) -> rusqlite::Result<UserInboxPage> {
    let page_bounds = params![user, page_end(before), limit_to_sql(limit.saturating_add(1)), owner];
    let numbers = query_all(connection, INBOX, page_bounds, |row| row.integer("number"))?;
    let page = load_message_list(connection, numbers, limit)?;
    let mut statement = connection.prepare_cached(BROADCAST_OF_MESSAGE)?;
    let messages = page.messages.into_iter().map(|message| {
        let broadcast = statement.query_row([message.number], |row| row.message_id("id")).optional()?;
        Ok((message, broadcast))
    });
    Ok(UserInboxPage { messages: messages.collect::<rusqlite::Result<_>>()?, next: page.next })
}
