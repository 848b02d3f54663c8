//! Registered users, and broadcasts: one body to many of them.
//!
//! The results of a broadcast are counted from its messages and not stored with it.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::contact::Contact;
use crate::id::MessageId;
use crate::message::{Idempotency, Message};
use crate::name::ConfigName;
use crate::user_throttle::UserThrottle;

/// The public id of a broadcast, made like the id of a message.
pub type BroadcastId = MessageId;

/// Length of the longest user id and of the longest user name, in characters.
pub const USER_CHARS_MAX: usize = 255;

/// Maximum number of users that one request registers.
pub const USERS_PER_REQUEST_MAX: usize = 1_000;

/// Maximum number of users that a broadcast lists.
pub const LISTED_USERS_MAX: usize = 10_000;

/// A user to be registered, or changed if already registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The client's id of the user.
    pub id: String,
    /// The owner: the name of the API key that registers it, or empty if it belongs to no single key. Each owner has
    /// its own ids.
    pub owner: String,
    /// The display name; none leaves the stored name unchanged.
    pub name: Option<String>,
    /// The addresses, at most one of each kind; none leaves the stored addresses unchanged.
    pub contacts: Option<Vec<Contact>>,
    /// The time of the request.
    pub created_at: DateTime<Utc>,
}

/// A registered user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The serial number, in the order of registration.
    pub number: i64,
    /// The client's id of the user.
    pub id: String,
    /// The owner: the name of the API key that registered it, or empty if it belongs to no single key.
    pub owner: String,
    /// The display name.
    pub name: Option<String>,
    /// The addresses, at most one of each kind.
    pub contacts: Vec<Contact>,
    /// The time of the first registration.
    pub created_at: DateTime<Utc>,
}

/// The result of registering a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRegistration {
    /// The user is new.
    Added,
    /// The user was registered and has changed.
    Changed,
    /// The user was registered and is unchanged.
    Unchanged,
}

/// The audience of a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroadcastAudience {
    /// Every user of the owner that is registered when the broadcast is stored.
    All,
    /// The users with these ids, each once.
    Listed(Vec<String>),
}

/// A validated broadcast, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBroadcast {
    /// The public id.
    pub id: BroadcastId,
    /// The body of its messages.
    pub body: String,
    /// The channel of its messages.
    pub channel: ConfigName,
    /// The recipients.
    pub audience: BroadcastAudience,
    /// The name of the API key of the request; empty without keys.
    pub caller: String,
    /// The owner of the broadcast, its messages and its users; empty if they belong to no single API key.
    pub owner: String,
    /// The throttles of the whole broadcast. Each throttle counts the text parts of the body once for each user.
    pub throttles: Vec<UserThrottle>,
    /// The idempotency key of the request.
    pub idempotency: Option<Idempotency>,
    /// The time of acceptance.
    pub created_at: DateTime<Utc>,
}

/// The result of storing a broadcast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroadcastAcceptance {
    /// The broadcast is on disk.
    Stored {
        /// Number of users.
        users: u64,
    },
    /// An earlier, equal request used the same key; nothing new was stored.
    Replayed {
        /// The broadcast stored then.
        id: BroadcastId,
    },
    /// An earlier request used the same key with different content; nothing was stored.
    KeyReused,
    /// The throttles of the broadcast are used up; nothing was stored.
    Throttled {
        /// The time after which the broadcast may be accepted.
        retry_after: Duration,
    },
    /// Some of the listed users are not registered; nothing was stored.
    UnknownUsers {
        /// The ids of the first unknown users.
        first: Vec<String>,
        /// Number of unknown users.
        count: usize,
    },
}

/// A stored broadcast with the progress of its fan-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// The serial number.
    pub number: i64,
    /// The public id.
    pub id: BroadcastId,
    /// The body of its messages.
    pub body: String,
    /// The channel of its messages.
    pub channel: ConfigName,
    /// The name of the API key of the request.
    pub caller: String,
    /// The owner of the broadcast, its messages and its users; empty if they belong to no single API key.
    pub owner: String,
    /// The time of acceptance.
    pub created_at: DateTime<Utc>,
    /// True if the broadcast is sent to all users up to `last_user`.
    pub is_to_all: bool,
    /// The number of the last user that was registered at the time of acceptance.
    pub last_user: i64,
    /// Number of users.
    pub users: u64,
    /// The number of the last user that the fan-out has processed.
    pub fan_out_position: i64,
    /// Number of messages made so far.
    pub messages: u64,
    /// Number of users without an address on the channel.
    pub unreachable: u64,
    /// Number of users without a message because they are inactive, have opted out or are throttled.
    pub refused: u64,
    /// True if all users were processed.
    pub is_fanned_out: bool,
}

/// The current results of a broadcast's messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BroadcastCounts {
    /// Messages that still exist.
    pub messages: u64,
    /// Messages that wait to be sent.
    pub waiting: u64,
    /// Messages that a provider has accepted and for which no receipt has arrived.
    pub unconfirmed: u64,
    /// Delivered messages.
    pub received: u64,
    /// Failed messages.
    pub failed: u64,
    /// Delivered messages that were opened.
    pub opened: u64,
    /// The reason why one of the waiting messages was not sent at its last try, for operators.
    pub waiting_reason: Option<String>,
    /// The earliest time at which a waiting message is tried.
    pub next_try_at: Option<DateTime<Utc>>,
    /// The reason of one of the failed messages, for operators.
    pub failed_reason: Option<String>,
}

impl BroadcastCounts {
    /// Returns the share of messages that were delivered; none without messages.
    pub fn received_ratio(&self) -> Option<String> {
        format_ratio(self.received, self.messages)
    }

    /// Returns the share of delivered messages that were opened; none without delivered messages.
    pub fn opened_ratio(&self) -> Option<String> {
        format_ratio(self.opened, self.received)
    }
}

/// Returns the quotient with two decimals, rounded half up; none for a division by zero.
pub fn format_ratio(part: u64, whole: u64) -> Option<String> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let hundredths = (200 * part + whole).checked_div(2 * whole)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// One step of a fan-out: a range of users, processed together with their messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOutStep {
    /// The serial number of the broadcast.
    pub broadcast: i64,
    /// The position at which the step was prepared.
    pub from: i64,
    /// The position after the step.
    pub to: i64,
    /// Number of users without an address on the channel.
    pub unreachable: u64,
    /// True if no users follow.
    pub is_last: bool,
}

/// A page of the messages of one user, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInboxPage {
    /// Messages without attempts, each with the broadcast that it belongs to.
    pub messages: Vec<(Message, Option<BroadcastId>)>,
    /// The value of `before` for the next page; none on the last page.
    pub next: Option<i64>,
}

#[cfg(test)]
mod tests;
