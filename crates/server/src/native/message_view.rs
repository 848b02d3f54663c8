//! Messages as the native API shows them: every field is present, null where there is no value.
//!
//! Times are RFC 3339 in UTC with milliseconds.
use serde::Serialize;
use utoipa::ToSchema;

use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_core::message::{Delivery, Message, RecordedAttempt};
use postrider_engine::usage::rfc3339;

/// A message with its deliveries.
#[derive(Serialize, ToSchema)]
#[schema(as = Message)]
pub(super) struct MessageView {
    /// The message's id.
    #[schema(format = "uuid")]
    id: String,
    /// Subject of the message.
    subject: Option<String>,
    /// Sender that the client named, or the default sender of its account.
    from: Option<String>,
    /// Text of the message.
    body: String,
    /// Time of acceptance.
    #[schema(format = DateTime)]
    created_at: String,
    /// One for each channel.
    deliveries: Vec<DeliveryView>,
}

/// One message over one channel to one address.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryView {
    /// Id of the delivery.
    id: i64,
    /// The channel.
    channel: String,
    /// The address; empty if none was given.
    recipient: String,
    /// `waiting`, `sent`, `delivered` or `failed`.
    state: &'static str,
    /// Kind of failure of a failed delivery.
    failure: Option<&'static str>,
    /// Number of times a worker claimed it.
    round: u32,
    /// Due time of a waiting delivery.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// The provider that accepted it last.
    provider: Option<String>,
    /// The provider's id of the delivery.
    reference: Option<String>,
    /// Time at which the user first opened it.
    #[schema(format = DateTime)]
    opened_at: Option<String>,
    /// Number of text parts.
    parts: u32,
    /// The next step, as a sentence.
    next_step: String,
    /// All attempts, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    attempts: Option<Vec<AttemptView>>,
}

/// One call to one provider.
#[derive(Serialize, ToSchema)]
#[schema(as = Attempt)]
struct AttemptView {
    /// The provider; null if unknown.
    provider: Option<String>,
    /// Outcome of the call.
    outcome: String,
    /// The provider's own code.
    code: Option<String>,
    /// The reason, for the operator.
    reason: Option<String>,
    /// Start of the call.
    #[schema(format = DateTime)]
    started_at: String,
    /// Duration in milliseconds.
    duration_ms: u64,
    /// The address that was used, if the recipient has several.
    recipient: Option<String>,
}

impl MessageView {
    /// Returns the message with all attempts.
    pub(super) fn full(message: Message, now: Timestamp) -> Self {
        Self {
            id: message.id.to_string(),
            subject: message.subject,
            from: message.sender,
            body: message.body,
            created_at: rfc3339(message.created_at),
            deliveries: message
                .deliveries
                .into_iter()
                .map(|delivery| DeliveryView::new(delivery, now))
                .collect(),
        }
    }

    /// Returns the message without attempts, for lists.
    pub(super) fn summary(message: Message, now: Timestamp) -> Self {
        let mut message_view = Self::full(message, now);
        message_view.deliveries.iter_mut().for_each(|delivery| delivery.attempts = None);
        message_view
    }
}

impl DeliveryView {
    fn new(delivery: Delivery, now: Timestamp) -> Self {
        let (failure, due_at) = match &delivery.state {
            DeliveryState::Waiting { due_at, .. } => (None, Some(rfc3339(*due_at))),
            DeliveryState::Failed { failure, .. } => (Some(failure.as_str()), None),
            DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => (None, None),
        };
        Self {
            id: delivery.id.0,
            channel: delivery.channel.to_string(),
            recipient: delivery.address,
            state: delivery.state.kind().as_str(),
            failure,
            round: delivery.round,
            due_at,
            provider: delivery.provider.as_ref().map(ToString::to_string),
            reference: delivery.reference,
            opened_at: delivery.opened_at.map(rfc3339),
            parts: delivery.parts,
            next_step: delivery.state.describe_next_step(now),
            attempts: Some(delivery.attempts.into_iter().map(AttemptView::from).collect()),
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
