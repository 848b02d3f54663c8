//! Registered users, broadcasts, and their fan-out.
//!
//! Users and broadcasts are numbered under an advisory lock, so that user numbers have no gaps and a broadcast to all
//! users only stores the last number. Each step of a fan-out is one transaction.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use async_trait::async_trait;

use super::accept::accept;
use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::errors::PgError;
use super::escape::escape_text;
use super::idempotency;
use super::pool::{PgTransaction, bind, column};
use super::read::{MESSAGE_NUMBER_MAX, load_message_list};
use super::store::PostgresStore;
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

static READ_USER: &str = sql!("common/broadcasts/read_user");
static READ_USERS: &str = sql!("postgres/broadcasts/read_users");
static LAST_USER_NUMBER: &str = sql!("common/broadcasts/read_last_user_number");
static INSERT_USERS: &str = sql!("postgres/broadcasts/insert_user");
static UPDATE_USERS: &str = sql!("postgres/broadcasts/update_user");
static NEXT_NUMBER: &str = sql!("common/broadcasts/allocate_number");
static INSERT_BROADCAST: &str = sql!("common/broadcasts/insert_broadcast");
static INSERT_NAMED_USERS: &str = sql!("postgres/broadcasts/insert_named_user");
static FIND_UNFINISHED: &str = sql!("common/broadcasts/find_unfinished");
static LIST_ALL_USERS: &str = sql!("common/broadcasts/list_all_users");
static LIST_NAMED_USERS: &str = sql!("common/broadcasts/list_named_users");
static ADVANCE_FAN_OUT: &str = sql!("postgres/broadcasts/advance_fan_out");
static INSERT_MESSAGE_RANGES: &str = sql!("postgres/broadcasts/insert_message_range");
static ADD_COUNTS: &str = sql!("postgres/broadcasts/add_counts");
static READ_BROADCAST: &str = sql!("common/broadcasts/read_broadcast");
static COUNT_DELIVERIES: &str = sql!("common/broadcasts/count_deliveries");
static LIST_BROADCASTS: &str = sql!("common/broadcasts/list_broadcasts");
static FIND_BY_MESSAGE: &str = sql!("postgres/broadcasts/find_by_message");
static LIST_INBOX: &str = sql!("postgres/read/list_user_inbox");

#[async_trait]
impl BroadcastStore for PostgresStore {
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>> {
        let context = "cannot register users";
        run_transaction!(self.begin_write, context, |transaction| register_users(&transaction, &users))
    }

    async fn user(&self, id: &str) -> Result<Option<User>> {
        let context = "cannot read the user";
        run_transaction!(self.begin_read, context, |transaction| read_user(&transaction, id))
    }

    async fn has_users(&self) -> Result<bool> {
        let context = "cannot count users";
        let last_number: Result<i64> =
            run_transaction!(self.begin_read, context, |transaction| read_last_user_number(&transaction));
        Ok(last_number? > 0)
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        let context = "cannot store the broadcast";
        run_transaction!(self.begin_write, context, |transaction| create_broadcast(&transaction, &broadcast))
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        let context = "cannot read broadcasts";
        run_transaction!(self.begin_read, context, |transaction| next_unfinished(&transaction, after))
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>> {
        let context = "cannot read the users of the broadcast";
        run_transaction!(self.begin_read, context, |transaction| next_users(&transaction, broadcast, limit))
    }

    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        let context = "cannot fan out the broadcast";
        run_transaction!(self.begin_write, context, |transaction| fan_out(&transaction, &step, &messages))
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        let context = "cannot read the broadcast";
        run_transaction!(self.begin_read, context, |transaction| read_with_counts(&transaction, id))
    }

    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>> {
        let context = "cannot list broadcasts";
        run_transaction!(self.begin_read, context, |transaction| list_broadcasts(&transaction, before, limit))
    }

