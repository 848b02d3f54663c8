//! The outcome of a webhook, which depends on the owner of the endpoint.
//!
//! A configured endpoint is a provider: a wrong setting there concerns every message. An endpoint that is a recipient's
//! address must not take the provider out of rotation for other recipients. A missing response is never `Unknown`: a
//! repetition does no harm, because the endpoint recognises it by its id.

use std::time::Duration;

use postrider_core::attempt::SendResult;

use super::client::WebhookResult;
use crate::http_status::{outcome_of_status, status_code};
use crate::outcome_kind::OutcomeKind;

/// The owner of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EndpointOwner {
    /// The URL is configured, the same for every message.
    Operator,
    /// The URL is the recipient's address.
    Recipient,
}

/// Returns the send result of a webhook.
pub(super) fn send_result(result: WebhookResult, owner: EndpointOwner) -> SendResult {
    let (operator_outcome, recipient_outcome, reason) = match result {
        WebhookResult::Response { status, retry_after, body_excerpt } => {
            let outcome = match owner {
                EndpointOwner::Operator => operator_status_outcome(status, retry_after),
                EndpointOwner::Recipient => recipient_status_outcome(status),
            };
            let code = status_code(status);
            let reason = if body_excerpt.is_empty() { code.clone() } else { body_excerpt };
            let outcome = outcome.into_outcome(None, reason, retry_after);
            return SendResult { outcome, code: Some(code) };
        }
        WebhookResult::Forbidden(reason) => {
            (OutcomeKind::Misconfigured, OutcomeKind::InvalidRecipient, reason)
        }
        WebhookResult::UntrustedCertificate(reason) => {
            (OutcomeKind::Misconfigured, OutcomeKind::Deferred, reason)
        }
        WebhookResult::Failed(reason) => (OutcomeKind::Unavailable, OutcomeKind::Deferred, reason),
    };
    let outcome = match owner {
        EndpointOwner::Operator => operator_outcome,
        EndpointOwner::Recipient => recipient_outcome,
    };
    outcome.into_outcome(None, reason, None).into()
}

/// The specification treats a refusal such as 400 as a temporary failure: the endpoint may be in the middle of a
/// deployment.
fn operator_status_outcome(status: u16, retry_after: Option<Duration>) -> OutcomeKind {
    match status {
        200..=299 => OutcomeKind::Accepted,
        410 => OutcomeKind::Misconfigured,
        // A redirect, or a firewall that refuses one body, is no verdict on the endpoint.
        300..=399 | 403 => OutcomeKind::Unavailable,
        500..=599 if retry_after.is_some() => OutcomeKind::Throttled,
        _ => match outcome_of_status(status, retry_after) {
            OutcomeKind::Rejected => OutcomeKind::Deferred,
            OutcomeKind::Unknown => OutcomeKind::Unavailable,
            outcome => outcome,
        },
    }
}

fn recipient_status_outcome(status: u16) -> OutcomeKind {
    match status {
        200..=299 => OutcomeKind::Accepted,
        410 => OutcomeKind::InvalidRecipient,
        _ => OutcomeKind::Deferred,
    }
}
