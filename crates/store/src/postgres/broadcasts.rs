//! Registered users, broadcasts, and their fan-out.
//!
//! Users and broadcasts are numbered under an advisory lock, so that user numbers have no gaps and a broadcast to all
//! users only stores the last number. Each step of a fan-out is one transaction.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use tokio_postgres::Row;

use super::advisory_locks::{AdvisoryLock, lock_exclusive};
use super::pool::{PgTransaction, bind, column};
use super::{
    accept::accept, errors::PgError, escape::escape_text, idempotency, message_hours::MESSAGE_NUMBER_MAX,
    read::load_message_list, store::PostgresStore, user_throttle,
};
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
use postrider_core::{contact, error::Result, user_throttle::ThrottleWait};

static USERS_WITH_ID: &str = sql!("common/broadcasts/list_users_with_id");
static COUNT_USERS: &str = sql!("common/broadcasts/count_users");
static READ_USERS: &str = sql!("postgres/broadcasts/read_users");
static LAST_USER_NUMBER: &str = sql!("common/broadcasts/read_last_user_number");
static INSERT_USERS: &str = sql!("postgres/broadcasts/insert_user");
static UPDATE_USERS: &str = sql!("postgres/broadcasts/update_user");
static ALLOCATE_NUMBER: &str = sql!("common/broadcasts/allocate_number");
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
        run_transaction!(self.begin_write, "cannot register users", |transaction| {
            register_users(transaction, &users).await
        })
    }

    async fn users_with_id(&self, id: &str) -> Result<Vec<User>> {
        run_transaction!(self.begin_read, "cannot read users", |transaction| {
            transaction.query_all(USERS_WITH_ID, bind![escape_text(id)], decode_user).await
        })
    }

    async fn has_users(&self) -> Result<bool> {
        run_transaction!(self.begin_read, "cannot count users", |transaction| {
            Ok(read_last_user_number(transaction).await? > 0)
        })
    }

    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance> {
        run_transaction!(self.begin_write, "cannot store the broadcast", |transaction| {
            create_broadcast(transaction, &broadcast).await
        })
    }

    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>> {
        run_transaction!(self.begin_read, "cannot read broadcasts", |transaction| {
            transaction.query_optional(FIND_UNFINISHED, bind![after], decode_broadcast).await
        })
    }

    async fn next_broadcast_users(&self, broadcast: &Broadcast, users_max: usize) -> Result<Vec<User>> {
        let Broadcast { number, fan_out_position, last_user, .. } = *broadcast;
        let users_max = limit_to_sql(users_max);
        run_transaction!(self.begin_read, "cannot read the users of the broadcast", |transaction| {
            if broadcast.is_to_all {
                let values = bind![fan_out_position, last_user, escape_text(&broadcast.owner), users_max];
                transaction.query_all(LIST_ALL_USERS, values, decode_user).await
            } else {
                let values = bind![number, fan_out_position, users_max];
                transaction.query_all(LIST_NAMED_USERS, values, decode_user).await
            }
        })
    }

    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>> {
        run_transaction!(self.begin_write, "cannot fan out the broadcast", |transaction| {
            fan_out(transaction, &step, &messages).await
        })
    }

    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>> {
        let id = id.bytes().to_vec();
        run_transaction!(self.begin_read, "cannot read the broadcast", |transaction| {
            let broadcast = transaction.query_optional(READ_BROADCAST, bind![id], decode_broadcast).await?;
            let Some(broadcast) = broadcast else {
                return Ok(None);
            };
            let counts_row = transaction.query_one(COUNT_DELIVERIES, bind![broadcast.number]).await?;
            Ok(Some((broadcast, decode_broadcast_counts(&counts_row)?)))
        })
    }

    async fn broadcasts(
        &self,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Broadcast>> {
        let (before, limit) = (before.unwrap_or(i64::MAX), limit_to_sql(limit));
        let owner = owner.map(escape_text);
        run_transaction!(self.begin_read, "cannot list broadcasts", |transaction| {
            transaction.query_all(LIST_BROADCASTS, bind![before, owner, limit], decode_broadcast).await
        })
    }

    async fn user_inbox(
        &self,
        user: &str,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UserInboxPage> {
        let before = before.unwrap_or(MESSAGE_NUMBER_MAX).min(MESSAGE_NUMBER_MAX);
        run_transaction!(self.begin_read, "cannot read the user inbox", |transaction| {
            user_inbox(transaction, user, owner, before, limit).await
        })
    }
}

async fn register_users(
    transaction: &PgTransaction,
    users: &[NewUser],
) -> Result<Vec<UserRegistration>, PgError> {
    lock_exclusive(transaction, AdvisoryLock::UserNumbers).await?;
    let requested_ids = column(users, |user| escape_text(&user.id));
    let owners = column(users, |user| escape_text(&user.owner));
    let stored_users = transaction.query_all(READ_USERS, bind![requested_ids, owners], decode_user).await?;
    let plan = plan_registration(stored_users, read_last_user_number(transaction).await?, users);
    let new_users = &plan.new_users;
    if !new_users.is_empty() {
        let values = bind![
            column(new_users, |user| escape_text(&user.id)),
            column(new_users, |user| escape_text(&user.owner)),
            column(new_users, |user| user.number),
            user_names(new_users),
            user_contacts(new_users),
            column(new_users, |user| user.created_at.timestamp_millis()),
        ];
        transaction.execute(INSERT_USERS, values).await?;
    }
    let changed_users = &plan.changed_users;
    if !changed_users.is_empty() {
        let numbers = column(changed_users, |user| user.number);
        let values = bind![numbers, user_names(changed_users), user_contacts(changed_users)];
        transaction.execute(UPDATE_USERS, values).await?;
    }
    Ok(plan.results)
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

async fn count_users(transaction: &PgTransaction, owner: &str) -> Result<i64, PgError> {
    transaction.query_one(COUNT_USERS, bind![escape_text(owner)]).await?.integer("number")
}

async fn create_broadcast(
    transaction: &PgTransaction,
    new_broadcast: &NewBroadcast,
) -> Result<BroadcastAcceptance, PgError> {
    lock_exclusive(transaction, AdvisoryLock::UserNumbers).await?;
    let now = new_broadcast.created_at.timestamp_millis();
    if let Some(idempotency) = &new_broadcast.idempotency {
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
    let named_users = match &new_broadcast.audience {
        BroadcastAudience::All => None,
        BroadcastAudience::Listed(user_ids) => {
            match find_user_numbers(transaction, &new_broadcast.owner, user_ids).await? {
                Ok(user_numbers) => Some(user_numbers),
                Err(unknown_users) => return Ok(unknown_users),
            }
        }
    };
    let user_count = match &named_users {
        Some(user_numbers) => limit_to_sql(user_numbers.len()),
        None => count_users(transaction, &new_broadcast.owner).await?,
    };
    let throttles = throttles_of_users(&new_broadcast.throttles, user_count);
    let wait = user_throttle::check_broadcast(transaction, &throttles, new_broadcast.created_at).await?;
    if let Some(ThrottleWait { retry_after, .. }) = wait {
        return Ok(BroadcastAcceptance::Throttled { retry_after });
    }
    let broadcast_number = transaction.query_one(ALLOCATE_NUMBER, &[]).await?.integer("number")?;
    let values = bind![
        broadcast_number,
        new_broadcast.id.bytes().to_vec(),
        escape_text(&new_broadcast.body),
        new_broadcast.channel.as_str(),
        escape_text(&new_broadcast.caller),
        now,
        i64::from(named_users.is_none()),
        last_user,
        user_count,
        i64::from(user_count == 0),
        escape_text(&new_broadcast.owner),
    ];
    transaction.execute(INSERT_BROADCAST, values).await?;
    if let Some(user_numbers) = named_users {
        transaction.execute(INSERT_NAMED_USERS, bind![broadcast_number, user_numbers]).await?;
    }
    if let Some(idempotency) = &new_broadcast.idempotency {
        idempotency::insert(transaction, &[(idempotency, broadcast_number, new_broadcast.id)], now).await?;
    }
    Ok(BroadcastAcceptance::Stored { users: u64::try_from(user_count).unwrap_or_default() })
}

/// Returns the numbers of the users without duplicates, or `UnknownUsers` if some users are not registered.
async fn find_user_numbers(
    transaction: &PgTransaction,
    owner: &str,
    user_ids: &[String],
) -> Result<Result<Vec<i64>, BroadcastAcceptance>, PgError> {
    let escaped_ids = column(user_ids, |id| escape_text(id));
    let owners = vec![escape_text(owner)];
    let decode = |row: &Row| Ok((row.text("id")?, row.integer("number")?));
    let numbers: HashMap<_, _> =
        transaction.query_all(READ_USERS, bind![escaped_ids, owners], decode).await?;
    let unknown_ids = user_ids.iter().filter(|id| !numbers.contains_key(*id));
    let count = unknown_ids.clone().count();
    if count > 0 {
        let first = unknown_ids.take(UNKNOWN_IDS_LISTED_MAX).cloned().collect();
        return Ok(Err(BroadcastAcceptance::UnknownUsers { first, count }));
    }
    Ok(Ok(numbers.into_values().collect()))
}

async fn fan_out(
    transaction: &PgTransaction,
    step: &FanOutStep,
    messages: &[NewMessage],
) -> Result<Option<Vec<Acceptance>>, PgError> {
    let (unreachable, is_last) = (count_to_sql(step.unreachable), i64::from(step.is_last));
    let values = bind![step.broadcast, step.from, step.to, unreachable, is_last];
    if transaction.execute_and_count(ADVANCE_FAN_OUT, values).await? == 0 {
        return Ok(None);
    }
    let messages = messages.iter().collect::<Vec<_>>();
    let acceptances = accept(transaction, &mut HashSet::new(), &messages).await?;
    let (ranges, refused) = number_ranges(&acceptances);
    let stored = ranges.iter().map(|(first, last)| last - first + 1).sum::<i64>();
    if stored > 0 {
        let (first, last): (Vec<i64>, Vec<i64>) = ranges.into_iter().unzip();
        transaction.execute(INSERT_MESSAGE_RANGES, bind![first, last, step.broadcast]).await?;
    }
    let values = bind![step.broadcast, stored, count_to_sql(refused)];
    transaction.execute(ADD_COUNTS, values).await?;
    Ok(Some(acceptances))
}

async fn user_inbox(
    transaction: &PgTransaction,
    user: &str,
    owner: Option<&str>,
    before: i64,
    limit: usize,
) -> Result<UserInboxPage, PgError> {
    let values =
        bind![escape_text(user), before, limit_to_sql(limit.saturating_add(1)), owner.map(escape_text)];
    let numbers = transaction.query_all(LIST_INBOX, values, |row| row.integer("number")).await?;
    let page = load_message_list(transaction, numbers, limit).await?;
    let numbers = column(&page.messages, |message| message.number);
    let decode = |row: &Row| Ok((row.integer("number")?, row.message_id("id")?));
    let broadcast_ids: HashMap<_, _> = transaction.query_all(FIND_BY_MESSAGE, bind![numbers], decode).await?;
    let messages = page.messages.into_iter().map(|message| {
        let broadcast_id = broadcast_ids.get(&message.number).copied();
        (message, broadcast_id)
    });
    Ok(UserInboxPage { messages: messages.collect(), next: page.next })
}
