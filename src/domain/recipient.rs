//! Who a message is for: an address on a channel, checked and normalised.
//!
//! Phone numbers are kept in E.164 beside the spelling the client used.

use chrono::{DateTime, Utc};
use phonenumber::country;

use super::channel::Name;

/// What an address on a channel looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum AddressKind {
    /// A phone number, kept in E.164.
    #[default]
    Phone,
    /// An e-mail address.
    Email,
    /// Any text the provider understands: a push token, a chat id, a URL.
    Opaque,
}

/// How strictly a phone number is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Strictness {
    /// A plausible length for its region.
    #[default]
    Possible,
    /// A number its region has given out.
    Valid,
}

/// How phone numbers are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhoneRules {
    /// The region of a number without a country code.
    pub region: country::Id,
    /// How strictly it is judged.
    pub strictness: Strictness,
}

impl Default for PhoneRules {
    fn default() -> Self {
        Self {
            region: country::IR,
            strictness: Strictness::default(),
        }
    }
}

/// Whether an address may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Standing {
    /// It may.
    #[default]
    Active,
    /// A provider said that it is dead.
    Inactive,
    /// The person does not want it.
    OptedOut,
}

impl Standing {
    /// Every standing, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::OptedOut];

    /// The word that stores and faces use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::OptedOut => "opted_out",
        }
    }

    /// Back from the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.word() == word)
    }
}

/// An address on a channel, what is known of it, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// On which channel.
    pub channel: Name,
    /// The normalised address.
    pub address: String,
    /// Whether it may be written to.
    pub standing: Standing,
    /// Why.
    pub reason: String,
    /// Who said so: a provider's name or an operator's.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}
