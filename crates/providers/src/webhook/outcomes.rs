//! What an endpoint's answer means, by whose endpoint it is.
//!
//! One that the configuration names is a provider like any other: what is wrong with it is wrong for every message. One
//! that is a recipient's address is a recipient: nothing it says may take the provider away from the others.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::WebhookResult;
use crate::outcome_kind::OutcomeKind;
use postrider_core::attempt::{Outcome, SendResult};

/// Whose the endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointOwner {
    /// Named by the configuration, the same for every message.
    Operator,
    /// The recipient's address.
    Recipient,
}

/// Status, what it means from our endpoint, what from a recipient's. The first line that fits counts. A 404 or 400 may be
/// an endpoint that is just being deployed, so it is tried again until the channel gives up.
const STATUS_OUTCOMES: [(RangeInclusive<u16>, OutcomeKind, OutcomeKind); 8] = [
    (200..=299, OutcomeKind::Accepted, OutcomeKind::Accepted),
    (300..=399, OutcomeKind::Misconfigured, OutcomeKind::Deferred),
    (401..=401, OutcomeKind::Misconfigured, OutcomeKind::Deferred),
    (403..=403, OutcomeKind::Misconfigured, OutcomeKind::Deferred),
    (404..=404, OutcomeKind::Unavailable, OutcomeKind::Deferred),
    (
        410..=410,
        OutcomeKind::Misconfigured,
        OutcomeKind::InvalidRecipient,
    ),
    (429..=429, OutcomeKind::Throttled, OutcomeKind::Deferred),
    (400..=499, OutcomeKind::Deferred, OutcomeKind::Deferred),
];

/// The attempt's outcome. A time-out is no doubt here, because whoever gets a call twice knows it by its id.
pub fn send_result(posted: WebhookResult, whose: EndpointOwner) -> SendResult {
    match posted {
        WebhookResult::Response {
            status,
            retry_after,
            body_excerpt: words,
        } => result_of_status(status, retry_after, words, whose),
        WebhookResult::Forbidden(reason) => match whose {
            EndpointOwner::Operator => Outcome::Misconfigured { reason },
            EndpointOwner::Recipient => Outcome::InvalidRecipient { reason },
        }
        .into(),
        WebhookResult::UntrustedCertificate(reason) => match whose {
            EndpointOwner::Operator => Outcome::Misconfigured { reason },
            EndpointOwner::Recipient => deferred(reason, None),
        }
        .into(),
        WebhookResult::Failed(reason) => match whose {
            EndpointOwner::Operator => Outcome::Unavailable { reason },
            EndpointOwner::Recipient => deferred(reason, None),
        }
        .into(),
    }
}

fn result_of_status(
    status: u16,
    retry_after: Option<Duration>,
    words: String,
    whose: EndpointOwner,
) -> SendResult {
    let code = format!("HTTP {status}");
    let reason = if words.is_empty() { code.clone() } else { words };
    let meaning = STATUS_OUTCOMES
        .iter()
        .find(|(statuses, ..)| statuses.contains(&status));
    let fate = match (meaning, whose) {
        (Some((_, ours, _)), EndpointOwner::Operator) => *ours,
        (Some((_, _, recipients)), EndpointOwner::Recipient) => *recipients,
        // Every 5xx, and whatever is no status at all.
        (None, EndpointOwner::Operator) if retry_after.is_some() => OutcomeKind::Throttled,
        (None, EndpointOwner::Operator) => OutcomeKind::Unavailable,
        (None, EndpointOwner::Recipient) => OutcomeKind::Deferred,
    };
    SendResult {
        outcome: fate.into_outcome(None, reason, retry_after),
        code: Some(code),
    }
}

fn deferred(reason: String, retry_after: Option<Duration>) -> Outcome {
    Outcome::Deferred { reason, retry_after }
}
