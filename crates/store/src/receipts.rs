//! Receipts: how they enter the store, what they change, and the results of applying them.
//!
//! [`LoadedDelivery`] holds the rules that both backends share. A receipt never moves a state backwards.

use crate::events::NewEvent;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, ReceiptContext};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::{
    clock::Timestamp, contact::Contact, event::EventTarget, id::DeliveryId, name::ConfigName,
    priority::Priority, round::CompletedRound, round::InvalidatedAddress,
};

/// Maximum number of receipts with an unknown reference that are kept, over all providers. Normally a few hundred
/// receipts wait, because a round is recorded within seconds of its call.
pub const UNMATCHED_RECEIPTS_MAX: usize = 10_000;

/// Maximum time that a receipt waits for the round with its reference, in milliseconds: one hour. A round is recorded
/// within seconds of its call, or within minutes when the store is slow.
pub(crate) const UNMATCHED_KEPT_MS: i64 = 60 * 60 * 1_000;

/// Maximum number of expired receipts that are deleted whenever a receipt is kept.
pub(crate) const EXPIRED_DELETED_MAX: i64 = 100;

/// A receipt and how it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReceipt {
    /// The provider that sent the receipt; none when the receiving endpoint belongs to no single provider.
    pub provider: Option<ConfigName>,
    /// The receipt.
    pub receipt: Receipt,
    /// The delivery that the receipt names; otherwise the receipt's reference identifies the delivery.
    pub delivery: Option<DeliveryId>,
    /// Time at which this process received the receipt.
    pub received_at: Timestamp,
    /// True if the receipt is kept while its reference is unknown. False for a receipt of an unauthenticated caller,
    /// which could otherwise fill the store with receipts for made-up references.
    pub can_wait: bool,
    /// The normalised address of the sender, if a phone may have written the receipt: it then concerns only messages to this
    /// address. None for a receipt of the provider itself.
    pub sender: Option<String>,
}

/// Result of applying a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptResult {
    /// The receipt changed the delivery.
    Applied(MatchedDelivery),
    /// The delivery had already ended, or the receipt repeats an earlier receipt.
    Unchanged(MatchedDelivery),
    /// No delivery has this reference; the receipt is kept until a recorded round has it.
    Unmatched,
    /// No delivery has this reference and the receipt was not kept: it cannot wait, or too many receipts already wait.
    Dropped,
}

/// The delivery that a receipt is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// Channel of the delivery.
    pub channel: ConfigName,
    /// Provider that sent the copy that the receipt is about.
    pub provider: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// Body of the message.
    pub body: String,
    /// Owner of the message; empty if it belongs to no single API key.
    pub owner: String,
    /// Priority of the delivery.
    pub priority: Priority,
    /// State before the receipt.
    pub previous_kind: DeliveryStateKind,
    /// State after the receipt.
    pub state: DeliveryState,
}

/// A receipt that was kept until a recorded round had its reference.
pub(crate) struct UnmatchedReceipt {
    pub status: ReceiptStatus,
    pub at: Timestamp,
    pub received_at: Timestamp,
}

/// The attempt that a receipt is about: one copy of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SentCopy {
    pub provider: ConfigName,
    pub reference: Option<String>,
    /// The address that was used, if the delivery has several.
    pub address: Option<String>,
}

impl SentCopy {
    /// Returns the copy that a provider accepted in a round.
    pub fn of_round(round: &CompletedRound) -> Option<Self> {
        let attempt = round.accepted_attempt()?;
        Some(Self {
            provider: attempt.provider.clone()?,
            reference: attempt.outcome.reference().map(str::to_owned),
            address: attempt.address.clone(),
        })
    }
}

/// A delivery with the fields that a receipt can change.
pub(crate) struct LoadedDelivery {
    pub id: DeliveryId,
    pub channel: ConfigName,
    /// The provider that accepted the latest copy, and its reference.
    pub provider: Option<ConfigName>,
    pub reference: Option<String>,
    pub spelling: String,
    pub body: String,
    pub owner: String,
    pub priority: Priority,
    pub resends_left: u32,
    /// The addresses that are still active, if the delivery has several.
    pub contacts: Option<Vec<Contact>>,
    pub opened_at: Option<Timestamp>,
    pub state: DeliveryState,
    pub event_target: Option<EventTarget>,
    /// Changes by receipts that are not stored yet.
    pub change: Option<ReceiptChange>,
}

/// Changes by receipts beside the fields of [`LoadedDelivery`].
#[derive(Default)]
pub(crate) struct ReceiptChange {
    /// True if the next round must begin with another provider.
    pub is_provider_avoided: bool,
    pub new_events: Vec<NewEvent>,
    /// The copy whose address a receipt called invalid, the reason and the time.
    invalidated: Option<(SentCopy, String, Timestamp)>,
}

impl LoadedDelivery {
    /// Applies a receipt about a copy and returns its result.
    pub fn apply_receipt(&mut self, received: &ReceivedReceipt, copy: &SentCopy) -> ReceiptResult {
        let previous_kind = self.state.kind();
        let receipt = &received.receipt;
        let is_changed = self.apply_status(&receipt.status, copy, receipt.at, received.received_at);
        self.result(previous_kind, copy, is_changed)
    }

