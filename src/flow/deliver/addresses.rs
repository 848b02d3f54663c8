//! Which of a recipient's addresses a provider is given, while a delivery goes once over its channel's providers.
//!
//! Most deliveries have one address, which every provider is given. Calls nobody and stores nothing: what a provider
//! calls dead is only left out for the rest of the round; the record makes it inactive.

use crate::domain::message::Claimed;
use crate::domain::recipient::{self, AddressKind};
use crate::gateway::{Lane, Route};

/// What a claimed delivery can be sent to.
pub(super) struct Addresses<'c> {
    claimed: &'c Claimed,
    /// What its address is, where it has no contacts.
    kind: AddressKind,
    dead: Vec<&'c str>,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chosen<'c> {
    /// Normalised.
    pub address: &'c str,
    /// As the client wrote it.
    pub spelling: &'c str,
}

impl<'c> Addresses<'c> {
    /// What was claimed, before anybody was asked. What was accepted before its channel began to mix kinds is known by
    /// its shape.
    pub fn of(claimed: &'c Claimed, route: &Route) -> Self {
        let kind = match route.kinds() {
            [kind] => *kind,
            _ => recipient::likely_kind(&claimed.address),
        };
        Self {
            claimed,
            kind,
            dead: Vec::new(),
        }
    }

    /// Whether there may be several, so that an attempt has to say which one it used.
    pub fn are_several(&self) -> bool {
        self.claimed.contacts.is_some()
    }

    /// The address for a provider, if there is one that it can use.
    pub fn fit(&self, lane: &Lane) -> Option<Chosen<'c>> {
        let wanted = lane.provider.address();
        let Some(contacts) = &self.claimed.contacts else {
            let is_usable = self.dead.is_empty()
                && self.kind.suits(wanted)
                && lane.provider.carries(&self.claimed.address);
            return is_usable.then_some(Chosen {
                address: &self.claimed.address,
                spelling: &self.claimed.spelling,
            });
        };
        let mut usable = contacts.iter().filter(|contact| {
            let is_dead = self.dead.contains(&contact.address.as_str());
            contact.kind.suits(wanted) && !is_dead && lane.provider.carries(&contact.address)
        });
        usable.next().map(|contact| Chosen {
            address: &contact.address,
            spelling: &contact.spelling,
        })
    }

    /// Whether any provider of the channel has something to use.
    pub fn fit_any(&self, route: &Route) -> bool {
        route.lanes().iter().any(|lane| self.fit(lane).is_some())
    }

    /// Leaves an address out that a provider has called dead.
    pub fn bury(&mut self, address: &'c str) {
        self.dead.push(address);
    }
}

/// Why a provider is not asked.
pub(super) fn skipped(lane: &Lane) -> String {
    let wanted = lane.provider.address().noun();
    format!("{}: skipped, there is no {wanted} it can use", lane.name)
}

/// Why nobody is asked.
pub(super) fn nothing_fits(route: &Route) -> String {
    let kinds = route.kinds().iter().map(|kind| kind.noun()).collect::<Vec<_>>();
    format!(
        "no address that this channel's providers can use ({}) may be written to",
        kinds.join(", ")
    )
}
