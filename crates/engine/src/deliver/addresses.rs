//! Chooses the address that a provider gets during a round.
//!
//! Most deliveries have one address for all providers. An address that a provider reports as invalid is skipped for the
//! rest of the round; recording the round makes the address inactive.

use crate::gateway::{ProviderRuntime, Route};
use postrider_core::address::{AddressKind, guess_address_kind};
use postrider_core::round::ClaimedDelivery;

/// Addresses of a claimed delivery.
pub(super) struct DeliveryAddresses<'c> {
    claimed: &'c ClaimedDelivery,
    /// Kind of the address of a delivery without contacts.
    address_kind: AddressKind,
    invalid_addresses: Vec<&'c str>,
}

/// The recipient's address that one provider gets in this round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChosenAddress<'c> {
    /// Normalised address.
    pub address: &'c str,
    /// Address as the client wrote it.
    pub spelling: &'c str,
    /// Kind of the address.
    pub kind: AddressKind,
}

impl<'c> DeliveryAddresses<'c> {
    /// Creates the addresses of a claimed delivery. If the delivery was accepted before its channel mixed kinds, the kind
    /// of the address is guessed from its form.
    pub fn new(claimed: &'c ClaimedDelivery, route: &Route) -> Self {
        let address_kind = match route.address_kinds() {
            [only_kind] => *only_kind,
            _ => guess_address_kind(&claimed.address),
        };
        Self { claimed, address_kind, invalid_addresses: Vec::new() }
    }

    /// Returns whether the delivery can have several addresses, so that an attempt must record its address.
    pub fn has_contacts(&self) -> bool {
        self.claimed.contacts.is_some()
    }

    /// Returns the first address that the provider can use.
    pub fn address_for(&self, runtime: &ProviderRuntime) -> Option<ChosenAddress<'c>> {
        let is_usable = |address: &str, kind: AddressKind| {
            kind.is_usable_by(runtime.adapter().address_kind())
                && !self.invalid_addresses.contains(&address)
                && runtime.adapter().can_send_to(address)
        };
        let Some(contacts) = &self.claimed.contacts else {
            let ClaimedDelivery { address, spelling, .. } = self.claimed;
            let kind = self.address_kind;
            return is_usable(address, kind).then_some(ChosenAddress { address, spelling, kind });
        };
        let contact = contacts.iter().find(|contact| is_usable(&contact.address, contact.kind))?;
        Some(ChosenAddress { address: &contact.address, spelling: &contact.spelling, kind: contact.kind })
    }

    /// Returns whether any provider of the channel can use an address.
    pub fn has_usable_address(&self, route: &Route) -> bool {
        route.providers().iter().any(|runtime| self.address_for(runtime).is_some())
    }

    /// Excludes an address that a provider reported as invalid.
    pub fn mark_invalid(&mut self, address: &'c str) {
        self.invalid_addresses.push(address);
    }
}

/// Returns the reason why a provider is skipped.
pub(super) fn skip_reason(runtime: &ProviderRuntime) -> String {
    let needed_kind = runtime.adapter().address_kind().description();
    format!("{}: skipped, the recipient has no {needed_kind}", runtime.name)
}

/// Returns the reason why the delivery has no usable address.
pub(super) fn no_usable_address_reason(route: &Route) -> String {
    let channel_kinds = route.address_kinds().iter().map(|kind| kind.description()).collect::<Vec<_>>();
    format!("no active address for the providers of this channel ({})", channel_kinds.join(", "))
}
