//! Users who have registered, and broadcasts: one body to many of them.
//!
//! Facts and arithmetic only. What a broadcast comes to is counted from its messages, never kept beside them.

use chrono::{DateTime, Utc};

use crate::contact::Contact;
use crate::id::MessageId;
use crate::message::{Idempotency, Message};
use crate::name::ConfigName;

/// A broadcast's public name, made as a message's is.
pub type BroadcastId = MessageId;

/// The longest name by which clients know a user, and the longest name of a person, in characters.
pub const USER_CHARS_MAX: usize = 255;

/// The most users that one request registers.
pub const USERS_PER_REQUEST_MAX: usize = 1_000;

/// The most users that a broadcast names one by one.
pub const LISTED_USERS_MAX: usize = 10_000;

/// Who is to be registered, or changed if registered already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUser {
    /// The client's own name for the user.
    pub id: String,
    /// What people call the user; none leaves what is known.
    pub name: Option<String>,
    /// The user's addresses, each kind at most once; none leaves what is known.
    pub contacts: Option<Vec<Contact>>,
    /// When it is asked for.
    pub created_at: DateTime<Utc>,
}

/// Who has registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The running number: how many had registered then.
    pub number: i64,
    /// The client's own name for the user.
    pub id: String,
    /// What people call the user.
    pub name: Option<String>,
    /// The user's addresses, each kind at most once.
    pub contacts: Vec<Contact>,
    /// When the user registered first.
    pub created_at: DateTime<Utc>,
}

/// What registering came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserRegistration {
    /// The user is new.
    Added,
    /// The user was there, and is changed.
    Changed,
    /// The user was there, and is as before.
    Unchanged,
}

/// To whom a broadcast goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroadcastAudience {
    /// To everybody who is registered when it is stored.
    All,
    /// To these, each once.
    Listed(Vec<String>),
}

/// A checked broadcast, ready to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewBroadcast {
    /// Its public name.
    pub id: BroadcastId,
    /// What it says.
    pub body: String,
    /// Over which channel.
    pub channel: ConfigName,
    /// To whom.
    pub audience: BroadcastAudience,
    /// The name of the API key it came with; empty where there are no keys.
    pub caller: String,
    /// The client's promise that a repetition is the same request.
    pub idempotency: Option<Idempotency>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// What a store made of a broadcast that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BroadcastAcceptance {
    /// It is on disk, to so many users.
    Stored {
        /// How many.
        users: u64,
    },
    /// The same key brought the same request before; nothing new was stored.
    Replayed {
        /// The broadcast stored then.
        id: BroadcastId,
    },
    /// The same key brought another request before; nothing was stored.
    KeyReused,
    /// Some of those it names have not registered; nothing was stored.
    UnknownUsers {
        /// The first of them.
        first: Vec<String>,
        /// How many in all.
        count: usize,
    },
}

/// A broadcast as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broadcast {
    /// Its running number.
    pub number: i64,
    /// Its public name.
    pub id: BroadcastId,
    /// What it says.
    pub body: String,
    /// Over which channel.
    pub channel: ConfigName,
    /// The name of the API key it came with.
    pub caller: String,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether it goes to everybody up to `last_user`.
    pub is_to_all: bool,
    /// The last user who had registered then.
    pub last_user: i64,
    /// To how many users it goes.
    pub users: u64,
    /// The number of the last user who was looked at.
    pub fan_out_position: i64,
    /// How many messages it has become.
    pub messages: u64,
    /// How many users had no address on the channel.
    pub unreachable: u64,
    /// How many users were not written to, because they may not be or have had enough.
    pub refused: u64,
    /// Whether every user was looked at.
    pub is_fanned_out: bool,
}

/// What became of a broadcast's messages, counted now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BroadcastCounts {
    /// Messages that still exist.
    pub messages: u64,
    /// Of these: wait to be sent.
    pub waiting: u64,
    /// A provider has them, and nobody has said that they arrived.
    pub unconfirmed: u64,
    /// Arrived.
    pub received: u64,
    /// Will not arrive.
    pub failed: u64,
    /// Opened, which only what arrived can be.
    pub opened: u64,
}

impl BroadcastCounts {
    /// Which part of the messages arrived; none where there are none.
    pub fn received_ratio(&self) -> Option<String> {
        format_ratio(self.received, self.messages)
    }

    /// Which part of what arrived was opened; none where nothing arrived.
    pub fn opened_ratio(&self) -> Option<String> {
        format_ratio(self.opened, self.received)
    }
}

/// The quotient with two decimals, a half rounded up; none for a division by zero.
pub fn format_ratio(part: u64, whole: u64) -> Option<String> {
    let (part, whole) = (u128::from(part), u128::from(whole));
    let hundredths = (200 * part + whole).checked_div(2 * whole)?;
    Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
}

/// One step of a broadcast on its way: the users from one number to another and the messages to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FanOutStep {
    /// Which broadcast.
    pub broadcast: i64,
    /// Where it stood when this step was made.
    pub from: i64,
    /// Where it stands afterwards.
    pub to: i64,
    /// How many of the users have no address on the channel.
    pub unreachable: u64,
    /// Whether nobody comes after them.
    pub is_last: bool,
}

/// A page of what a user has received, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserInboxPage {
    /// Messages without attempts, each with the broadcast it came from.
    pub messages: Vec<(Message, Option<BroadcastId>)>,
    /// What `before` must be for the next page; none on the last one.
    pub next: Option<i64>,
}

#[cfg(test)]
mod tests;
