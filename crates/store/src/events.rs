//! Events for webhook endpoints.
//!
//! Other operations insert events in the transaction that changes a state, and only for messages that have an event
//! target. The methods here deliver events. The worker that claims an event owns it until the lease ends, as with
//! deliveries.

use std::time::Duration;

use async_trait::async_trait;

use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget, EventType,
};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::{clock::Timestamp, error::Result, name::ConfigName, round::CompletedRound};

/// Delivers events to webhook endpoints.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Returns at most `limit` endpoints that have waiting events, ordered by name, beginning after `after`.
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>>;

    /// Claims due events of each endpoint up to its capacity, longest waiting first. A claimed event is due again when
    /// its lease ends.
    async fn claim_events(
        &self,
        capacities: Vec<EndpointCapacity>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Vec<ClaimedEvent>>;

    /// Records the results of claimed events. A result is ignored if the event was claimed again since.
    async fn record_events(&self, results: Vec<EventAttemptResult>) -> Result<()>;

    /// Makes waiting events dead letters, oldest first, and returns the number of these events.
    async fn dead_letter_events(&self, request: DeadLetterRequest) -> Result<usize>;

    /// Returns events, newest first; for a query about one message, oldest first.
    async fn events(&self, query: EventQuery) -> Result<Vec<Event>>;

    /// Makes events due at once and gives them all their tries; includes events that are waiting. Returns the number of
    /// events.
    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize>;
}

/// Name of an endpoint, and the number of events that it has capacity for.
pub type EndpointCapacity = (String, usize);

/// An endpoint that has waiting events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEndpoint {
    /// Name of the endpoint, as in [`EventTarget::queue_name`].
    pub name: String,
    /// Due time of the endpoint's first event.
    pub due_at: Timestamp,
}

/// Selects waiting events that become dead letters, and gives the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRequest {
    /// Name of the endpoint.
    pub endpoint: String,
    /// Only events of messages that were accepted with this target.
    pub event_target: Option<EventTarget>,
    /// Only events that occurred before this time.
    pub before: Timestamp,
    /// Reason to store with the events.
    pub reason: String,
    /// Current time.
    pub now: Timestamp,
    /// Maximum number of events.
    pub limit: usize,
}

/// A query for events; every condition that is set must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Events of this message.
    pub message: Option<MessageId>,
    /// Events in this state.
    pub state: Option<EventStatusKind>,
    /// Events that occurred at or after this time.
    pub since: Option<Timestamp>,
    /// Maximum number of events.
    pub limit: usize,
}

/// An event to insert.
pub(super) struct NewEvent {
    pub delivery: DeliveryId,
    pub event_target: EventTarget,
    pub event_type: EventType,
    pub failure: Option<Failure>,
    pub reason: Option<String>,
    pub provider: Option<ConfigName>,
    pub occurred_at: Timestamp,
    /// Time from which the event may be sent.
    pub due_at: Timestamp,
}

impl NewEvent {
    /// Returns the event of a delivery that entered `state`.
    pub fn new(
        delivery: DeliveryId,
        event_target: &EventTarget,
        state: &DeliveryState,
        provider: Option<&ConfigName>,
        due_at: Timestamp,
    ) -> Self {
        let (failure, reason, occurred_at) = match state {
            DeliveryState::Waiting { reason, .. } => (None, reason.clone(), due_at),
            DeliveryState::Sent { at, .. } | DeliveryState::Delivered { at } => (None, None, *at),
            DeliveryState::Failed { failure, reason, at } => (Some(*failure), Some(reason.clone()), *at),
        };
        Self {
            delivery,
            event_target: event_target.clone(),
            event_type: EventType::from_state(state),
            failure,
            reason,
            provider: provider.cloned(),
            occurred_at,
            due_at,
        }
    }

    /// Returns the event of a message that was opened.
    pub fn opened(
        delivery: DeliveryId,
        event_target: &EventTarget,
        provider: &ConfigName,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Self {
        let delivered = DeliveryState::Delivered { at };
        let event = Self::new(delivery, event_target, &delivered, Some(provider), due_at);
        Self { event_type: EventType::Opened, ..event }
    }

    /// Returns the event of a recorded round; none if the message has no event target or the delivery still waits.
    pub fn from_round(round: &CompletedRound) -> Option<Self> {
        let event_target = round.event_target.as_ref()?;
        if matches!(round.state, DeliveryState::Waiting { .. }) {
            return None;
        }
        let last_attempt = round.attempts.last();
        let provider = last_attempt.and_then(|attempt| attempt.provider.as_ref());
        Some(Self::new(round.id, event_target, &round.state, provider, round.at))
    }
}
