//! The guards that a move puts on a store that is closed, about to be closed, or being filled.
//!
//! The guards are database triggers, so that they also stop processes that were started before the move.

use postrider_core::error::{Error, ErrorKind, Result};

/// The reason why a store refuses a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteGuard {
    /// The store was moved.
    Moved,
    /// The store will be closed soon: no round may begin; other writes continue.
    ClaimsPaused,
    /// A move is filling the store.
    Receiving,
    /// A move is copying the partitions, so none may be detached.
    PartitionsPinned,
}

impl WriteGuard {
    /// Parses the message of a SQLite trigger.
    pub fn from_trigger_message(message: &str) -> Option<Self> {
        match message.split(' ').next()? {
            "moved" => Some(Self::Moved),
            "claims_paused" => Some(Self::ClaimsPaused),
            "receiving" => Some(Self::Receiving),
            _ => None,
        }
    }

    /// Parses the SQLSTATE of a PostgreSQL trigger.
    pub fn from_sqlstate(code: &str) -> Option<Self> {
        match code {
            "PM001" => Some(Self::Moved),
            "PM002" => Some(Self::ClaimsPaused),
            "PM003" => Some(Self::Receiving),
            "PM004" => Some(Self::PartitionsPinned),
            _ => None,
        }
    }

    /// Returns the error kind. A `Conflict` fails only the claim; the other operations of its batch continue.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::Moved | Self::Receiving => ErrorKind::Unavailable,
            Self::ClaimsPaused | Self::PartitionsPinned => ErrorKind::Conflict,
        }
    }

    /// Returns the description for clients.
    pub fn client_message(self) -> &'static str {
        match self {
            Self::Moved => "the store was moved; start this process with the URL of the new store",
            Self::ClaimsPaused => {
                "sending is paused while the store is moved, and continues by itself afterwards"
            }
            Self::Receiving => "a move into this store is not finished",
            Self::PartitionsPinned => {
                "a move from this store is in progress; months are deleted after it has ended"
            }
        }
    }
}

/// Refuses a store that was moved to `moved_to`, or that a move is still filling.
pub fn require_open(moved_to: Option<&str>, is_receiving: bool) -> Result<()> {
    if let Some(location) = moved_to {
        return Err(Error::usage(format!(
            "this store was moved to {location}: set store.url in the configuration to it"
        )));
    }
    if is_receiving {
        return Err(Error::usage(
            "a move into this store is not finished: run the same `console move` again to continue it",
        ));
    }
    Ok(())
}
