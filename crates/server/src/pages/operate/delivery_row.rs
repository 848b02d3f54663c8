//! One delivery as a row of a table of the operator's pages.
//!
//! The row offers the actions that the state of the delivery allows; the store checks again when an action is applied.

use super::super::format;
use postrider_core::clock::Timestamp;
use postrider_core::delivery::DeliveryState;
use postrider_engine::search::DeliverySearchHit;

/// A delivery as texts, with the possible actions.
pub(super) struct DeliveryRow {
    pub(super) id: i64,
    pub(super) message: String,
    pub(super) created: String,
    pub(super) state: &'static str,
    pub(super) failure: Option<String>,
    pub(super) reason: String,
    pub(super) channel: String,
    pub(super) address: String,
    pub(super) user: String,
    pub(super) provider: String,
    pub(super) code: String,
    pub(super) maybe_sent_twice: bool,
    pub(super) tries: u32,
    pub(super) body: String,
    pub(super) can_resend: bool,
    pub(super) can_cancel: bool,
}

impl DeliveryRow {
    /// Returns the row as of `now`.
    pub(super) fn of(hit: &DeliverySearchHit, mask: bool, now: Timestamp) -> Self {
        let delivery = &hit.delivery;
        let last_attempt = hit.last_attempt.as_ref();
        let last_called = last_attempt.and_then(|attempt| attempt.provider.as_ref());
        let provider = delivery.provider.as_ref().or(last_called);
        let (failure, reason) = match &delivery.state {
            DeliveryState::Failed { failure, reason, .. } => {
                (Some(format::humanize(failure.as_str())), reason.clone())
            }
            DeliveryState::Waiting { reason, .. } => (None, reason.clone().unwrap_or_default()),
            DeliveryState::Sent { .. } | DeliveryState::Delivered { .. } => (None, String::new()),
        };
        Self {
            id: delivery.id.0,
            message: hit.message.to_string(),
            created: format::time(hit.created_at),
            state: delivery.state.kind().as_str(),
            failure,
            reason,
            channel: delivery.channel.to_string(),
            address: format::address(&delivery.address, mask),
            user: hit.user.clone().unwrap_or_default(),
            provider: format::or_dash(provider),
            code: last_attempt.and_then(|attempt| attempt.code.clone()).unwrap_or_default(),
            maybe_sent_twice: last_attempt.is_some_and(|attempt| attempt.has_unknown_attempt),
            tries: delivery.tries,
            body: format::body_preview(&hit.body),
            can_resend: delivery.state.requeue(now).is_some(),
            can_cancel: delivery.state.cancel(now).is_some(),
        }
    }
}
