//! Scheduled jobs and the lock that lets only one process run a job at a time.
//!
//! The owner ends the lock by releasing it. If the owner stops renewing the lock, it expires.

use chrono::{DateTime, Utc};
use strum::IntoStaticStr;

/// A job that one process runs at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum ScheduledJob {
    /// Queues due deliveries.
    Resend,
    /// Synchronises the report.
    Report,
    /// Deletes expired data.
    Prune,
    /// Makes the messages of broadcasts.
    FanOut,
}

impl ScheduledJob {
    /// Returns the name in stores and logs.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The result of an attempt to acquire a job lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobLockResult {
    /// The lock was acquired.
    Acquired,
    /// Another process holds the lock.
    Busy(JobLockOwner),
}

/// The process that holds a job lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLockOwner {
    /// The name of the process, for operators.
    pub process_name: String,
    /// The time at which the lock was acquired.
    pub acquired_at: DateTime<Utc>,
    /// The time at which the lock expires.
    pub expires_at: DateTime<Utc>,
    /// True if the job has ended and the lock only prevents an immediate second run.
    pub is_done: bool,
}
