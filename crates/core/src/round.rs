//! One round of a delivery: what a worker claims, and what it records at the end.

use chrono::{DateTime, Utc};

use crate::attempt::{Attempt, Outcome};
use crate::contact::Contact;
use crate::delivery::{DeliveryState, DeliveryStateKind, Failure};
use crate::event::EventTarget;
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;
use crate::priority::Priority;

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
