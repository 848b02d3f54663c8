//! A message as it is accepted, and as it is read back with all that happened to it.
//!
//! Facts only: states change in `delivery`, and who is asked is decided in `route`.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::attempt::{Attempt, Outcome};
use super::channel::ConfigName;
use super::contact::Contact;
use super::delivery::{DeliveryState, DeliveryStateKind, Failure};
use super::event::EventTarget;
use super::id::{DeliveryId, MessageId};
use super::user_throttle::UserThrottle;

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

/// Which of two due deliveries goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash, PartialOrd, Ord)]
pub enum Priority {
    /// Before all that is normal: one-time codes.
    High,
    /// Everything else.
    #[default]
    Normal,
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

/// A delivery a worker has won, with all it needs to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// Which delivery.
    pub id: DeliveryId,
    /// The message it carries.
    pub message: MessageId,
    /// Over which channel.
    pub channel: ConfigName,
    /// To which normalised address.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// Of a delivery with several addresses: those that may still be written to, the best first.
    pub contacts: Option<Vec<Contact>>,
    /// The line above what the message says.
    pub subject: Option<String>,
    /// What the message says.
    pub body: String,
    /// How many text parts it has.
    pub parts: u32,
    /// The fencing token of this claim.
    pub round: u32,
    /// Rounds that used up a try so far.
    pub tries: u32,
    /// How many of the latest claims were never recorded, so that nobody knows whether it was sent.
    pub unrecorded_claims: u32,
    /// A provider to leave out, because it reported that it could not deliver this.
    pub avoid: Option<ConfigName>,
    /// Whether it goes before others.
    pub priority: Priority,
    /// After this moment it is not sent any more.
    pub expires_at: DateTime<Utc>,
    /// Who wants to hear of it; comes back with the round.
    pub event_target: Option<EventTarget>,
}

/// What a round came to, ready to be stored. Kept only while the delivery's round is still this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedRound {
    /// Which delivery.
    pub id: DeliveryId,
    /// The fencing token of the claim.
    pub round: u32,
    /// The calls that were made, in order.
    pub attempts: Vec<Attempt>,
    /// The state they lead to.
    pub state: DeliveryState,
    /// Rounds that used up a try, this one included.
    pub tries: u32,
    /// When the round ended.
    pub at: DateTime<Utc>,
    /// Who wants to hear of it, as the claim said.
    pub event_target: Option<EventTarget>,
}

/// An address that a provider called dead in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidatedAddress<'a> {
    /// Which one, where the delivery has several.
    pub address: Option<&'a str>,
    /// In the provider's words.
    pub reason: &'a str,
    /// The provider.
    pub provider: &'a ConfigName,
    /// When.
    pub at: DateTime<Utc>,
}

impl CompletedRound {
    /// The addresses that are to become inactive: each that a provider called dead where the delivery has several, else
    /// the only one when the round failed for it.
    pub fn invalidated_addresses(&self) -> Vec<InvalidatedAddress<'_>> {
        let mut dead = Vec::new();
        for attempt in &self.attempts {
            if let (Outcome::InvalidRecipient { reason }, Some(by), Some(address)) =
                (&attempt.outcome, &attempt.provider, &attempt.address)
            {
                dead.push(InvalidatedAddress {
                    address: Some(address),
                    reason,
                    provider: by,
                    at: self.at,
                });
            }
        }
        let last = self.attempts.last().and_then(|attempt| attempt.provider.as_ref());
        if let DeliveryState::Failed {
            failure: Failure::InvalidRecipient,
            reason,
            at,
        } = &self.state
            && let Some(by) = last.filter(|_| dead.is_empty())
        {
            dead.push(InvalidatedAddress {
                address: None,
                reason,
                provider: by,
                at: *at,
            });
        }
        dead
    }
}

/// What a store made of a recorded round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordResult {
    /// It is on disk, perhaps since an earlier time whose answer was lost.
    Stored,
    /// It is on disk, and receipts that had come before it moved the delivery on to there.
    MovedByReceipt(DeliveryStateKind),
    /// Another worker has claimed the delivery since; nothing was changed.
    Superseded,
}

impl RecordResult {
    /// A round that ended in `recorded`, where early receipts left it in `stands`.
    pub fn from_states(recorded: DeliveryStateKind, stands: Option<DeliveryStateKind>) -> Self {
        match stands.filter(|stands| *stands != recorded) {
            Some(stands) => Self::MovedByReceipt(stands),
            None => Self::Stored,
        }
    }
}

/// A hint that a delivery is due: what a queue holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueEntry {
    /// Which delivery.
    pub id: DeliveryId,
    /// Over which channel: each waits in a row of its own.
    pub channel: ConfigName,
    /// From when on it can be claimed.
    pub due_at: DateTime<Utc>,
    /// Whether it goes before others.
    pub priority: Priority,
}
