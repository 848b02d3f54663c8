//! Entries of the delivery queue.

use chrono::{DateTime, Utc};

use crate::id::DeliveryId;
use crate::name::ConfigName;
use crate::priority::Priority;

/// A hint that a delivery is due. The store decides whether it can be claimed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct QueueEntry {
    /// The delivery.
    pub id: DeliveryId,
    /// The channel; each channel has its own queue.
    pub channel: ConfigName,
    /// The time from which the delivery can be claimed.
    pub due_at: DateTime<Utc>,
    /// The priority within the queue.
    pub priority: Priority,
}
