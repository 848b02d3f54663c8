//! Users and broadcasts on a server.
//!
//! Whoever gives out numbers of users holds a lock to the end of the transaction, so that they have no gaps and a
//! broadcast to all knows its users by the last number alone. A step of a broadcast is one transaction.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use tokio_postgres::Row;

use super::accept::{self, INSERT_KEYS};
use super::errors::PgError;
use super::group_commit::TRANSACTION_RETRIES_MAX;
use super::pool::{PgTransaction, bind};
use super::rows::{self, escape_text};
use super::{OPERATION_TIMEOUT, PostgresStore, read, run_transaction};
use crate::broadcasts::{BroadcastStore, UNKNOWN_IDS_LISTED_MAX, number_ranges, plan_registration};
use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastAudience, BroadcastCounts, BroadcastId, FanOutStep,
    NewBroadcast, NewUser, User, UserInboxPage, UserRegistration,
};
use postrider_core::contact;
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};

static LOCK_NUMBERS: &str = sql!("postgres/broadcasts/lock_numbers");
static FIND_USER: &str = sql!("postgres/broadcasts/read_user");
static FIND_USERS: &str = sql!("postgres/broadcasts/read_users");
static USER_LAST: &str = sql!("postgres/broadcasts/read_last_user_number");
static USER_INSERT: &str = sql!("postgres/broadcasts/insert_user");
static USER_CHANGE: &str = sql!("postgres/broadcasts/update_user");
static NEXT_NUMBER: &str = sql!("postgres/broadcasts/allocate_number");
static INSERT: &str = sql!("postgres/broadcasts/insert_broadcast");
static INSERT_LISTED_USERS: &str = sql!("postgres/broadcasts/insert_named_user");
static NEXT_UNFINISHED: &str = sql!("postgres/broadcasts/find_unfinished");
static ALL_USERS_AFTER: &str = sql!("postgres/broadcasts/list_all_users");
static LISTED_USERS_AFTER: &str = sql!("postgres/broadcasts/list_named_users");
static ADVANCE: &str = sql!("postgres/broadcasts/advance_fan_out");
static INSERT_NUMBER_RANGES: &str = sql!("postgres/broadcasts/insert_message_range");
static ADD_MESSAGE_COUNTS: &str = sql!("postgres/broadcasts/add_counts");
static FIND_BROADCAST: &str = sql!("postgres/broadcasts/read_broadcast");
static COUNT_MESSAGES: &str = sql!("postgres/broadcasts/count_deliveries");
static LIST_BROADCASTS: &str = sql!("postgres/broadcasts/list_broadcasts");
static INBOX: &str = sql!("postgres/read/list_user_inbox");
static BROADCAST_OF_MESSAGES: &str = sql!("postgres/broadcasts/find_by_message");

/// The lock of whoever gives out numbers of users or of broadcasts.
const USERS_LOCK: i64 = 0x506F_7374_0004;

#[async_trait]
impl BroadcastStore for PostgresStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        let act = "cannot register users";
        run_transaction!(self.begin_write, act, |transaction| register_users(
            &transaction,
            &users
        ))
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let act = "cannot look a user up";
        run_transaction!(self.begin_read, act, |transaction| find_user(&transaction, id))
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        let act = "cannot store a broadcast";
        run_transaction!(self.begin_write, act, |transaction| create_broadcast(
            &transaction,
            &broadcast
        ))
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        let act = "cannot look for broadcasts";
        run_transaction!(self.begin_read, act, |transaction| next_unfinished(
            &transaction,
            after
        ))
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let act = "cannot look for a broadcast's users";
        run_transaction!(self.begin_read, act, |transaction| next_users(
            &transaction,
            broadcast,
            limit
        ))
    }

    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        let act = "cannot spread a broadcast";
        run_transaction!(self.begin_write, act, |transaction| fan_out(
            &transaction,
            &step,
            &messages
        ))
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        let act = "cannot look a broadcast up";
        run_transaction!(self.begin_read, act, |transaction| find_with_counts(
            &transaction,
            id
        ))
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        let act = "cannot list broadcasts";
        run_transaction!(self.begin_read, act, |transaction| list_broadcasts(
            &transaction,
            before,
            limit
        ))
    }

    async fn user_inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<UserInboxPage> {
        let act = "cannot read an inbox";
        run_transaction!(self.begin_read, act, |transaction| user_inbox(
            &transaction,
            user,
            before,
            limit
        ))
    }
}