    /// Returns the result of a receipt about a copy.
    pub fn result(
        &self,
        previous_kind: DeliveryStateKind,
        copy: &SentCopy,
        is_changed: bool,
    ) -> ReceiptResult {
        let matched_delivery = MatchedDelivery {
            id: self.id,
            channel: self.channel.clone(),
            provider: copy.provider.clone(),
            spelling: self.spelling.clone(),
            body: self.body.clone(),
            owner: self.owner.clone(),
            priority: self.priority,
            previous_kind,
            state: self.state.clone(),
        };
        if is_changed {
            ReceiptResult::Applied(matched_delivery)
        } else {
            ReceiptResult::Unchanged(matched_delivery)
        }
    }

    /// Applies a receipt status about a copy and returns whether it changed the delivery.
    pub fn apply_status(
        &mut self,
        status: &ReceiptStatus,
        copy: &SentCopy,
        reported_at: Timestamp,
        received_at: Timestamp,
    ) -> bool {
        // Some providers state a time in another zone or of another message: nothing is delivered before it was sent.
        let reported_at = match &self.state {
            DeliveryState::Sent { at: sent_at, .. } => reported_at.max(*sent_at),
            DeliveryState::Waiting { .. }
            | DeliveryState::Delivered { .. }
            | DeliveryState::Failed { .. } => reported_at,
        };
        let new_state = self.state.apply_receipt(status, reported_at, self.context(copy));
        self.change_state(new_state, Some(status), copy, reported_at, received_at)
    }

    /// Applies a provider's late answer that it accepted a copy, and returns whether it changed the delivery.
    pub fn accept_late(&mut self, copy: &SentCopy, at: Timestamp, received_at: Timestamp) -> bool {
        let new_state = self.state.accept_late(at, self.context(copy));
        self.change_state(new_state, None, copy, at, received_at)
    }

    /// Changes the state and what depends on it, and returns whether anything changed. `receipt_status` is none for a
    /// late answer.
    fn change_state(
        &mut self,
        new_state: Option<DeliveryState>,
        receipt_status: Option<&ReceiptStatus>,
        copy: &SentCopy,
        at: Timestamp,
        received_at: Timestamp,
    ) -> bool {
        let is_state_changed = new_state.is_some();
        let is_bounced = matches!(receipt_status, Some(ReceiptStatus::Bounced { .. }));
        let is_resent = matches!(new_state, Some(DeliveryState::Waiting { .. }));
        match new_state {
            Some(DeliveryState::Waiting { reason, .. }) => {
                self.state = DeliveryState::Waiting { due_at: received_at, reason };
            }
            Some(state) => {
                self.state = state;
                self.provider = Some(copy.provider.clone());
                self.reference.clone_from(&copy.reference);
            }
            None => {}
        }
        let is_first_opened = matches!(receipt_status, Some(ReceiptStatus::Opened))
            && matches!(self.state, DeliveryState::Delivered { .. })
            && self.opened_at.is_none();
        if !is_state_changed && !is_first_opened {
            return false;
        }
        let change = self.change.get_or_insert_default();
        if is_resent && is_bounced {
            self.resends_left = self.resends_left.saturating_sub(1);
            change.is_provider_avoided = true;
        }
        if is_first_opened {
            self.opened_at = Some(at);
        }
        if let Some(ReceiptStatus::Invalid { reason }) = receipt_status {
            change.invalidated = Some((copy.clone(), reason.clone(), received_at));
        }
        if let Some(event_target) = &self.event_target {
            if is_state_changed {
                let provider = Some(&copy.provider);
                let event = NewEvent::new(self.id, event_target, &self.state, provider, received_at);
                change.new_events.push(event);
            }
            if is_first_opened {
                let event = NewEvent::opened(self.id, event_target, &copy.provider, at, received_at);
                change.new_events.push(event);
            }
        }
        true
    }

    fn context<'c>(&self, copy: &'c SentCopy) -> ReceiptContext<'c> {
        let contacts = self.contacts.iter().flatten();
        let is_other = |contact: &&Contact| Some(&contact.address) != copy.address.as_ref();
        ReceiptContext {
            provider: &copy.provider,
            reference: copy.reference.as_deref(),
            is_current_attempt: self.provider.as_ref() == Some(&copy.provider)
                && self.reference == copy.reference,
            is_opened: self.opened_at.is_some(),
            resends_left: self.resends_left,
            other_addresses_left: contacts.filter(is_other).count(),
        }
    }

    /// Returns the provider that the next round does not call first, because it reported a bounce.
    pub fn avoided_provider(&self) -> Option<&str> {
        let change = self.change.as_ref()?;
        self.provider.as_ref().map(ConfigName::as_str).filter(|_| change.is_provider_avoided)
    }

    /// Returns the address that a receipt called invalid.
    pub fn invalidated_address(&self) -> Option<InvalidatedAddress<'_>> {
        let (copy, reason, at) = self.change.as_ref()?.invalidated.as_ref()?;
        Some(InvalidatedAddress {
            address: copy.address.as_deref(),
            reason,
            provider: &copy.provider,
            at: *at,
        })
    }
}
