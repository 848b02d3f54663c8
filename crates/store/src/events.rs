//! The outbox: events that wait for those who asked to hear of them.
//!
//! Events come into being inside the other verbs, in the transaction that changes a state, and only for messages that
//! somebody watches. These verbs bring them out again. Whoever claims one owns it until its lease ends, as with
//! deliveries.

use std::time::Duration;

use async_trait::async_trait;

use postrider_core::clock::Timestamp;
use postrider_core::delivery::{DeliveryState, Failure};
use postrider_core::error::Result;
use postrider_core::event::{
    ClaimedEvent, Event, EventAttemptResult, EventKey, EventStatusKind, EventTarget, EventType,
};
use postrider_core::id::{DeliveryId, MessageId};
use postrider_core::name::ConfigName;
use postrider_core::round::CompletedRound;

/// What every store can do with events. `contract/events.rs` decides what that is.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Receivers for whom something waits, and since or until when: at most `limit`, in the order of their names, those
    /// behind `after` only.
    async fn waiting_endpoints(&self, after: &str, limit: usize) -> Result<Vec<WaitingEndpoint>>;

    /// Takes of each lane as many events that are due as there is room, the longest waiting first, and makes them due
    /// again at the end of the lease.
    async fn claim_events(
        &self,
        lanes: Vec<EndpointCapacity>,
        now: Timestamp,
        lease: Duration,
    ) -> Result<ClaimedEvents>;

    /// Stores what came of claimed events. One that was claimed again since is left alone.
    async fn record_events(&self, ends: Vec<EventAttemptResult>) -> Result<()>;

    /// Gives up events that wait, the oldest first; returns how many.
    async fn dead_letter_events(&self, burial: DeadLetterRequest) -> Result<usize>;

    /// Events, newest first; of one message in the order in which they happened.
    async fn events(&self, query: EventQuery) -> Result<Vec<Event>>;

    /// Makes events due at once, with fresh tries; returns how many. What waits already is due at once as well.
    async fn replay_events(&self, keys: Vec<EventKey>, now: Timestamp) -> Result<usize>;
}

/// A receiver, and how many events there is room for.
pub type EndpointCapacity = (String, usize);

/// What was claimed.
pub type ClaimedEvents = Vec<ClaimedEvent>;

/// A receiver for whom something waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEndpoint {
    /// Its name, as in [`Watch::lane`].
    pub name: String,
    /// When the first of its events is due.
    pub due_at: Timestamp,
}

/// Which waiting events are given up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetterRequest {
    /// Of which receiver.
    pub endpoint: String,
    /// Only those for whom this is what the client asked for.
    pub watch: Option<EventTarget>,
    /// Only what happened before this moment.
    pub before: Timestamp,
    /// The reason, in words.
    pub reason: String,
    /// The present.
    pub now: Timestamp,
    /// At most so many.
    pub limit: usize,
}

/// Which events are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Of this message.
    pub message: Option<MessageId>,
    /// In this state.
    pub state: Option<EventStatusKind>,
    /// Of what happened at or after this moment.
    pub since: Option<Timestamp>,
    /// At most so many.
    pub limit: usize,
}

/// An event that comes into being.
pub(super) struct NewEvent {
    pub delivery: DeliveryId,
    pub watch: EventTarget,
    pub event_type: EventType,
    pub failure: Option<Failure>,
    pub reason: Option<String>,
    pub provider: Option<ConfigName>,
    pub occurred_at: Timestamp,
    /// From when on it is to be sent.
    pub due_at: Timestamp,
}

impl NewEvent {
    /// That a delivery has come to this state.
    pub fn new(
        delivery: DeliveryId,
        watch: &EventTarget,
        state: &DeliveryState,
        provider: Option<&ConfigName>,
        due_at: Timestamp,
    ) -> Self {
        let (failure, reason, at) = match state {
            DeliveryState::Waiting { reason, .. } => (None, reason.clone(), due_at),
            DeliveryState::Sent { at, .. } | DeliveryState::Delivered { at } => (None, None, *at),
            DeliveryState::Failed { failure, reason, at } => (Some(*failure), Some(reason.clone()), *at),
        };
        Self {
            delivery,
            watch: watch.clone(),
            event_type: EventType::from_state(state),
            failure,
            reason,
            provider: provider.cloned(),
            occurred_at: at,
            due_at,
        }
    }

    /// That the person opened it.
    pub fn opened(
        delivery: DeliveryId,
        watch: &EventTarget,
        provider: &ConfigName,
        at: Timestamp,
        due_at: Timestamp,
    ) -> Self {
        Self {
            delivery,
            watch: watch.clone(),
            event_type: EventType::Opened,
            failure: None,
            reason: None,
            provider: Some(provider.clone()),
            occurred_at: at,
            due_at,
        }
    }

    /// What a recorded round has to tell: nothing while the delivery only goes on waiting.
    pub fn from_round(round: &CompletedRound) -> Option<Self> {
        let watch = round.event_target.as_ref()?;
        if matches!(round.state, DeliveryState::Waiting { .. }) {
            return None;
        }
        let last = round
            .attempts
            .last()
            .and_then(|attempt| attempt.provider.as_ref());
        Some(Self::new(round.id, watch, &round.state, last, round.at))
    }
}
