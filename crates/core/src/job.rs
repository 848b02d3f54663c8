//! Work that only one process of a fleet does at a time, and whose turn it is.
//!
//! A turn ends when its owner says so, or by itself when the owner has died. Never says what the work is.

use chrono::{DateTime, Utc};

/// Work with one owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScheduledJob {
    /// Queueing what is due.
    Resend,
    /// Bringing the report up to date.
    Report,
    /// Deleting what is old.
    Prune,
    /// Making broadcasts into messages.
    FanOut,
}

impl ScheduledJob {
    /// One word, for machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resend => "resend",
            Self::Report => "report",
            Self::Prune => "prune",
            Self::FanOut => "fan_out",
        }
    }
}

/// The answer to "may I do it?".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobLockResult {
    /// Yes, and nobody else may until it ends.
    Acquired,
    /// No: another has it.
    Busy(JobLockOwner),
}

/// Who has a turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLockOwner {
    /// The process, in words that mean something to an operator.
    pub process_name: String,
    /// When it began.
    pub acquired_at: DateTime<Utc>,
    /// When the turn ends by itself.
    pub expires_at: DateTime<Utc>,
    /// Whether the work is done, and the turn kept only so that it is not done again at once.
    pub is_done: bool,
}
