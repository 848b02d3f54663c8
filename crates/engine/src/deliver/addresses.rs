//! Chooses the address that a provider gets during a round.
//!
//! Most deliveries have one address for all providers. An address that a provider reports as invalid is
//! skipped for the rest of the round; recording the round makes it inactive.

use crate::gateway::{ProviderRuntime, Route};
use postrider_core::address::{AddressKind, guess_address_kind};
use postrider_core::round::ClaimedDelivery;

/// Addresses of a claimed delivery.
pub(super) struct DeliveryAddresses<'c> {
    claimed: &'c ClaimedDelivery,
    /// Kind of the address of a delivery without contacts.
    kind: AddressKind,
    invalid: Vec<&'c str>,
}

/// The recipient's address that one provider gets in this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChosenAddress<'c> {
    /// Normalised address.
    pub address: &'c str,
    /// Address as the client wrote it.
    pub spelling: &'c str,
}

impl<'c> DeliveryAddresses<'c> {
    /// Creates the addresses of a claimed delivery. The kind of an address that was accepted before its
    /// channel mixed kinds is guessed from its form.
    pub fn new(claimed: &'c ClaimedDelivery, route: &Route) -> Self {
        let kind = match route.address_kinds() {
            [kind] => *kind,
            _ => guess_address_kind(&claimed.address),
        };
        Self { claimed, kind, invalid: Vec::new() }
    }

    /// Returns whether the delivery can have several addresses, so that an attempt must record which one it
    /// used.
    pub fn has_contacts(&self) -> bool {
        self.claimed.contacts.is_some()
    }

    /// Returns the address for a provider, if it can use one.
    pub fn address_for(&self, runtime: &ProviderRuntime) -> Option<ChosenAddress<'c>> {
        let kind = runtime.adapter().address_kind();
        let Some(contacts) = &self.claimed.contacts else {
            let is_usable = self.invalid.is_empty()
                && self.kind.is_usable_by(kind)
                && runtime.adapter().can_send_to(&self.claimed.address);
            return is_usable.then_some(ChosenAddress {
                address: &self.claimed.address,
                spelling: &self.claimed.spelling,
            });
        };
        let mut usable = contacts.iter().filter(|contact| {
            let is_invalid = self.invalid.contains(&contact.address.as_str());
            contact.kind.is_usable_by(kind) && !is_invalid && runtime.adapter().can_send_to(&contact.address)
        });
        usable.next().map(|contact| ChosenAddress { address: &contact.address, spelling: &contact.spelling })
    }

    /// Returns whether any provider of the channel can use an address.
    pub fn has_usable_address(&self, route: &Route) -> bool {
        route.providers().iter().any(|runtime| self.address_for(runtime).is_some())
    }

    /// Excludes an address that a provider reported as invalid.
    pub fn mark_invalid(&mut self, address: &'c str) {
        self.invalid.push(address);
    }
}

/// Returns the reason why a provider is skipped.
pub(super) fn skip_reason(runtime: &ProviderRuntime) -> String {
    let kind = runtime.adapter().address_kind().description();
    format!("{}: skipped, the recipient has no {kind}", runtime.name)
}

/// Returns the reason why the delivery has no usable address.
pub(super) fn no_usable_address_reason(route: &Route) -> String {
    let kinds = route.address_kinds().iter().map(|kind| kind.description()).collect::<Vec<_>>();
    format!("no active address for the providers of this channel ({})", kinds.join(", "))
}