    async fn user_inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<UserInboxPage> {
        let context = "cannot read the user inbox";
        run_transaction!(self.begin_read, context, |transaction| user_inbox(
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
    lock_exclusive(transaction, AdvisoryLock::UserNumbers).await?;
    let ids = column(users, |user| escape_text(&user.id));
    let rows = transaction.query(READ_USERS, bind![ids]).await?;
    let stored_users = rows.iter().map(decode_user).collect::<Result<_, _>>()?;
    let plan = plan_registration(stored_users, read_last_user_number(transaction).await?, users);
    let new = &plan.new_users;
    if !new.is_empty() {
        transaction
            .execute(
                INSERT_USERS,
                bind![
                    user_ids(new),
                    column(new, |user| user.number),
                    user_names(new),
                    user_contacts(new),
                    column(new, |user| user.created_at.timestamp_millis()),
                ],
            )
            .await?;
    }
    let changed = &plan.changed_users;
    if !changed.is_empty() {
        let (ids, names, contacts) = (user_ids(changed), user_names(changed), user_contacts(changed));
        transaction.execute(UPDATE_USERS, bind![ids, names, contacts]).await?;
    }
    Ok(plan.results)
}

fn user_ids(users: &[User]) -> Vec<Cow<'_, str>> {
    column(users, |user| escape_text(&user.id))
}

fn user_names(users: &[User]) -> Vec<Option<Cow<'_, str>>> {
    column(users, |user| user.name.as_deref().map(escape_text))
}

fn user_contacts(users: &[User]) -> Vec<Option<String>> {
    column(users, |user| contact::encode_contacts(&user.contacts))
}

async fn read_last_user_number(transaction: &PgTransaction) -> Result<i64, PgError> {
    transaction.query_one(LAST_USER_NUMBER, &[]).await?.integer("number")
}

async fn read_user(transaction: &PgTransaction, id: &str) -> Result<Option<User>, PgError> {
    let row = transaction.query_optional(READ_USER, bind![escape_text(id)]).await?;
    row.map(|row| decode_user(&row)).transpose()
}

async fn create_broadcast(
    transaction: &PgTransaction,
    new: &NewBroadcast,
) -> Result<BroadcastAcceptance, PgError> {
    lock_exclusive(transaction, AdvisoryLock::UserNumbers).await?;
    let now = new.created_at.timestamp_millis();
    if let Some(idempotency) = &new.idempotency {
        let mut records = idempotency::load(transaction, &[idempotency.key], now).await?;
        match records.remove(&idempotency.key) {
            Some(record) if record.request == idempotency.request => {
                return Ok(BroadcastAcceptance::Replayed { id: record.id });
            }
            Some(_) => return Ok(BroadcastAcceptance::KeyReused),
            None => {}
        }
    }
    let last_user = read_last_user_number(transaction).await?;
    let named = match &new.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(ids) => match user_numbers(transaction, ids).await? {
            Ok(numbers) => Some(numbers),
            Err(unknown) => return Ok(unknown),
        },
    };
    let users = named.as_ref().map_or(last_user, |numbers| limit_to_sql(numbers.len()));
    let row = transaction.query_one(NEXT_NUMBER, &[]).await?;
    let number = row.integer("number")?;
    transaction
        .execute(
            INSERT_BROADCAST,
            bind![
                number,
                new.id.bytes().to_vec(),
                escape_text(&new.body),
                new.channel.as_str(),
                escape_text(&new.caller),
                now,
                i64::from(named.is_none()),
                last_user,
                users,
                i64::from(users == 0),
            ],
        )
        .await?;
    if let Some(numbers) = named {
        transaction.execute(INSERT_NAMED_USERS, bind![number, numbers]).await?;
    }
    if let Some(idempotency) = &new.idempotency {
        idempotency::insert(transaction, &[(idempotency, number, new.id)], now).await?;
    }
    Ok(BroadcastAcceptance::Stored { users: u64::try_from(users).unwrap_or_default() })
}

/// Returns the numbers of the users without duplicates, or that some users are not registered.
async fn user_numbers(
    transaction: &PgTransaction,
    ids: &[String],
) -> Result<Result<Vec<i64>, BroadcastAcceptance>, PgError> {
    let escaped_ids = column(ids, |id| escape_text(id));
    let mut numbers = HashMap::with_capacity(ids.len());
    for row in &transaction.query(READ_USERS, bind![escaped_ids]).await? {
        numbers.insert(row.text("id")?, row.integer("number")?);
    }
    let unknown = ids.iter().filter(|id| !numbers.contains_key(*id));
    let count = unknown.clone().count();
    if count > 0 {
        let first = unknown.take(UNKNOWN_IDS_LISTED_MAX).cloned().collect();
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first, count }));
    }
    Ok(Ok(numbers.into_values().collect()))
}

