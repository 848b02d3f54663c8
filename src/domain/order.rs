//! What an operator says of a provider: leave it alone, or try it again now.
//!
//! The last word of each provider is kept in the store and holds for every process on it, until the next word. It is
//! stronger than what calls show: a provider that was put to rest stays so however well its last calls went.

use chrono::{DateTime, Utc};

use super::channel::Name;

/// The last word on a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Of which provider.
    pub provider: Name,
    /// What is wanted.
    pub word: Word,
    /// Who said so: the name of a key, empty where there are none.
    pub by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What an operator can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It gets no calls until it is woken.
    Rest,
    /// It gets calls at once, whatever is known of its health.
    Wake,
}

impl Word {
    /// Both, in the order of the enum.
    pub const ALL: [Self; 2] = [Self::Rest, Self::Wake];

    /// The word that stores and pages use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Rest => "rest",
            Self::Wake => "wake",
        }
    }

    /// Back from the word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}
