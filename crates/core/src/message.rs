//! Messages: as they are accepted, and as the store returns them with their deliveries and attempts.

use chrono::{DateTime, Utc};

use crate::contact::Contact;
use crate::delivery::DeliveryState;
use crate::event::EventTarget;
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;
use crate::priority::Priority;
use crate::recipient::RecipientStatus;
use crate::user_throttle::{ThrottleWait, UserThrottle};

/// A validated message, ready to be stored. Only the engine's `accept` creates one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMessage {
    /// The public id.
    pub id: MessageId,
    /// The subject, for providers that send subjects.
    pub subject: Option<String>,
    /// The sender that the client named, or the default sender of its account; `None` leaves it to the provider.
    pub sender: Option<String>,
    /// The body.
    pub body: String,
    /// The client's id of the user.
    pub user: Option<String>,
    /// The owner: the name of the API key that accepted it, or empty if it belongs to no single key.
    pub owner: String,
    /// One for each channel and recipient; at least one, at most [`DeliveryId::PER_MESSAGE`].
    pub deliveries: Vec<NewDelivery>,
    /// The idempotency key of the request.
    pub idempotency: Option<Idempotency>,
    /// The target of the message's events.
    pub event_target: Option<EventTarget>,
    /// The throttles that apply, each subject once.
    pub throttles: Vec<UserThrottle>,
    /// True if the message must not be sent again as soon as one copy may have been sent.
    pub at_most_once: bool,
    /// The expiry that the client asked for.
    pub client_expires_at: Option<DateTime<Utc>>,
    /// True if the request came too late to be sent. The store then only returns the earlier result of the same
    /// idempotency key.
    pub replay_only: bool,
    /// The time of acceptance.
    pub created_at: DateTime<Utc>,
}

/// A message over one channel to one address, before it has a state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// The channel.
    pub channel: ConfigName,
    /// The normalised address (E.164 for a phone number); empty if there is a `rejection_reason`.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// All addresses of the person that the channel's providers can use, `address` included. Empty unless the channel
    /// has several kinds of addresses.
    pub contacts: Vec<Contact>,
    /// True for the confirmation of an opt-out, which is sent although its recipient has opted out. It is not sent to an
    /// inactive recipient.
    pub ignores_opt_out: bool,
    /// Why the delivery starts as failed; the other deliveries of the message are sent.
    pub rejection_reason: Option<String>,
    /// Number of text parts.
    pub parts: u32,
    /// The priority.
    pub priority: Priority,
    /// Number of times that the message may be sent again through another provider after a bounce.
    pub resends_left: u32,
    /// The time from which the delivery may be sent.
    pub due_at: DateTime<Utc>,
    /// The time after which the delivery is not sent any more.
    pub expires_at: DateTime<Utc>,
}

/// A client's key for a request and a digest of that request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// SHA-256 of the client's scope and its key.
    pub key: [u8; 32],
    /// SHA-256 of the request.
    pub request: [u8; 32],
    /// The time until which the key is kept.
    pub expires_at: DateTime<Utc>,
}

/// The result of storing a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acceptance {
    /// The message is on disk.
    Stored {
        /// The serial number of the message.
        number: i64,
    },
    /// An earlier, equal request used the same key; nothing new was stored.
    Replayed {
        /// The id of the message that the earlier request stored.
        id: MessageId,
        /// Serial number of the message.
        number: i64,
    },
    /// An earlier request used the same key with different content; nothing was stored.
    KeyReused,
    /// Only a replay was requested, and the key is unknown; nothing was stored.
    NothingToReplay,
    /// No recipient is active, and nothing was stored: `OptedOut` if at least one has opted out, else `Inactive`.
    Suppressed(RecipientStatus),
    /// A throttle of the message is used up; nothing was stored.
    Throttled(ThrottleWait),
}

/// A message with its deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The public id.
    pub id: MessageId,
    /// The serial number.
    pub number: i64,
    /// The subject.
    pub subject: Option<String>,
    /// The sender that the client named, or the default sender of its account; `None` leaves it to the provider.
    pub sender: Option<String>,
    /// The body.
    pub body: String,
    /// The client's id of the user.
    pub user: Option<String>,
    /// The owner: the name of the API key that accepted it, or empty if it belongs to no single key.
    pub owner: String,
    /// The time of acceptance.
    pub created_at: DateTime<Utc>,
    /// One for each channel and recipient.
    pub deliveries: Vec<Delivery>,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The id.
    pub id: DeliveryId,
    /// The channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// Number of text parts.
    pub parts: u32,
    /// The state.
    pub state: DeliveryState,
    /// Number of claims.
    pub round: u32,
    /// Rounds that used up a try.
    pub tries: u32,
    /// The provider that last accepted the message.
    pub provider: Option<ConfigName>,
    /// The id of the message at that provider.
    pub reference: Option<String>,
    /// The time after which the delivery is not sent any more.
    pub expires_at: DateTime<Utc>,
    /// The time at which the person opened the message.
    pub opened_at: Option<DateTime<Utc>>,
    /// All attempts, oldest first; empty in lists.
    pub attempts: Vec<RecordedAttempt>,
}

/// An attempt as the store returns it: the name of the outcome without its facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedAttempt {
    /// The round.
    pub round: u32,
    /// The provider.
    pub provider: Option<ConfigName>,
    /// The name of the outcome.
    pub outcome: String,
    /// The provider's own code.
    pub code: Option<String>,
    /// The provider's id of this copy of the message.
    pub reference: Option<String>,
    /// The reason, for operators.
    pub reason: Option<String>,
    /// The start of the call.
    pub at: DateTime<Utc>,
    /// The duration of the call, in milliseconds.
    pub duration_ms: u64,
    /// The address that was used, if the delivery had several.
    pub address: Option<String>,
}
