//! Receipts: how they enter the store, what they change, and the results of applying them.
//!
//! [`LoadedDelivery`] holds the rules that both backends share; a receipt never moves a state backwards.

use crate::events::NewEvent;
use postrider_core::clock::Timestamp;
use postrider_core::contact::Contact;
use postrider_core::delivery::{DeliveryState, DeliveryStateKind, RemainingAlternatives};
use postrider_core::event::EventTarget;
use postrider_core::id::DeliveryId;
use postrider_core::name::ConfigName;
use postrider_core::priority::Priority;
use postrider_core::receipt::{Receipt, ReceiptStatus};
use postrider_core::round::InvalidatedAddress;

/// Maximum number of receipts with an unknown reference that are kept, over all providers. A send is recorded within
/// seconds, so in normal operation a few hundred wait.
pub const UNMATCHED_RECEIPTS_MAX: usize = 10_000;

/// Time that a receipt waits for the round with its reference, in milliseconds: one hour. A record follows its call
/// within seconds, or within minutes when the store is slow.
pub(crate) const UNMATCHED_KEPT_MS: i64 = 60 * 60 * 1_000;

/// Maximum number of expired receipts that are deleted for each receipt that is kept.
pub(crate) const EXPIRED_DELETED_MAX: i64 = 100;

/// A receipt and how it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedReceipt {
    /// The provider that sent it; none when the endpoint that received it belongs to no single provider.
    pub provider: Option<ConfigName>,
    /// The receipt itself.
    pub receipt: Receipt,
    /// The delivery, where the receipt names it; otherwise the receipt's reference identifies the delivery.
    pub delivery: Option<DeliveryId>,
    /// Time at which this process received it.
    pub received_at: Timestamp,
    /// True if the receipt is kept while its reference is unknown. False for a receipt of an unauthenticated caller,
    /// which could otherwise fill the store with receipts for made-up references.
    pub can_wait: bool,
}

/// Result of applying a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiptResult {
    /// It changed the delivery.
    Applied(MatchedDelivery),
    /// The delivery had ended already, or the receipt repeats an earlier one.
    Unchanged(MatchedDelivery),
    /// No delivery has this reference; the receipt is kept until a recorded round has it.
    Unmatched,
    /// No delivery has this reference and the receipt was not kept: it cannot wait, or too many wait already.
    Dropped,
}

/// The delivery that a receipt belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedDelivery {
    /// Id of the delivery.
    pub id: DeliveryId,
    /// Channel of the delivery.
    pub channel: ConfigName,
    /// Provider that sent it.
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
    /// Changes by receipts that are not stored yet; none if there are none.
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
    /// Takes the addresses other than the one that was used; none if the delivery has only one.
    pub fn take_other_contacts(&mut self) -> Option<Vec<Contact>> {
        let mut others = self.contacts.take()?;
        others.retain(|contact| Some(&contact.address) != self.address.as_ref());
        Some(others)
    }

    /// Applies a receipt and returns its result.
    pub fn apply_receipt(&mut self, received: &ReceivedReceipt) -> ReceiptResult {
        let previous_kind = self.state.kind();
        let receipt = &received.receipt;
        let has_changed = self.apply_status(&receipt.status, receipt.at, received.received_at);
        let delivery = MatchedDelivery {
            id: self.id,
            channel: self.channel.clone(),
            provider: self.provider.clone(),
            spelling: self.spelling.clone(),
            body: self.body.clone(),
            priority: self.priority,
            previous_kind,
            state: self.state.clone(),
        };
        if has_changed { ReceiptResult::Applied(delivery) } else { ReceiptResult::Unchanged(delivery) }
    }

    /// Applies a receipt status and returns whether it changed the delivery.
    pub fn apply_status(&mut self, status: &ReceiptStatus, at: Timestamp, received_at: Timestamp) -> bool {
        let alternatives =
            RemainingAlternatives { resends: self.resends_left, addresses: self.other_addresses_left };
        let next = self.state.apply_receipt(status, at, alternatives);
        let has_moved = next.is_some();
        let is_bounced = matches!(status, ReceiptStatus::Bounced { .. });
        let is_resent = matches!(next, Some(DeliveryState::Waiting { .. }));
        match next {
            Some(DeliveryState::Waiting { reason, .. }) => {
                let due_at = received_at;
                self.state = DeliveryState::Waiting { due_at, reason };
            }
            Some(state) => self.state = state,
            None => {}
        }
        let is_first_opened = matches!(status, ReceiptStatus::Opened)
            && matches!(self.state, DeliveryState::Delivered { .. })
            && self.opened_at.is_none();
        if !has_moved && !is_first_opened {
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
        if let Some(target) = &self.event_target {
            if has_moved {
                let provider = Some(&self.provider);
                let event = NewEvent::new(self.id, target, &self.state, provider, received_at);
                change.new_events.push(event);
            }
            if is_first_opened {
                let event = NewEvent::opened(self.id, target, &self.provider, at, received_at);
                change.new_events.push(event);
            }
        }
        true
    }

    /// Returns the provider that the next round does not call first, if a receipt said so.
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
