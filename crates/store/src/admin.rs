//! Operator actions on deliveries: cancel and requeue.

use async_trait::async_trait;

use crate::events::NewEvent;
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{
    clock::Timestamp, delivery::DeliveryState, delivery::Failure, error::Result, event::EventTarget,
    name::ConfigName, priority::Priority, queue_entry::QueueEntry,
};

/// Cancels and requeues deliveries.
#[async_trait]
pub trait AdminStore: Send + Sync {
    /// Cancels the waiting deliveries of a message that no worker has claimed.
    async fn cancel_message(&self, id: MessageId, now: Timestamp) -> Result<Cancelled>;

    /// Cancels the given deliveries, except claimed and ended ones. Returns the channel of each cancelled delivery.
    async fn cancel_deliveries(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Result<Vec<ConfigName>>;

    /// Returns the selected deliveries, oldest first.
    async fn select_deliveries(&self, selection: DeliverySelection) -> Result<Vec<DeliveryId>>;

    /// Requeues failed deliveries with all their tries and an expiry no earlier than `expires_at`, and makes waiting
    /// deliveries that are not claimed due at once. Returns the queue entries of the changed deliveries.
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
    /// No delivery of the message waits, or all waiting deliveries are claimed.
    TooLate,
    /// The message does not exist.
    NotFound,
}

/// A selection of deliveries by an operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverySelection {
    /// Status of the deliveries.
    pub status: SelectableStatus,
    /// Current time; decides which deliveries are due.
    pub now: Timestamp,
    /// Only deliveries with this provider in their last attempt.
    pub provider: Option<ConfigName>,
    /// Only deliveries accepted at or after this time.
    pub since: Option<Timestamp>,
    /// Maximum number of deliveries.
    pub limit: usize,
}

impl SelectableStatus {
    /// Returns the name that the statements for waiting deliveries expect.
    pub(crate) fn waiting_kind(self) -> &'static str {
        match self {
            Self::Waiting | Self::Failed => "waiting",
            Self::Retrying => "retrying",
            Self::Scheduled => "scheduled",
        }
    }
}

/// The states from which an operator can requeue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectableStatus {
    /// Waiting, due or not.
    Waiting,
    /// Waiting for another try that is not due yet.
    Retrying,
    /// Waiting for the time that the client asked for; never tried.
    Scheduled,
    /// Failed, but neither cancelled nor suppressed.
    Failed,
}

/// A delivery that no worker holds, so that its state may be changed.
pub(crate) struct UnclaimedDelivery {
    pub id: DeliveryId,
    pub state: DeliveryState,
    pub channel: ConfigName,
    pub priority: Priority,
    pub at_most_once: bool,
    pub event_target: Option<EventTarget>,
}

impl UnclaimedDelivery {
    /// Returns the state after an operator requeues the delivery; see [`DeliveryState::requeue`]. A message that must be
    /// sent at most once is not requeued after a call without an answer.
    pub fn requeue(&self, now: Timestamp) -> Option<DeliveryState> {
        let may_have_left = matches!(self.state, DeliveryState::Failed { failure: Failure::Unknown, .. });
        if self.at_most_once && may_have_left { None } else { self.state.requeue(now) }
    }

    /// Returns the event of a change to `new_state`; none if the message has no event target or the state kind stays
    /// the same.
    pub fn change_event(&self, new_state: &DeliveryState, now: Timestamp) -> Option<NewEvent> {
        let event_target = self.event_target.as_ref()?;
        let is_changed = self.state.kind() != new_state.kind();
        is_changed.then(|| NewEvent::new(self.id, event_target, new_state, None, now))
    }
}
