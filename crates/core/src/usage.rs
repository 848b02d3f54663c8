//! What was sent to people, counted by day, person and channel.
//!
//! Counts deliveries as they are now: what has been pruned is not among them.

use chrono::NaiveDate;

use crate::name::ConfigName;

/// What went to one person over one channel on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The client's own name for the person; none where the client gave none.
    pub user: Option<String>,
    /// Over which channel.
    pub channel: ConfigName,
    /// The day in UTC on which the messages were accepted.
    pub day: NaiveDate,
    /// Deliveries, whatever became of them.
    pub deliveries: u64,
    /// Of these, not sent yet.
    pub waiting: u64,
    /// Of these, with a provider.
    pub sent: u64,
    /// Of these, arrived.
    pub delivered: u64,
    /// Of these, failed for good.
    pub failed: u64,
    /// Of these, opened by the person.
    pub opened: u64,
    /// Text parts.
    pub parts: u64,
    /// Tries used up.
    pub tries: u64,
}