async fn next_unfinished(transaction: &PgTransaction, after: i64) -> Result<Option<Broadcast>, PgError> {
    let row = transaction.query_optional(FIND_UNFINISHED, bind![after]).await?;
    row.map(|row| decode_broadcast(&row)).transpose()
}

async fn next_users(
    transaction: &PgTransaction,
    broadcast: &Broadcast,
    limit: usize,
) -> Result<Vec<User>, PgError> {
    let limit = limit_to_sql(limit);
    let rows = if broadcast.is_to_all {
        let values = bind![broadcast.fan_out_position, broadcast.last_user, limit];
        transaction.query(LIST_ALL_USERS, values).await?
    } else {
        let values = bind![broadcast.number, broadcast.fan_out_position, limit];
        transaction.query(LIST_NAMED_USERS, values).await?
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
    if transaction.execute(ADVANCE_FAN_OUT, values).await? == 0 {
        return Ok(None);
    }
    let messages = messages.iter().collect::<Vec<_>>();
    let results = accept(transaction, &mut HashSet::new(), &messages).await?;
    let (ranges, refused) = number_ranges(&results);
    let stored = ranges.iter().map(|(first, last)| last - first + 1).sum::<i64>();
    if stored > 0 {
        let (first, last): (Vec<i64>, Vec<i64>) = ranges.into_iter().unzip();
        transaction.execute(INSERT_MESSAGE_RANGES, bind![first, last, step.broadcast]).await?;
    }
    let refused = count_to_sql(refused);
    transaction.execute(ADD_COUNTS, bind![step.broadcast, stored, refused]).await?;
    Ok(Some(results))
}

async fn read_with_counts(
    transaction: &PgTransaction,
    id: BroadcastId,
) -> Result<Option<(Broadcast, BroadcastCounts)>, PgError> {
    let id = id.bytes().to_vec();
    let Some(row) = transaction.query_optional(READ_BROADCAST, bind![id]).await? else {
        return Ok(None);
    };
    let broadcast = decode_broadcast(&row)?;
    let row = transaction.query_one(COUNT_DELIVERIES, bind![broadcast.number]).await?;
    Ok(Some((broadcast, decode_broadcast_counts(&row)?)))
}

async fn list_broadcasts(
    transaction: &PgTransaction,
    before: Option<i64>,
    limit: usize,
) -> Result<Vec<Broadcast>, PgError> {
    let (before, limit) = (before.unwrap_or(i64::MAX), limit_to_sql(limit));
    let rows = transaction.query(LIST_BROADCASTS, bind![before, limit]).await?;
    rows.iter().map(decode_broadcast).collect()
}

async fn user_inbox(
    transaction: &PgTransaction,
    user: &str,
    before: Option<i64>,
    limit: usize,
) -> Result<UserInboxPage, PgError> {
    let count = limit_to_sql(limit.saturating_add(1));
    let before = before.unwrap_or(MESSAGE_NUMBER_MAX).min(MESSAGE_NUMBER_MAX);
    let rows = transaction.query(LIST_INBOX, bind![escape_text(user), before, count]).await?;
    let numbers = rows.iter().map(|row| row.integer("number"));
    let page = load_message_list(transaction, numbers.collect::<Result<_, _>>()?, limit).await?;
    let numbers = column(&page.messages, |message| message.number);
    let mut broadcast_ids = HashMap::new();
    for row in &transaction.query(FIND_BY_MESSAGE, bind![numbers]).await? {
        broadcast_ids.insert(row.integer("number")?, row.message_id("id")?);
    }
    let messages = page.messages.into_iter().map(|message| {
        let broadcast_id = broadcast_ids.get(&message.number).copied();
        (message, broadcast_id)
    });
    Ok(UserInboxPage { messages: messages.collect(), next: page.next })
}
