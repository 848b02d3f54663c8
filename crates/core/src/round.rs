//! One round of a delivery: the claim with which it begins and the record with which it ends.

use chrono::{DateTime, Utc};

use crate::attempt::{Attempt, Outcome};
use crate::contact::Contact;
use crate::delivery::{DeliveryState, DeliveryStateKind, Failure};
use crate::event::EventTarget;
use crate::id::{DeliveryId, MessageId};
use crate::name::ConfigName;
use crate::priority::Priority;

/// A delivery that a worker has claimed, with everything that sending it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedDelivery {
    /// The delivery.
    pub id: DeliveryId,
    /// The message that it belongs to.
    pub message: MessageId,
    /// The channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// The address as the client wrote it.
    pub spelling: String,
    /// The addresses that may still be used, best first; none for a delivery with a single address.
    pub contacts: Option<Vec<Contact>>,
    /// The subject of the message.
    pub subject: Option<String>,
    /// The sender that the client named, or the default sender of its account; `None` leaves it to the provider.
    pub sender: Option<String>,
    /// The body of the message.
    pub body: String,
    /// Number of text parts.
    pub parts: u32,
    /// The fencing token of this claim.
    pub round: u32,
    /// Rounds so far that used up a try.
    pub tries: u32,
    /// Number of latest claims without a record. Each of them may have sent the message.
    pub unrecorded_claims: u32,
    /// Number of recorded attempts with the outcome `unknown`: each of them may have sent a copy.
    pub unknown_attempts: u32,
    /// True if the message must not be sent again as soon as one copy may have been sent.
    pub at_most_once: bool,
    /// The provider to skip; none for most deliveries. It has reported that it could not deliver this message.
    pub avoid: Option<ConfigName>,
    /// True if the message must not be sent again as soon as one copy may have been sent.
    pub priority: Priority,
    /// The time after which the delivery is not sent any more.
    pub expires_at: DateTime<Utc>,
    /// The expiry that the client asked for. Waits that a provider asks for never extend `expires_at` beyond it.
    pub client_expires_at: Option<DateTime<Utc>>,
    /// The target of the message's events; the completed round carries it back to the store.
    pub event_target: Option<EventTarget>,
}

/// The result of a round, ready to be recorded. The store keeps it only while the delivery's round is still this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedRound {
    /// The delivery.
    pub id: DeliveryId,
    /// The fencing token of the claim.
    pub round: u32,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
    /// The new state.
    pub state: DeliveryState,
    /// Rounds that used up a try, this one included.
    pub tries: u32,
    /// The time after which the delivery is not sent any more.
    pub expires_at: DateTime<Utc>,
    /// The end of the round.
    pub at: DateTime<Utc>,
    /// The target of the message's events, from the claim.
    pub event_target: Option<EventTarget>,
}

/// An address for which a provider reported `invalid_recipient` in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidatedAddress<'a> {
    /// The address; none when the delivery has only one.
    pub address: Option<&'a str>,
    /// The reason that the provider gave.
    pub reason: &'a str,
    /// The provider.
    pub provider: &'a ConfigName,
    /// The time of the report.
    pub at: DateTime<Utc>,
}

impl CompletedRound {
    /// Returns the attempt that a provider accepted; at most one per round, because it ends the round.
    pub fn accepted_attempt(&self) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| matches!(attempt.outcome, Outcome::Accepted { .. }))
    }

    /// Returns the addresses that become inactive: every invalid address of a delivery with several, or the only address
    /// of a delivery that failed because of it.
    pub fn invalidated_addresses(&self) -> Vec<InvalidatedAddress<'_>> {
        let from_attempts = self.attempts.iter().filter_map(|attempt| {
            let Outcome::InvalidRecipient { reason } = &attempt.outcome else { return None };
            let (provider, address) = (attempt.provider.as_ref()?, attempt.address.as_deref()?);
            Some(InvalidatedAddress { address: Some(address), reason, provider, at: self.at })
        });
        let mut invalidated: Vec<_> = from_attempts.collect();
        let last_provider = self.attempts.last().and_then(|attempt| attempt.provider.as_ref());
        if let DeliveryState::Failed { failure: Failure::InvalidRecipient, reason, at } = &self.state
            && let Some(provider) = last_provider.filter(|_| invalidated.is_empty())
        {
            invalidated.push(InvalidatedAddress { address: None, reason, provider, at: *at });
        }
        invalidated
    }
}

/// The result of recording a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordResult {
    /// The round is on disk. It may have been stored by an earlier call whose answer was lost.
    Stored,
    /// The round is on disk, but the delivery has this state, because a receipt arrived before the record.
    MovedByReceipt(DeliveryStateKind),
    /// A receipt for an earlier copy settled the delivery during the call. The attempts are stored; the state does not
    /// change.
    AlreadySettled,
    /// Another worker claimed the delivery before the round was recorded. The attempts are stored; the state does not
    /// change.
    Superseded,
}

impl RecordResult {
    /// Returns the result for a round with the state `recorded` after which the delivery has the state `current`.
    pub fn from_states(recorded: DeliveryStateKind, current: Option<DeliveryStateKind>) -> Self {
        match current.filter(|current| *current != recorded) {
            Some(current) => Self::MovedByReceipt(current),
            None => Self::Stored,
        }
    }
}
