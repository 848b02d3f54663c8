//! How messages read on the native face: every field is there, null where there is nothing.
//!
//! Times are RFC 3339 in UTC with milliseconds. Says what is; changes nothing.

use chrono::SecondsFormat;
use serde::Serialize;
use utoipa::ToSchema;

use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::message::{Delivery, Message, RecordedAttempt};

/// A message with its deliveries.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// The line above what it says.
    subject: Option<String>,
    /// What it says.
    body: String,
    /// When it was accepted.
    #[schema(format = DateTime)]
    created_at: String,
    /// One for each channel.
    deliveries: Vec<DeliveryView>,
}

/// One message over one channel to one address.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    /// The delivery's number.
    id: i64,
    /// Over which channel.
    channel: String,
    /// To which address; empty where none was given.
    recipient: String,
    /// `waiting`, `sent`, `delivered` or `failed`.
    state: &'static str,
    /// Of what has failed: how.
    failure: Option<&'static str>,
    /// How often a worker took it in hand.
    round: u32,
    /// Of what waits: when it is due.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The provider that last took it.
    provider: Option<String>,
    /// That provider's id for it.
    reference: Option<String>,
    /// When the person opened it first.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    /// How many text parts it has.
    parts: u32,
    /// What happens next, for people.
    next_step: String,
    /// Every call made for it, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
}

/// One call to one provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// Who was asked; null when nobody knows.
    provider: Option<String>,
    /// What it came to, in a word.
    outcome: String,
    /// The provider's own code.
    code: Option<String>,
    /// The reason, for the operator.
    reason: Option<String>,
    /// When the call began.
    #[schema(format = DateTime)]
    started_at: String,
    /// How long it took, in milliseconds.
    duration_ms: u64,
    /// The address that was used, where there were several.
    recipient: Option<String>,
}

impl MessageView {
    /// The message with every attempt.
    pub(super) fn full(message: Message, now: Timestamp) -> Self {
        Self::new(message, |delivery| DeliveryView::with_attempts(delivery, now))
    }

    /// The message as a list shows it.
    pub(super) fn summary(message: Message, now: Timestamp) -> Self {
        Self::new(message, |delivery| DeliveryView::without_attempts(&delivery, now))
    }

    fn new(message: Message, view: impl Fn(Delivery) -> DeliveryView) -> Self {
        Self {
            id: message.id.to_string(),
            subject: message.subject,
            body: message.body,
            created_at: rfc3339(message.created_at),
            deliveries: message.deliveries.into_iter().map(view).collect(),
        }
    }
}

impl DeliveryView {
    fn with_attempts(mut delivery: Delivery, now: Timestamp) -> Self {
        let attempts = std::mem::take(&mut delivery.attempts);
        Self {
            attempts: Some(attempts.into_iter().map(AttemptView::from).collect()),
            ..Self::without_attempts(&delivery, now)
        }
    }

    fn without_attempts(delivery: &Delivery, now: Timestamp) -> Self {
        let (failure, due_at) = match &delivery.state {
            DeliveryState::Waiting { due_at, .. } => (None, Some(rfc3339(*due_at))),
            DeliveryState::Failed { failure, .. } => (Some(failure.as_str()), None),
            DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => (None, None),
        };
        Self {
            id: delivery.id.0,
            channel: delivery.channel.to_string(),
            recipient: delivery.address.clone(),
            state: delivery.state.kind().as_str(),
            failure,
            round: delivery.round,
            due_at,
            provider: delivery.provider.as_ref().map(ToString::to_string),
            reference: delivery.reference.clone(),
            opened_at: delivery.opened_at.map(rfc3339),
            parts: delivery.parts,
            next_step: delivery.state.describe_next_step(now),
            attempts: None,
        }
    }
}

impl From<RecordedAttempt> for AttemptView {
    fn from(attempt: RecordedAttempt) -> Self {
        Self {
            provider: attempt.provider.as_ref().map(ToString::to_string),
            outcome: attempt.outcome,
            code: attempt.code,
            reason: attempt.reason,
            started_at: rfc3339(attempt.at),
            duration_ms: attempt.duration_ms,
            recipient: attempt.address,
        }
    }
}

/// A moment as this face writes it.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
