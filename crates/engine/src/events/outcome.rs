//! Consequence of one call to an endpoint for its event.

use std::time::Duration;

use postrider_providers::webhook::WebhookResult;

/// Consequence of a call for the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallVerdict {
    /// The consequence for the event.
    pub outcome: EventOutcome,
    /// The result, for people.
    pub description: String,
    /// True if the endpoint answered 410 Gone.
    pub is_gone: bool,
}

/// The state of an event after a call, without its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// The endpoint took the event, or the event is not told to it.
    Delivered,
    /// The event is sent again, not before the delay that the endpoint asked for.
    Retry(Option<Duration>),
    /// The event is given up.
    Dead,
}

impl CallVerdict {
    /// Gives up an event without a call.
    pub fn dead(reason: String) -> Self {
        Self { outcome: EventOutcome::Dead, description: reason, is_gone: false }
    }

    /// Ends an event that the client has not asked for.
    pub fn not_asked_for() -> Self {
        let description = "not sent: the client did not ask for this event".to_owned();
        Self { outcome: EventOutcome::Delivered, description, is_gone: false }
    }

    /// Classifies a response: 2xx is delivered, 410 is final, every other status is retried.
    pub fn from_result(result: WebhookResult) -> Self {
        let (outcome, description, is_gone) = match result {
            WebhookResult::Response { status, retry_after, body_excerpt } => {
                let description = describe(status, &body_excerpt);
                match status {
                    200..=299 => (EventOutcome::Delivered, format!("HTTP {status}"), false),
                    410 => (EventOutcome::Dead, description, true),
                    _ => (EventOutcome::Retry(retry_after), description, false),
                }
            }
            WebhookResult::Forbidden(reason) => (EventOutcome::Dead, reason, false),
            WebhookResult::UntrustedCertificate(reason) | WebhookResult::Failed(reason) => {
                (EventOutcome::Retry(None), reason, false)
            }
        };
        Self { outcome, description, is_gone }
    }
}

/// Returns the status and the beginning of the body, for people.
pub fn describe(status: u16, body_excerpt: &str) -> String {
    if body_excerpt.is_empty() { format!("HTTP {status}") } else { format!("HTTP {status}: {body_excerpt}") }
}
