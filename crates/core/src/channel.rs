//! Channels: the configured routes to people, each with providers, a routing strategy and policies.
//!
//! Holds the configuration only; the current state of providers is kept by the engine.

use crate::address::{AddressKind, PhoneRegion};
use crate::name::ConfigName;
use crate::priority::Priority;
use crate::retry::RetryPolicy;
use crate::routing::RoutingStrategy;

/// A configured channel. Never changes after the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// The name: `sms`, `email`, or any other.
    pub name: ConfigName,
    /// The providers in the configured order.
    pub providers: Vec<ConfigName>,
    /// The choice of the first provider of a round.
    pub strategy: RoutingStrategy,
    /// Delays and number of retries.
    pub retry: RetryPolicy,
    /// Number of times that a message is sent again after an `unknown` outcome.
    pub unknown_retries: u32,
    /// Number of times that a bounced delivery is sent again through another provider.
    pub bounce_resends: u32,
    /// The priority of the channel's deliveries.
    pub priority: Priority,
    /// The kinds of addresses that the channel accepts.
    pub addressing: Addressing,
    /// The subject of messages without one, for providers that send subjects.
    pub subject: Option<String>,
    /// True if the channel's messages expect an answer from the user, unless the request decides otherwise.
    pub expects_reply: bool,
    /// Maximum number of messages that expect an answer, per user and hour over this channel. 0 means no limit; none
    /// means the general limit of the configuration.
    pub user_per_hour: Option<u32>,
    /// Countries whose phone numbers the channel sends to; empty for all.
    pub countries: Vec<PhoneRegion>,
}

/// The kinds of addresses that a channel accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// Only this kind, even if the channel's providers accept others.
    Only(AddressKind),
    /// The kinds that the channel's providers accept; if the providers accept any text, only this kind.
    ByProviders(AddressKind),
    /// Several kinds: those that the channel's providers accept; if the providers accept any text, all kinds.
    Mixed,
}

impl Addressing {
    /// Returns the accepted kinds, in the order of `provider_kinds`, which are the kinds that the channel's providers
    /// accept. The list is never empty. It has more than one kind only if the channel mixes kinds.
    pub fn kinds(self, provider_kinds: impl Iterator<Item = AddressKind>) -> Vec<AddressKind> {
        let default_kinds = match self {
            Self::Only(address_kind) => return vec![address_kind],
            Self::ByProviders(address_kind) => vec![address_kind],
            Self::Mixed => AddressKind::ALL
                .into_iter()
                .filter(|address_kind| *address_kind != AddressKind::Any)
                .collect(),
        };
        let mut kinds = Vec::new();
        for address_kind in provider_kinds.filter(|address_kind| *address_kind != AddressKind::Any) {
            if !kinds.contains(&address_kind) {
                kinds.push(address_kind);
            }
        }
        if kinds.is_empty() { default_kinds } else { kinds }
    }
}
