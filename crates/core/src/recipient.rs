//! Recipients: addresses on a channel and whether messages may be sent to them.

use chrono::{DateTime, Utc};

use crate::name::ConfigName;

/// Whether an address may be written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RecipientStatus {
    /// It may.
    #[default]
    Active,
    /// A provider said that it is dead.
    Inactive,
    /// The person does not want it.
    OptedOut,
}

impl RecipientStatus {
    /// Every standing, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Active, Self::Inactive, Self::OptedOut];

    /// The word that stores and faces use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::OptedOut => "opted_out",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == word)
    }
}

/// An address on a channel, what is known of it, and who said so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// On which channel.
    pub channel: ConfigName,
    /// The normalised address.
    pub address: String,
    /// Whether it may be written to.
    pub status: RecipientStatus,
    /// Why.
    pub reason: String,
    /// Who said so: a provider's name or an operator's.
    pub changed_by: String,
    /// When.
    pub changed_at: DateTime<Utc>,
}
