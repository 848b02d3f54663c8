//! Users who have registered, and broadcasts to them.
//!
//! A broadcast is stored with the number of the last user there was, and becomes messages step by step afterwards. Each
//! step moves its bookmark in the transaction that stores the step's messages: whoever goes on, nobody gets two and
//! nobody is left out.

use std::collections::HashMap;

use async_trait::async_trait;

use postrider_core::broadcast::{
    Broadcast, BroadcastAcceptance, BroadcastCounts, BroadcastId, FanOutStep, NewBroadcast, NewUser, User,
    UserInboxPage, UserRegistration,
};
use postrider_core::error::Result;
use postrider_core::message::{Acceptance, NewMessage};

/// What every store can do with users and broadcasts. `contract/broadcasting.rs` decides what that is.
#[async_trait]
pub trait BroadcastStore: Send + Sync {
    /// Registers users, each by its id once; who is there already is changed in what is given. Says of each what it
    /// came to.
    async fn register_users(&self, users: Vec<NewUser>) -> Result<Vec<UserRegistration>>;

    /// Who has registered under that id.
    async fn user(&self, id: &str) -> Result<Option<User>>;

    /// Stores a broadcast to those who are registered now. It sends nothing yet.
    async fn create_broadcast(&self, broadcast: NewBroadcast) -> Result<BroadcastAcceptance>;

    /// The oldest broadcast with a running number above `after` that has not become messages altogether.
    async fn next_unfinished_broadcast(&self, after: i64) -> Result<Option<Broadcast>>;

    /// The next users of a broadcast behind its bookmark, in the order of their numbers; at most `limit`.
    async fn next_broadcast_users(&self, broadcast: &Broadcast, limit: usize) -> Result<Vec<User>>;

    /// Stores the messages of one step as [`super::Store::accept`] does, and moves the bookmark, all in one transaction.
    /// None, and nothing is stored, when the bookmark is not where the step begins: another did it.
    async fn fan_out(&self, reach: FanOutStep, messages: Vec<NewMessage>) -> Result<Option<Vec<Acceptance>>>;

    /// A broadcast, and what became of its messages, counted now.
    async fn broadcast(&self, id: BroadcastId) -> Result<Option<(Broadcast, BroadcastCounts)>>;

    /// Broadcasts with running numbers below `before`, newest first; at most `limit`.
    async fn broadcasts(&self, before: Option<i64>, limit: usize) -> Result<Vec<Broadcast>>;

    /// What was sent to a user, or has arrived, newest first: messages with running numbers below `before`, at most
    /// `limit`.
    async fn user_inbox(&self, user: &str, before: Option<i64>, limit: usize) -> Result<UserInboxPage>;
}

/// The most unknown users that are named in an answer.
pub(super) const UNKNOWN_IDS_LISTED_MAX: usize = 10;

/// What registering is going to write.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct RegistrationPlan {
    /// New users, with their numbers.
    pub new_users: Vec<User>,
    /// Users that were there and are other now.
    pub changed_users: Vec<User>,
    /// What each came to.
    pub results: Vec<UserRegistration>,
}

/// What becomes of users when these are registered who are `known` in part; `last` is the last number given out.
pub(super) fn plan_registration(known: Vec<User>, mut last: i64, users: &[NewUser]) -> RegistrationPlan {
    let mut known = known
        .into_iter()
        .map(|user| (user.id.clone(), (user, UserRegistration::Unchanged)))
        .collect::<HashMap<_, _>>();
    let mut outcomes = Vec::with_capacity(users.len());
    for wanted in users {
        if let Some((user, so_far)) = known.get_mut(&wanted.id) {
            let changed = update_user(user, wanted);
            if changed && *so_far == UserRegistration::Unchanged {
                *so_far = UserRegistration::Changed;
            }
            outcomes.push(if changed {
                UserRegistration::Changed
            } else {
                UserRegistration::Unchanged
            });
            continue;
        }
        last += 1;
        let user = User {
            number: last,
            id: wanted.id.clone(),
            name: wanted.name.clone(),
            contacts: wanted.contacts.clone().unwrap_or_default(),
            created_at: wanted.created_at,
        };
        known.insert(user.id.clone(), (user, UserRegistration::Added));
        outcomes.push(UserRegistration::Added);
    }
    let mut plan = RegistrationPlan {
        results: outcomes,
        ..RegistrationPlan::default()
    };
    for (user, outcome) in known.into_values() {
        match outcome {
            UserRegistration::Added => plan.new_users.push(user),
            UserRegistration::Changed => plan.changed_users.push(user),
            UserRegistration::Unchanged => {}
        }
    }
    plan.new_users.sort_by_key(|user| user.number);
    plan.changed_users.sort_by_key(|user| user.number);
    plan
}

fn update_user(user: &mut User, wanted: &NewUser) -> bool {
    let mut changed = false;
    if wanted.name.is_some() && wanted.name != user.name {
        user.name.clone_from(&wanted.name);
        changed = true;
    }
    if let Some(contacts) = &wanted.contacts
        && *contacts != user.contacts
    {
        user.contacts.clone_from(contacts);
        changed = true;
    }
    changed
}

/// The numbers of messages that were stored, as runs from a first to a last without a gap; and how many messages of the
/// step were not stored.
pub(super) fn number_ranges(accepted: &[Acceptance]) -> (Vec<(i64, i64)>, u64) {
    let mut runs = Vec::<(i64, i64)>::new();
    let mut refused = 0;
    for acceptance in accepted {
        match (acceptance, runs.last_mut()) {
            (Acceptance::Stored { number }, Some((_, last))) if *last + 1 == *number => *last = *number,
            (Acceptance::Stored { number }, _) => runs.push((*number, *number)),
            _ => refused += 1,
        }
    }
    (runs, refused)
}

#[cfg(test)]
mod tests {
    use super::*;
    use postrider_core::clock::from_millis;

    fn new(id: &str, name: Option<&str>) -> NewUser {
        NewUser {
            id: id.to_owned(),
            name: name.map(str::to_owned),
            contacts: None,
            created_at: from_millis(1),
        }
    }

    #[test]
    fn a_user_who_comes_twice_in_one_batch_is_added_once() {
        let users = [
            new("a", None),
            new("b", Some("Bo")),
            new("a", Some("An")),
            new("a", None),
        ];
        let first = plan_registration(Vec::new(), 7, &users);
        let numbers = first
            .new_users
            .iter()
            .map(|user| (user.number, user.name.as_deref()));
        assert_eq!(numbers.collect::<Vec<_>>(), [(8, Some("An")), (9, Some("Bo"))]);
        use UserRegistration::{Added, Changed, Unchanged};
        assert_eq!(first.results, [Added, Added, Changed, Unchanged]);
        assert_eq!(first.changed_users, []);
        let again = plan_registration(first.new_users.clone(), 9, &users);
        assert_eq!((again.new_users, again.changed_users), (vec![], vec![]));
        assert_eq!(again.results, [Unchanged; 4]);
    }

    #[test]
    fn numbers_without_a_gap_are_one_run() {
        let stored = |number| Acceptance::Stored { number };
        let accepted = [stored(4), stored(5), Acceptance::Suppressed, stored(6), stored(9)];
        assert_eq!(number_ranges(&accepted), (vec![(4, 6), (9, 9)], 1));
        assert_eq!(number_ranges(&[]), (vec![], 0));
    }
}
