//! A message as it is accepted, and as it is read back with all that happened to it.
//!
//! Facts only: states change in `delivery`, and who is asked is decided in `route`.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::contact::Contact;
use crate::delivery::DeliveryState;
use crate::event::EventTarget;
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;
use crate::priority::Priority;
use crate::user_throttle::UserThrottle;

/// A checked message, ready to be stored. Only `flow/accept` makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// Its public name.
    pub id: MessageId,
    /// The line above what it says, for providers that have one.
    pub subject: Option<String>,
    /// What it says.
    pub body: String,
    /// The client's own name for the person, if it gave one.
    pub user: Option<String>,
    /// One for each channel it goes over; at least one, at most [`DeliveryId::PER_MESSAGE`].
    pub deliveries: Vec<NewDelivery>,
    /// The client's promise that a repetition is the same request.
    pub idempotency: Option<Idempotency>,
    /// Who wants to hear of it.
    pub event_target: Option<EventTarget>,
    /// What limits how many messages that expect an answer its users get; each subject once.
    pub throttles: Vec<UserThrottle>,
    /// Whether it could not be sent any more, so that only what the same key brought before is asked for.
    pub replay_only: bool,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
}

/// One message over one channel to one address, before it has a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// Over which channel.
    pub channel: ConfigName,
    /// To which address, normalised (E.164 for a phone number); empty where there is a `refusal`.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// On a channel that mixes kinds of addresses: every address of the person that its providers can use, the one
    /// above among them; else empty.
    pub contacts: Vec<Contact>,
    /// Why it cannot be sent at all, so that it begins and ends as failed while its neighbours go out.
    pub rejection_reason: Option<String>,
    /// How many text parts a provider will count.
    pub parts: u32,
    /// Whether it goes before others.
    pub priority: Priority,
    /// How often a bounce may send it once more, through another provider.
    pub resends_left: u32,
    /// From when on it may be sent.
    pub due_at: DateTime<Utc>,
    /// After this moment it is not sent any more.
    pub expires_at: DateTime<Utc>,
}

/// A client's key for a request and a digest of that request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 over the client's scope and its key.
    pub key: [u8; 32],
    /// SHA-256 over what was asked.
    pub request: [u8; 32],
    /// Until when the key is remembered.
    pub expires_at: DateTime<Utc>,
}

/// What a store made of a message that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// It is on disk.
    Stored {
        /// Its running number.
        number: i64,
    },
    /// The same key brought the same request before; nothing new was stored.
    Replayed {
        /// The message stored then.
        id: MessageId,
        /// Its running number.
        number: i64,
    },
    /// The same key brought another request before; nothing was stored.
    KeyReused,
    /// Only a replay was asked for, and the key brought nothing before; nothing was stored.
    NothingToReplay,
    /// Every recipient is inactive or has opted out; nothing was stored.
    Suppressed,
    /// A user has had as many messages as the limit allows; nothing was stored.
    Throttled {
        /// After how long one more is let through.
        retry_after: Duration,
    },
}

/// A message with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its public name.
    pub id: MessageId,
    /// Its running number.
    pub number: i64,
    /// The line above what it says, for providers that have one.
    pub subject: Option<String>,
    /// What it says.
    pub body: String,
    /// The client's own name for the person.
    pub user: Option<String>,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// One for each channel.
    pub deliveries: Vec<Delivery>,
}

/// A delivery with everything that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number.
    pub id: DeliveryId,
    /// Over which channel.
    pub channel: ConfigName,
    /// To which normalised address.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// How many text parts it has.
    pub parts: u32,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was claimed.
    pub round: u32,
    /// How many rounds used up a try.
    pub tries: u32,
    /// The provider that last took it.
    pub provider: Option<ConfigName>,
    /// That provider's id for it.
    pub reference: Option<String>,
    /// After this moment it is not sent any more.
    pub expires_at: DateTime<Utc>,
    /// When the person opened it.
    pub opened_at: Option<DateTime<Utc>>,
    /// Every call made for it, oldest first; empty where only a list was asked for.
    pub attempts: Vec<RecordedAttempt>,
}

/// An attempt as a store gives it back: the outcome's word and reason, no longer its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// The round it belongs to.
    pub round: u32,
    /// Who was asked.
    pub provider: Option<ConfigName>,
    /// The outcome's word.
    pub outcome: String,
    /// The provider's own code.
    pub code: Option<String>,
    /// The reason, in words for the operator.
    pub reason: Option<String>,
    /// When the call began.
    pub at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The address that was used, where the delivery had several.
    pub address: Option<String>,
}