async fn register_users(
    transaction: &PgTransaction,
    users: &[NewUser],
) -> Result<Vec<UserRegistration>, PgError> {
    transaction.query(LOCK_NUMBERS, bind![USERS_LOCK]).await?;
    let ids = users.iter().map(|user| escape_text(&user.id)).collect::<Vec<_>>();
    let known = transaction.query(FIND_USERS, bind![ids]).await?;
    let known = known.iter().map(decode_user).collect::<Result<_, _>>()?;
    let plan = plan_registration(known, last_user_number(transaction).await?, users);
    if !plan.new_users.is_empty() {
        let added = plan.new_users.iter();
        transaction
            .execute(
                USER_INSERT,
                bind![
                    added
                        .clone()
                        .map(|user| escape_text(&user.id))
                        .collect::<Vec<_>>(),
                    added.clone().map(|user| user.number).collect::<Vec<_>>(),
                    user_names(&plan.new_users),
                    user_contacts(&plan.new_users),
                    added
                        .map(|user| user.created_at.timestamp_millis())
                        .collect::<Vec<_>>(),
                ],
            )
            .await?;
    }
    if !plan.changed_users.is_empty() {
        let ids = plan.changed_users.iter().map(|user| escape_text(&user.id));
        let ids = ids.collect::<Vec<_>>();
        let (names, contacts) = (
            user_names(&plan.changed_users),
            user_contacts(&plan.changed_users),
        );
        transaction
            .execute(USER_CHANGE, bind![ids, names, contacts])
            .await?;
    }
    Ok(plan.results)
}

fn user_names(users: &[User]) -> Vec<Option<std::borrow::Cow<'_, str>>> {
    users
        .iter()
        .map(|user| user.name.as_deref().map(escape_text))
        .collect()
}

fn user_contacts(users: &[User]) -> Vec<Option<String>> {
    users
        .iter()
        .map(|user| contact::encode_contacts(&user.contacts))
        .collect()
}

async fn last_user_number(transaction: &PgTransaction) -> Result<i64, PgError> {
    rows::get(&transaction.query_one(USER_LAST, &[]).await?, 0)
}

async fn find_user(transaction: &PgTransaction, id: &str) -> Result<Option<User>, PgError> {
    let rows = transaction
        .query_optional(FIND_USER, bind![escape_text(id)])
        .await?;
    rows.as_ref().map(decode_user).transpose()
}

