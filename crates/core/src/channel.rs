//! A channel: a named way to a person, with its providers, its strategy and its policies.
//!
//! Says what is wanted; how the providers do at the moment is kept elsewhere.

use crate::address::AddressKind;
use crate::name::ConfigName;
use crate::priority::Priority;
use crate::retry::{RetryPolicy, UnknownPolicy};
use crate::routing::RoutingStrategy;

/// What a channel is made of. Built from the configuration, then never changed.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name: `sms`, `email`, or any other.
    pub name: ConfigName,
    /// Its providers in the configured order.
    pub providers: Vec<ConfigName>,
    /// How the first provider of a round is chosen.
    pub strategy: RoutingStrategy,
    /// When and how often it is tried again.
    pub retry: RetryPolicy,
    /// What follows when a provider went silent after our request had left.
    pub unknown_policy: UnknownPolicy,
    /// How often a receipt that says "not delivered" sends it once more, through another provider.
    pub bounce_resends: u32,
    /// Whether it goes before other channels' deliveries.
    pub priority: Priority,
    /// What the addresses on this channel are.
    pub addressing: Addressing,
    /// The line above messages that bring none, for providers that have one.
    pub subject: Option<String>,
    /// Whether messages over it expect an answer from the user when their sender does not say.
    pub expects_reply: bool,
    /// The most messages that expect an answer, to one user in any hour, over this channel alone; 0 is no limit, none
    /// leaves it to the configuration's general number.
    pub user_per_hour: Option<u32>,
}

/// What the addresses on a channel are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// Of one kind, whatever the channel's providers want.
    Only(AddressKind),
    /// What the channel's providers want; this kind where they take any.
    ByProviders(AddressKind),
    /// Of several kinds, also where the channel's providers take any.
    Mixed,
}

impl Addressing {
    /// The kinds of addresses that are taken, in the order of the providers that want them. Never empty; more than one
    /// on a channel that mixes kinds.
    pub fn kinds(self, wanted: impl Iterator<Item = AddressKind>) -> Vec<AddressKind> {
        let mut kinds = Vec::new();
        if let Self::Only(kind) = self {
            kinds.push(kind);
            return kinds;
        }
        for kind in wanted.filter(|kind| *kind != AddressKind::Any) {
            if !kinds.contains(&kind) {
                kinds.push(kind);
            }
        }
        if kinds.is_empty() {
            match self {
                Self::Only(kind) | Self::ByProviders(kind) => kinds.push(kind),
                Self::Mixed => kinds.extend(
                    AddressKind::ALL
                        .into_iter()
                        .filter(|kind| *kind != AddressKind::Any),
                ),
            }
        }
        kinds
    }
}
