//! What a move puts in the way of those who still use a store it has closed, is closing, or is filling.
//!
//! The stores themselves refuse, by triggers, so that processes which were started long before are held off too.

use postrider_core::error::{Error, ErrorKind, Result};

/// Why a store refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteGuard {
    /// It was moved: another store is the truth now.
    Moved,
    /// It is about to be moved: no round begins, everything else goes on.
    ClaimsPaused,
    /// A move is filling it.
    Receiving,
    /// A move is copying what was to be taken away as a whole.
    PartitionsPinned,
}

impl WriteGuard {
    /// From what SQLite's triggers say.
    pub fn from_trigger_message(word: &str) -> Option<Self> {
        match word.split(' ').next()? {
            "moved" => Some(Self::Moved),
            "claims_paused" => Some(Self::ClaimsPaused),
            "receiving" => Some(Self::Receiving),
            _ => None,
        }
    }

    /// From the code PostgreSQL's triggers give.
    pub fn from_sqlstate(code: &str) -> Option<Self> {
        match code {
            "PM001" => Some(Self::Moved),
            "PM002" => Some(Self::ClaimsPaused),
            "PM003" => Some(Self::Receiving),
            "PM004" => Some(Self::PartitionsPinned),
            _ => None,
        }
    }

    /// Of what kind the refusal is. A claim that is held up takes no other work with it.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Moved | Self::Receiving => ErrorKind::Unavailable,
            Self::ClaimsPaused | Self::PartitionsPinned => ErrorKind::Conflict,
        }
    }

    /// What a client may know of it.
    pub fn client_message(self) -> &'static str {
        match self {
            Self::Moved => "the store was moved to another place; this process has to be started on that one",
            Self::ClaimsPaused => "the store is about to be moved; sending goes on in a moment",
            Self::Receiving => "a move into this store is not finished",
            Self::PartitionsPinned => {
                "a move from this store is under way; months are deleted when it has ended"
            }
        }
    }
}

/// Refuses a store that nobody may open: `moved` says where it was moved to, `is_receiving` whether a move into it is
/// not finished.
pub fn require_open(moved: Option<&str>, is_receiving: bool) -> Result<()> {
    if let Some(place) = moved {
        return Err(Error::usage(format!(
            "this store was moved to {place}: name that one in the configuration (store.url)"
        )));
    }
    if is_receiving {
        return Err(Error::usage(
            "a move into this store is not finished: run the same `console move` again to go on with it",
        ));
    }
    Ok(())
}