async fn create_broadcast(
    transaction: &PgTransaction,
    new: &NewBroadcast,
) -> Result<BroadcastAcceptance, PgError> {
    transaction.query(LOCK_NUMBERS, bind![USERS_LOCK]).await?;
    let now = new.created_at.timestamp_millis();
    if let Some(idempotency) = &new.idempotency
        && let Some((request, _, id)) =
            accept::find_idempotency_record(transaction, idempotency.key, now).await?
    {
        return Ok(if request == idempotency.request {
            BroadcastAcceptance::Replayed { id }
        } else {
            BroadcastAcceptance::KeyReused
        });
    }
    let last_user = last_user_number(transaction).await?;
    let listed = match &new.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(ids) => match user_numbers(transaction, ids).await? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = listed
        .as_ref()
        .map_or(last_user, |listed| rows::limit_to_sql(listed.len()));
    let number = rows::get::<i64>(&transaction.query_one(NEXT_NUMBER, &[]).await?, 0)?;
    let id = new.id.bytes().to_vec();
    transaction
        .execute(
            INSERT,
            bind![
                number,
                id,
                escape_text(&new.body),
                new.channel.as_str(),
                escape_text(&new.caller),
                now,
                i64::from(listed.is_none()),
                last_user,
                users,
                i64::from(users == 0),
            ],
        )
        .await?;
    if let Some(listed) = listed {
        transaction
            .execute(INSERT_LISTED_USERS, bind![number, listed])
            .await?;
    }
    if let Some(idempotency) = &new.idempotency {
        let (keys, requests) = (vec![idempotency.key.to_vec()], vec![idempotency.request.to_vec()]);
        let expires_at = vec![idempotency.expires_at.timestamp_millis()];
        let (numbers, ids) = (vec![number], vec![id]);
        transaction
            .query(INSERT_KEYS, bind![keys, requests, numbers, ids, expires_at, now])
            .await?;
    }
    Ok(BroadcastAcceptance::Stored {
        users: u64::try_from(users).unwrap_or_default(),
    })
}

/// The numbers of those users, each once; or that some have not registered.
async fn user_numbers(
    transaction: &PgTransaction,
    ids: &[String],
) -> Result<Result<Vec<i64>, BroadcastAcceptance>, PgError> {
    let wanted = ids.iter().map(|id| escape_text(id)).collect::<Vec<_>>();
    let mut rows = HashMap::with_capacity(ids.len());
    for row in &transaction.query(FIND_USERS, bind![wanted]).await? {
        rows.insert(rows::decode_text(row, 1)?, rows::get::<i64>(row, 0)?);
    }
    let unknown = ids.iter().filter(|id| !rows.contains_key(*id));
    let count = unknown.clone().count();
    if count > 0 {
        let first = unknown.take(UNKNOWN_IDS_LISTED_MAX).cloned().collect();
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first, count }));
    }
    Ok(Ok(rows.into_values().collect()))
}

async fn next_unfinished(transaction: &PgTransaction, after: i64) -> Result<Option<Broadcast>, PgError> {
    let rows = transaction.query_optional(NEXT_UNFINISHED, bind![after]).await?;
    rows.as_ref().map(decode_broadcast).transpose()
}

async fn next_users(
    transaction: &PgTransaction,
    broadcast: &Broadcast,
    limit: usize,
) -> Result<Vec<User>, PgError> {
    let limit = rows::limit_to_sql(limit);
    let rows = if broadcast.is_to_all {
        let values = bind![broadcast.fan_out_position, broadcast.last_user, limit];
        transaction.query(ALL_USERS_AFTER, values).await?
    } else {
        let values = bind![broadcast.number, broadcast.fan_out_position, limit];
        transaction.query(LISTED_USERS_AFTER, values).await?
    };
    rows.iter().map(decode_user).collect()
}

async fn fan_out(
    transaction: &PgTransaction,
    step: &FanOutStep,
    messages: &[NewMessage],
) -> Result<Option<Vec<Acceptance>>, PgError> {
    let unreachable = count_to_sql(step.unreachable);
    let is_last = i64::from(step.is_last);
    let values = bind![step.broadcast, step.from, step.to, unreachable, is_last];
    if transaction.execute(ADVANCE, values).await? == 0 {
        return Ok(None);
    }
    let messages = messages.iter().collect::<Vec<_>>();
    let accepted = accept::accept(transaction, &mut HashSet::new(), &messages).await?;
    let (ranges, refused) = number_ranges(&accepted);
    let (firsts, lasts): (Vec<i64>, Vec<i64>) = ranges.into_iter().unzip();
    let stored = firsts.iter().zip(&lasts).map(|(first, last)| last - first + 1);
    let stored = stored.sum::<i64>();
    if stored > 0 {
        transaction
            .execute(INSERT_NUMBER_RANGES, bind![firsts, lasts, step.broadcast])
            .await?;
    }
    transaction
        .execute(
            ADD_MESSAGE_COUNTS,
            bind![step.broadcast, stored, count_to_sql(refused)],
        )
        .await?;
    Ok(Some(accepted))
}

