//! Operator actions on deliveries: cancel and requeue.

use async_trait::async_trait;

use crate::events::NewEvent;
use postrider_core::channel::ConfigName;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::error::Result;
use postrider_core::event::EventTarget;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::message::{Priority, QueueEntry};

/// Cancels and requeues deliveries.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Cancels the waiting deliveries of a message that no worker has claimed.
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled>;

    /// Cancels those of the deliveries that wait and are not claimed; returns the channel of each.
    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>>;

    /// Returns the selected deliveries, oldest first.
    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>>;

    /// Requeues failed deliveries with all their tries and an expiry no earlier than `expires_at`, and makes waiting
    /// deliveries that are not claimed due at once. Returns the changed ones.
    async fn requeue(
        &self,
        ids: Vec<DeliveryId>,
        now: Timestamp,
        expires_at: Timestamp,
    ) -> Result<Vec<QueueEntry>>;
}

/// Result of cancelling a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// One delivery on each of these channels was cancelled.
    Done(Vec<ConfigName>),
    /// No delivery of the message waits any more, or all waiting ones are claimed.
    TooLate,
    /// The message does not exist.
    NotFound,
}

/// A selection of deliveries by an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySelection {
    /// Status of the deliveries.
    pub status: SelectableStatus,
    /// Only deliveries with this provider in their last attempt.
    pub provider: Option<ConfigName>,
    /// Only deliveries accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Maximum number of deliveries.
    pub limit: usize,
}

/// The states from which an operator can requeue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectableStatus {
    /// Waiting, due or not.
    Waiting,
    /// Failed, but neither cancelled nor suppressed.
    Failed,
}

/// A delivery that no worker holds, so that its state may be changed.
pub(crate) struct UnclaimedDelivery {
    pub id: DeliveryId,
    pub state: DeliveryState,
    pub channel: ConfigName,
    pub priority: Priority,
    pub event_target: Option<EventTarget>,
}

impl UnclaimedDelivery {
    /// Returns the event of a change to `next`; none if nothing watches the delivery or its state stays the same.
    pub fn change_event(&self, next: &DeliveryState, now: Timestamp) -> Option<NewEvent> {
        let target = self.event_target.as_ref()?;
        let has_moved = self.state.kind() != next.kind();
        has_moved.then(|| NewEvent::new(self.id, target, next, None, now))
    }
}
