//! Receipts: how they enter the store, what they change, and the results of applying them.
//!
//! [`LoadedDelivery`] holds the rules that both backends share; a receipt never moves a state backwards.

use crate::events::NewEvent;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, RemainingAlternatives};
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::{
    clock::Timestamp, contact::Contact, event::EventTarget, id::DeliveryId, name::ConfigName,
    priority::Priority, round::InvalidatedAddress,
};

/// Maximum number of receipts with an unknown reference that are kept, over all providers. A round is recorded within
/// seconds of its call, so in normal operation a few hundred receipts wait.
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
    /// Provider that sent the message.
    pub provider: ConfigName,
    /// The address as the client wrote it.
    pub spelling: String,
    /// Body of the message.
    pub body: String,
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

/// A delivery that was sent at least once, with the fields that a receipt can change.
pub(crate) struct LoadedDelivery {
    pub id: DeliveryId,
    pub channel: ConfigName,
    pub provider: ConfigName,
    pub spelling: String,
    pub body: String,
    pub priority: Priority,
    pub resends_left: u32,
    /// The address that was used, if the delivery has several.
    pub address: Option<String>,
    /// All addresses, if the delivery has several.
    pub contacts: Option<Vec<Contact>>,
    /// Number of other active addresses.
    pub other_addresses_left: usize,
    pub opened_at: Option<Timestamp>,
    pub state: DeliveryState,
    pub event_target: Option<EventTarget>,
    /// Changes by receipts that are not stored yet.
    pub change: Option<ReceiptChange>,
}

/// Changes by receipts beside the fields of [`LoadedDelivery`].
#[derive(Default)]
pub(crate) struct ReceiptChange {
    /// True if the next round begins with another provider.
    pub is_provider_avoided: bool,
    pub new_events: Vec<NewEvent>,
    /// Reason and time of a receipt that called the address invalid.
    invalidated: Option<(String, Timestamp)>,
}

impl LoadedDelivery {
    /// Takes the contacts without the address that was used; none if the delivery has only one address.
    pub fn take_other_contacts(&mut self) -> Option<Vec<Contact>> {
        let mut other_contacts = self.contacts.take()?;
        other_contacts.retain(|contact| Some(&contact.address) != self.address.as_ref());
        Some(other_contacts)
    }

    /// Applies a receipt and returns its result.
    pub fn apply_receipt(&mut self, received: &ReceivedReceipt) -> ReceiptResult {
        let previous_kind = self.state.kind();
        let receipt = &received.receipt;
        let is_changed = self.apply_status(&receipt.status, receipt.at, received.received_at);
        let matched_delivery = MatchedDelivery {
            id: self.id,
            channel: self.channel.clone(),
            provider: self.provider.clone(),
            spelling: self.spelling.clone(),
            body: self.body.clone(),
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

    /// Applies a receipt status and returns whether it changed the delivery.
    pub fn apply_status(&mut self, status: &ReceiptStatus, at: Timestamp, received_at: Timestamp) -> bool {
        // Some providers state a time in another zone or of another message: nothing is delivered before it was sent.
        let at = match &self.state {
            DeliveryState::Sent { at: sent_at, .. } => at.max(*sent_at),
            DeliveryState::Waiting { .. }
            | DeliveryState::Delivered { .. }
            | DeliveryState::Failed { .. } => at,
        };
        let alternatives =
            RemainingAlternatives { resends: self.resends_left, addresses: self.other_addresses_left };
        let new_state = self.state.apply_receipt(status, at, alternatives);
        let is_state_changed = new_state.is_some();
        let is_bounced = matches!(status, ReceiptStatus::Bounced { .. });
        let is_resent = matches!(new_state, Some(DeliveryState::Waiting { .. }));
        match new_state {
            Some(DeliveryState::Waiting { reason, .. }) => {
                self.state = DeliveryState::Waiting { due_at: received_at, reason };
            }
            Some(state) => self.state = state,
            None => {}
        }
        let is_first_opened = matches!(status, ReceiptStatus::Opened)
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
        if let ReceiptStatus::Invalid { reason } = status {
            change.invalidated = Some((reason.clone(), received_at));
        }
        if let Some(event_target) = &self.event_target {
            if is_state_changed {
                let provider = Some(&self.provider);
                let event = NewEvent::new(self.id, event_target, &self.state, provider, received_at);
                change.new_events.push(event);
            }
            if is_first_opened {
                let event = NewEvent::opened(self.id, event_target, &self.provider, at, received_at);
                change.new_events.push(event);
            }
        }
        true
    }

    /// Returns the provider that the next round does not call first, because it reported a bounce.
    pub fn avoided_provider(&self) -> Option<&str> {
        let change = self.change.as_ref()?;
        change.is_provider_avoided.then(|| self.provider.as_str())
    }

    /// Returns the address that a receipt called invalid.
    pub fn invalidated_address(&self) -> Option<InvalidatedAddress<'_>> {
        let (reason, at) = self.change.as_ref()?.invalidated.as_ref()?;
        Some(InvalidatedAddress {
            address: self.address.as_deref(),
            reason,
            provider: &self.provider,
            at: *at,
        })
    }
}
