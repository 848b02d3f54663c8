//! What an operator says of a provider: leave it alone, or try it again now.
//!
//! The last word of each provider is kept in the store and holds for every process on it, until the next word. It is
//! stronger than what calls show: a provider that was put to rest stays so however well its last calls went.

use chrono::{DateTime, Utc};

use crate::name::ConfigName;

/// The last word on a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderControl {
    /// Of which provider.
    pub provider: ConfigName,
    /// What is wanted.
    pub action: ControlAction,
    /// Who said so: the name of a key, empty where there are none.
    pub requested_by: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// What an operator can want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlAction {
    /// It gets no calls until it is woken.
    Pause,
    /// It gets calls at once, whatever is known of its health.
    Resume,
}

impl ControlAction {
    /// Both, in the order of the enum.
    pub const ALL: [Self; 2] = [Self::Pause, Self::Resume];

    /// The word that stores and pages use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
        }
    }

    /// Back from the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}
