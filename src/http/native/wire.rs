//! How messages read on the native face: every field is there, null where there is nothing.
//!
//! Times are RFC 3339 in UTC with milliseconds. Says what is; changes nothing.

use chrono::SecondsFormat;
use serde::Serialize;

use crate::clock::Timestamp;
use crate::domain::delivery::State;
use crate::domain::message::{Delivery, Message, RecordedAttempt};

/// A message with its deliveries.
#[derive(Serialize)]
pub(super) struct MessageView {
    id: String,
    subject: Option<String>,
    body: String,
    created_at: String,
    deliveries: Vec<DeliveryView>,
}

#[derive(Serialize)]
struct DeliveryView {
    id: i64,
    channel: String,
    recipient: String,
    state: &'static str,
    failure: Option<&'static str>,
    round: u32,
    due_at: Option<String>,
    provider: Option<String>,
    reference: Option<String>,
    opened_at: Option<String>,
    parts: u32,
    next: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
}

#[derive(Serialize)]
struct AttemptView {
    provider: Option<String>,
    outcome: String,
    code: Option<String>,
    reason: Option<String>,
    at: String,
    duration_ms: u64,
    recipient: Option<String>,
}

impl MessageView {
    /// The message with every attempt.
    pub(super) fn whole(message: Message, now: Timestamp) -> Self {
        Self::new(message, |delivery| DeliveryView::with_attempts(delivery, now))
    }

    /// The message as a list shows it.
    pub(super) fn listed(message: Message, now: Timestamp) -> Self {
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
            State::Waiting { due_at, .. } => (None, Some(rfc3339(*due_at))),
            State::Failed { failure, .. } => (Some(failure.word()), None),
            State::Sent { .. } | State::Delivered { .. } => (None, None),
        };
        Self {
            id: delivery.id.0,
            channel: delivery.channel.to_string(),
            recipient: delivery.address.clone(),
            state: delivery.state.standing().word(),
            failure,
            round: delivery.round,
            due_at,
            provider: delivery.provider.as_ref().map(ToString::to_string),
            reference: delivery.reference.clone(),
            opened_at: delivery.opened_at.map(rfc3339),
            parts: delivery.parts,
            next: delivery.state.next_step(now),
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
            at: rfc3339(attempt.at),
            duration_ms: attempt.duration_ms,
            recipient: attempt.address,
        }
    }
}

/// A moment as this face writes it.
pub(super) fn rfc3339(at: Timestamp) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
