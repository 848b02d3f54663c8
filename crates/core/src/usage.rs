//! Usage: deliveries counted by day, user and channel.
//!
//! Counts the deliveries that exist now, without the deleted ones.

use chrono::NaiveDate;

use crate::name::ConfigName;

/// The deliveries to one user over one channel on one day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageRow {
    /// The client's id of the user; none if the client gave none.
    pub user: Option<String>,
    /// The channel.
    pub channel: ConfigName,
    /// The day of acceptance, in UTC.
    pub day: NaiveDate,
    /// All deliveries.
    pub deliveries: u64,
    /// Deliveries that were not sent yet.
    pub waiting: u64,
    /// Deliveries that a provider has accepted.
    pub sent: u64,
    /// Delivered messages.
    pub delivered: u64,
    /// Failed deliveries.
    pub failed: u64,
    /// Opened messages.
    pub opened: u64,
    /// Text parts.
    pub parts: u64,
    /// Tries that were used up.
    pub tries: u64,
}