async fn find_with_counts(
    transaction: &PgTransaction,
    id: BroadcastId,
) -> Result<Option<(Broadcast, BroadcastCounts)>, PgError> {
    let Some(rows) = transaction
        .query_optional(FIND_BROADCAST, bind![id.bytes().to_vec()])
        .await?
    else {
        return Ok(None);
    };
    let rows = decode_broadcast(&rows)?;
    let row = transaction.query_one(COUNT_MESSAGES, bind![rows.number]).await?;
    let counts = BroadcastCounts {
        messages: rows::decode_count(&row, 0)?,
        waiting: rows::decode_count(&row, 1)?,
        unconfirmed: rows::decode_count(&row, 2)?,
        received: rows::decode_count(&row, 3)?,
        failed: rows::decode_count(&row, 4)?,
        opened: rows::decode_count(&row, 5)?,
    };
    Ok(Some((rows, counts)))
}

async fn list_broadcasts(
    transaction: &PgTransaction,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Broadcast>, PgError> {
    let (before, limit) = (before.unwrap_or(i64::MAX), rows::limit_to_sql(limit));
    transaction
        .query(LIST_BROADCASTS, bind![before, limit])
        .await?
        .iter()
        .map(decode_broadcast)
        .collect()
}

async fn user_inbox(
    transaction: &PgTransaction,
    user: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<UserInboxPage, PgError> {
    let wanted = rows::limit_to_sql(limit.saturating_add(1));
    let before = before
        .unwrap_or(read::MESSAGE_NUMBER_MAX)
        .min(read::MESSAGE_NUMBER_MAX);
    let numbers = transaction
        .query(INBOX, bind![escape_text(user), before, wanted])
        .await?;
    let numbers = numbers.iter().map(|row| rows::get(row, 0));
    let page = read::load_message_list(transaction, numbers.collect::<Result<_, _>>()?, limit).await?;
    let asked = page.messages.iter().map(|message| message.number);
    let mut broadcast_ids = HashMap::new();
    for row in &transaction
        .query(BROADCAST_OF_MESSAGES, bind![asked.collect::<Vec<_>>()])
        .await?
    {
        broadcast_ids.insert(rows::get::<i64>(row, 0)?, rows::message_id(row, 1)?);
    }
    let messages = page.messages.into_iter().map(|message| {
        let broadcast_ids = broadcast_ids.get(&message.number).copied();
        (message, broadcast_ids)
    });
    Ok(UserInboxPage {
        messages: messages.collect(),
        next: page.next,
    })
}

fn count_to_sql(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn decode_user(row: &Row) -> Result<User, PgError> {
    Ok(User {
        number: rows::get(row, 0)?,
        id: rows::decode_text(row, 1)?,
        name: rows::optional_text(row, 2)?,
        contacts: rows::optional_contacts(row, 3)?.unwrap_or_default(),
        created_at: rows::decode_time(row, 4)?,
    })
}

fn decode_broadcast(row: &Row) -> Result<Broadcast, PgError> {
    Ok(Broadcast {
        number: rows::get(row, 0)?,
        id: rows::message_id(row, 1)?,
        body: rows::decode_text(row, 2)?,
        channel: rows::decode_name(row, 3)?,
        caller: rows::decode_text(row, 4)?,
        created_at: rows::decode_time(row, 5)?,
        is_to_all: rows::get::<i64>(row, 6)? == 1,
        last_user: rows::get(row, 7)?,
        users: rows::decode_count(row, 8)?,
        fan_out_position: rows::get(row, 9)?,
        messages: rows::decode_count(row, 10)?,
        unreachable: rows::decode_count(row, 11)?,
        refused: rows::decode_count(row, 12)?,
        is_fanned_out: rows::get::<i64>(row, 13)? == 1,
    })
}
