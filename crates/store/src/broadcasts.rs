//! Registered users, and broadcasts to them.
//!
//! A broadcast is stored with the number of the last registered user; fan-out turns the broadcast into messages step by
//! step. Each step advances the fan-out position in the transaction that stores its messages. So every user gets
//! exactly one message, whichever process continues the fan-out.

use std::collections::HashMap;

use async_trait::async_trait;

use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastCounts, BroadcastId, FanOutStep, NewBroadcast, NewUser, User,
    UserInboxPage, UserRegistration,
};
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};
use postrider_core::user_throttle::UserThrottle;

/// Registers users and sends broadcasts to them.
#[async_trait]
pub trait BroadcastStore: Send + Sync {
    /// Registers users by their owners and ids, updates the given fields of users that exist, and returns one result per user.
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>>;

    /// Returns the users with an id, one for each owner that has registered it, oldest first.
    async fn users_with_id(&self, id: &str) -> Result<Vec<User>>;

    /// Returns whether any user is registered.
    async fn has_users(&self) -> Result<bool>;

    /// Stores a broadcast to users of its owner that are registered now. Fan-out happens later.
    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance>;

    /// Returns the oldest broadcast with a number above `after` and an unfinished fan-out.
    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>>;

    /// Returns at most `limit` users after the fan-out position of a broadcast, ordered by number.
    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>>;

    /// Stores the messages of one step like [`AcceptStore::accept`](crate::AcceptStore::accept) and advances the
    /// fan-out position, in one transaction. Returns none and stores nothing if the broadcast's position is not the
    /// beginning of the step, because another process has done the step.
    async fn fan_out(&self, step: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>>;

    /// Returns a broadcast and the counts of its messages, counted now.
    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>>;

    /// Returns at most `limit` broadcasts with numbers below `before`, newest first; if `owner` is given, only
    /// broadcasts of this owner.
    async fn broadcasts(
        &self,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Broadcast>>;

    /// Returns the messages of a user that were sent or delivered, newest first: at most `limit`, with numbers below
    /// `before`; if `owner` is given, only messages of this owner.
    async fn user_inbox(
        &self,
        user: &str,
        owner: Option<&str>,
        before: Option<i64>,
        limit: usize,
    ) -> Result<UserInboxPage>;
}

/// Maximum number of unknown user ids that a result lists.
pub(super) const UNKNOWN_IDS_LISTED_MAX: usize = 10;

/// The rows that a registration writes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RegistrationPlan {
    /// New users, with their numbers.
    pub new_users: Vec<User>,
    /// Existing users with changed fields.
    pub changed_users: Vec<User>,
    /// Result for each user, in the order of the request.
    pub results: Vec<UserRegistration>,
}

/// Plans a registration. `stored_users` are those of `requested_users` that exist; `last_number` is the last user number
/// in use.
pub(super) fn plan_registration(
    stored_users: Vec<User>,
    mut last_number: i64,
    requested_users: &[NewUser],
) -> RegistrationPlan {
    let key_of = |user: User| ((user.owner.clone(), user.id.clone()), (user, UserRegistration::Unchanged));
    let mut users_by_id: HashMap<_, _> = stored_users.into_iter().map(key_of).collect();
    let mut plan = RegistrationPlan::default();
    for requested_user in requested_users {
        let user_key = (requested_user.owner.clone(), requested_user.id.clone());
        let registration = match users_by_id.get_mut(&user_key) {
            Some((user, batch_result)) => {
                let registration = update_user(user, requested_user);
                if *batch_result == UserRegistration::Unchanged {
                    *batch_result = registration;
                }
                registration
            }
            None => {
                last_number += 1;
                let user = number_user(last_number, requested_user);
                users_by_id.insert(user_key, (user, UserRegistration::Added));
                UserRegistration::Added
            }
        };
        plan.results.push(registration);
    }
    for (user, batch_result) in users_by_id.into_values() {
        match batch_result {
            UserRegistration::Added => plan.new_users.push(user),
            UserRegistration::Changed => plan.changed_users.push(user),
            UserRegistration::Unchanged => {}
        }
    }
    plan.new_users.sort_by_key(|user| user.number);
    plan.changed_users.sort_by_key(|user| user.number);
    plan
}

fn number_user(number: i64, requested_user: &NewUser) -> User {
    User {
        number,
        id: requested_user.id.clone(),
        owner: requested_user.owner.clone(),
        name: requested_user.name.clone(),
        contacts: requested_user.contacts.clone().unwrap_or_default(),
        created_at: requested_user.created_at,
    }
}

/// Copies the requested fields into a stored user and returns whether the user changed.
fn update_user(user: &mut User, requested_user: &NewUser) -> UserRegistration {
    let old_user = user.clone();
    if requested_user.name.is_some() {
        user.name.clone_from(&requested_user.name);
    }
    if let Some(contacts) = &requested_user.contacts {
        user.contacts.clone_from(contacts);
    }
    if *user == old_user { UserRegistration::Unchanged } else { UserRegistration::Changed }
}

/// Multiplies the throttles of a broadcast by the number of its users. Returns none for a broadcast without users.
pub(super) fn throttles_of_users(throttles: &[UserThrottle], user_count: i64) -> Vec<UserThrottle> {
    match u64::try_from(user_count) {
        Ok(users @ 1..) => throttles.iter().map(|throttle| throttle.for_users(users)).collect(),
        Ok(0) | Err(_) => Vec::new(),
    }
}

/// Returns the numbers of the stored messages as ranges of consecutive numbers, and the number of messages that were
/// not stored.
pub(super) fn number_ranges(acceptances: &[Acceptance]) -> (Vec<(i64, i64)>, u64) {
    let mut ranges = Vec::<(i64, i64)>::new();
    let mut refused_count = 0;
    for acceptance in acceptances {
        match (acceptance, ranges.last_mut()) {
            (Acceptance::Stored { number }, Some((_, last))) if *last + 1 == *number => *last = *number,
            (Acceptance::Stored { number }, _) => ranges.push((*number, *number)),
            _ => refused_count += 1,
        }
    }
    (ranges, refused_count)
}

#[cfg(test)]
mod tests;
