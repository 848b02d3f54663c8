//! The entry of a delivery in the queue.

use chrono::{DateTime, Utc};

use crate::id::DeliveryId;
use crate::name::ConfigName;
use crate::priority::Priority;

/// A hint that a delivery is due: what a queue holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueEntry {
    /// Which delivery.
    pub id: DeliveryId,
    /// Over which channel: each waits in a row of its own.
    pub channel: ConfigName,
    /// From when on it can be claimed.
    pub due_at: DateTime<Utc>,
    /// Whether it goes before others.
    pub priority: Priority,
}
