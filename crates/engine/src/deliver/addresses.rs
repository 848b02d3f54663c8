//! Which of a recipient's addresses a provider is given, while a delivery goes once over its channel's providers.
//!
//! Most deliveries have one address, which every provider is given. Calls nobody and stores nothing: what a provider
//! calls dead is only left out for the rest of the round; the record makes it inactive.

use crate::gateway::{ProviderRuntime, Route};
use postrider_core::address::{AddressKind, guess_address_kind};
use postrider_core::round::ClaimedDelivery;

/// What a claimed delivery can be sent to.
pub(super) struct DeliveryAddresses<'c> {
    claimed: &'c ClaimedDelivery,
    /// What its address is, where it has no contacts.
    kind: AddressKind,
    invalid: Vec<&'c str>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChosenAddress<'c> {
    /// Normalised.
    pub address: &'c str,
    /// As the client wrote it.
    pub spelling: &'c str,
}

impl<'c> DeliveryAddresses<'c> {
    /// What was claimed, before anybody was asked. What was accepted before its channel began to mix kinds is known by
    /// its shape.
    pub fn new(claimed: &'c ClaimedDelivery, route: &Route) -> Self {
        let kind = match route.address_kinds() {
            [kind] => *kind,
            _ => guess_address_kind(&claimed.address),
        };
        Self {
            claimed,
            kind,
            invalid: Vec::new(),
        }
    }

    /// Whether there may be several, so that an attempt has to say which one it used.
    pub fn has_contacts(&self) -> bool {
        self.claimed.contacts.is_some()
    }

    /// The address for a provider, if there is one that it can use.
    pub fn address_for(&self, lane: &ProviderRuntime) -> Option<ChosenAddress<'c>> {
        let wanted = lane.provider.address_kind();
        let Some(contacts) = &self.claimed.contacts else {
            let is_usable = self.invalid.is_empty()
                && self.kind.is_usable_by(wanted)
                && lane.provider.can_send_to(&self.claimed.address);
            return is_usable.then_some(ChosenAddress {
                address: &self.claimed.address,
                spelling: &self.claimed.spelling,
            });
        };
        let mut usable = contacts.iter().filter(|contact| {
            let is_dead = self.invalid.contains(&contact.address.as_str());
            contact.kind.is_usable_by(wanted) && !is_dead && lane.provider.can_send_to(&contact.address)
        });
        usable.next().map(|contact| ChosenAddress {
            address: &contact.address,
            spelling: &contact.spelling,
        })
    }

    /// Whether any provider of the channel has something to use.
    pub fn has_usable_address(&self, route: &Route) -> bool {
        route
            .providers()
            .iter()
            .any(|lane| self.address_for(lane).is_some())
    }

    /// Leaves an address out that a provider has called dead.
    pub fn mark_invalid(&mut self, address: &'c str) {
        self.invalid.push(address);
    }
}

/// Why a provider is not asked.
pub(super) fn skip_reason(lane: &ProviderRuntime) -> String {
    let wanted = lane.provider.address_kind().description();
    format!("{}: skipped, there is no {wanted} it can use", lane.name)
}

/// Why nobody is asked.
pub(super) fn no_usable_address_reason(route: &Route) -> String {
    let kinds = route
        .address_kinds()
        .iter()
        .map(|kind| kind.description())
        .collect::<Vec<_>>();
    format!(
        "no address that this channel's providers can use ({}) may be written to",
        kinds.join(", ")
    )
}
